package api_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
	"pannier/engine/api"
)

// traceOfLog keeps the trace id of the context that was logged with last.
type traceOfLog struct {
	slog.Handler
	last string
}

func (h *traceOfLog) Handle(ctx context.Context, _ slog.Record) error {
	h.last = trace.SpanContextFromContext(ctx).TraceID().String()
	return nil
}

func TestSpanAccept(t *testing.T) {
	t.Parallel()
	const one, two = `{"topic":"trip.created","data":1}`, `[{"topic":"a","data":1},{"topic":"b","data":2}]`
	tests := []struct {
		name, body string
		fail       error
		want       map[string]string // "" is none
		status     codes.Code
		logged     bool
	}{
		{"one event", one, nil, map[string]string{
			"messaging.system": "pannier", "messaging.operation.name": "accept", "messaging.message.id": "evt_0",
			"http.request.method": "POST", "http.route": "/v1/events", "url.path": "/v1/events",
			"http.response.status_code": "202", "messaging.batch.message_count": "", "error.type": "",
		}, codes.Unset, false},
		{"a batch", two, nil, map[string]string{
			"messaging.batch.message_count": "2", "messaging.message.id": "", "http.response.status_code": "202",
		}, codes.Unset, false},
		{"refused", `{"topic":"trip created"}`, engine.Invalid("/topic", "must be a topic"), map[string]string{
			"http.response.status_code": "422", "error.type": "invalid",
		}, codes.Unset, false},
		{"unavailable", one, engine.Errorf(engine.CodeUnavailable, "draining"), map[string]string{
			"http.response.status_code": "503", "error.type": "unavailable",
		}, codes.Error, false},
		{"failed", one, errors.New("hunter2"), map[string]string{
			"http.response.status_code": "500", "error.type": "internal",
		}, codes.Error, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spans, log, twin := tracetest.NewSpanRecorder(), &traceOfLog{Handler: slog.NewTextHandler(t.Output(), nil)}, newTwin()
			twin.fail = test.fail
			s := api.New(api.Options{
				Engine: twin, Clock: func() time.Time { return now }, Logger: slog.New(log),
				Tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
			})
			const producer = "4bf92f3577b34da6a3ce929d0e0e4736"
			ask(t, s, "POST", "/v1/events", "admin-key", test.body, "Traceparent", "00-"+producer+"-00f067aa0ba902b7-01")
			ended := spans.Ended()
			if len(ended) != 1 || ended[0].Name() != "accept" || ended[0].SpanKind() != trace.SpanKindServer ||
				ended[0].SpanContext().TraceID().String() != producer {
				t.Fatalf("got %v, want one span accept in the producer's trace", ended)
			}
			got := make(map[string]string)
			for _, a := range ended[0].Attributes() {
				got[string(a.Key)] = a.Value.String()
			}
			for key, want := range test.want {
				if got[key] != want {
					t.Errorf("%s is %q, want %q", key, got[key], want)
				}
			}
			if status := ended[0].Status(); status.Code != test.status || strings.Contains(status.Description, "hunter2") {
				t.Errorf("status %+v, want %v without the cause", status, test.status)
			}
			if test.logged != (log.last == producer) {
				t.Errorf("logged with the trace %q", log.last)
			}
		})
	}
}
