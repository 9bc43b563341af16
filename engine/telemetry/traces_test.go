package telemetry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"pannier/engine/telemetry"
)

const endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

func TestTracingIsOff(t *testing.T) {
	tests := []struct {
		name        string
		environment map[string]string
	}{
		{"without an endpoint", map[string]string{"OTEL_SERVICE_NAME": "bikes", "OTEL_TRACES_SAMPLER": "always_on"}},
		{"disabled", map[string]string{endpointVariable: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}},
		{"no exporter", map[string]string{endpointVariable: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.environment {
				t.Setenv(name, value)
			}
			started, log := start(t)
			if started.Tracer("x") != nil {
				t.Error("there is a tracer")
			}
			tracer := started.TracerProvider.Tracer("x")
			cost := testing.AllocsPerRun(100, func() {
				_, span := tracer.Start(context.Background(), "x")
				span.End()
			})
			if cost > 1 { // the context that carries the span which does nothing
				t.Errorf("a span that is not made costs %v allocations", cost)
			}
			if log.String() != "" {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func TestWrongVariablesRefuseToStart(t *testing.T) {
	tests := []struct{ variable, value string }{
		{"OTEL_TRACES_SAMPLER", "sometimes"},
		{"OTEL_TRACES_SAMPLER", "parentbased_"},
		{"OTEL_TRACES_SAMPLER_ARG", "2"},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN"},
		{"OTEL_TRACES_EXPORTER", "zipkin"},
		{"OTEL_SDK_DISABLED", "yes"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "GRPC"},
		{endpointVariable, "collector:4317"},
		{endpointVariable, "ftp://user:hunter2@collector"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://user:hunter2@:%zz"},
		{"OTEL_RESOURCE_ATTRIBUTES", "novalue"},
	}
	for _, test := range tests {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			if test.variable == "OTEL_TRACES_SAMPLER_ARG" {
				t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
			}
			t.Setenv(test.variable, test.value)
			_, err := telemetry.Start(t.Context(), telemetry.Options{Logger: telemetry.NewLogger(t.Output(), 0, telemetry.FormatText)})
			if err == nil || !strings.Contains(err.Error(), test.variable) {
				t.Errorf("got %v, want an error that names the variable", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes the credentials: %v", err)
			}
		})
	}
}

func TestSpansReachTheCollector(t *testing.T) {
	tests := []struct {
		name        string
		listen      func(*spanCollector, *testing.T) string
		environment map[string]string
		service     string
	}{
		{"grpc", (*spanCollector).listenGRPC, map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "pannier"},
		{"http", (*spanCollector).listenHTTP, map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "pannier"},
		{"http without a protocol", (*spanCollector).listenHTTP, nil, "pannier"},
		{
			"the protocol of traces wins", (*spanCollector).listenGRPC,
			map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
			"pannier",
		},
		{"named service", (*spanCollector).listenHTTP, map[string]string{"OTEL_SERVICE_NAME": "bikes"}, "bikes"},
		{
			"attributes of the resource", (*spanCollector).listenHTTP,
			map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name=city,service.version=v0"},
			"city",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			receiver := new(spanCollector)
			t.Setenv(endpointVariable, test.listen(receiver, t))
			for name, value := range test.environment {
				t.Setenv(name, value)
			}
			started, log := start(t)
			_, span := started.Tracer("x").Start(t.Context(), "accept")
			span.End()
			stop(t, started)
			received := receiver.received()
			if len(received) != 1 || received[0].ScopeSpans[0].Spans[0].Name != "accept" {
				t.Fatalf("got %v; log: %s", received, log)
			}
			if got := resourceAttribute(received[0], "service.name"); got != test.service {
				t.Errorf("service.name is %q, want %q", got, test.service)
			}
			want := "v1.2.3"
			if strings.Contains(test.environment["OTEL_RESOURCE_ATTRIBUTES"], "version") {
				want = "v0"
			}
			if got := resourceAttribute(received[0], "service.version"); got != want {
				t.Errorf("service.version is %q, want %q", got, want)
			}
		})
	}
}

func TestTracesEndpointAndHeaders(t *testing.T) {
	receiver := new(spanCollector)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.listenHTTP(t)+"/v1/traces")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
	started, _ := start(t)
	_, span := started.Tracer("x").Start(t.Context(), "accept")
	span.End()
	stop(t, started)
	if len(receiver.keys) != 1 || receiver.keys[0] != "hunter2" {
		t.Errorf("the collector got the keys %q", receiver.keys)
	}
}

func resourceAttribute(spans *tracepb.ResourceSpans, key string) string {
	for _, a := range spans.Resource.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func TestSampler(t *testing.T) {
	tests := []struct {
		sampler, argument string
		// Whether a span is sampled that has no parent, a sampled one, one that is not.
		root, child, orphan bool
	}{
		{"", "", true, true, false},
		{"always_on", "", true, true, true},
		{"always_off", "", false, false, false},
		{"traceidratio", "", true, true, true},
		{"traceidratio", "0", false, false, false},
		{"parentbased_always_on", "", true, true, false},
		{"parentbased_always_off", "", false, true, false},
		{"parentbased_traceidratio", "0", false, true, false},
		{"ParentBased_TraceIDRatio", "1.0", true, true, false},
	}
	parent := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: flags,
		}))
	}
	for _, test := range tests {
		t.Run(test.sampler+" "+test.argument, func(t *testing.T) {
			t.Setenv(endpointVariable, new(spanCollector).listenHTTP(t))
			t.Setenv("OTEL_TRACES_SAMPLER", test.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", test.argument)
			started, _ := start(t)
			sampled := func(ctx context.Context) bool {
				_, span := started.Tracer("x").Start(ctx, "x")
				defer span.End()
				return span.SpanContext().IsSampled()
			}
			got := [3]bool{sampled(context.Background()), sampled(parent(trace.FlagsSampled)), sampled(parent(0))}
			if want := [3]bool{test.root, test.child, test.orphan}; got != want {
				t.Errorf("root, child and orphan are sampled: %v, want %v", got, want)
			}
		})
	}
}

func TestFailedExportsAreLoggedOnce(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(refusing.Close)
	address := strings.TrimPrefix(refusing.URL, "http://")
	t.Setenv(endpointVariable, "http://user:hunter2@"+address+"/secret?token=hunter2")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")
	started, log := start(t)
	flush, ok := started.TracerProvider.(interface{ ForceFlush(context.Context) error })
	if !ok {
		t.Fatal("the provider cannot flush")
	}
	for range 3 {
		_, span := started.Tracer("x").Start(t.Context(), "x")
		span.End()
		if err := flush.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	text := log.String()
	if n := strings.Count(text, "spans could not be exported"); n != 1 {
		t.Errorf("want one line, got %d: %s", n, text)
	}
	if !strings.Contains(text, "telemetry is in trouble") || strings.Contains(text, "hunter2") {
		t.Errorf("want the headers complained of and not quoted: %s", text)
	}
}
