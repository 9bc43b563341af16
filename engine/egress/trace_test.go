package egress_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"pannier/engine"
	"pannier/engine/egress"
)

const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	accepted = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// recorder is a tracing SDK that keeps its spans.
type recorder struct {
	embedded.Tracer
	mu    sync.Mutex
	spans []*recordedSpan
}

type recordedSpan struct {
	noop.Span
	name       string
	context    trace.SpanContext
	parent     trace.SpanContext
	config     trace.SpanConfig
	attributes map[string]string
	status     codes.Code
	cause      string
	ended      bool
}

// provider gives the recorder to whoever asks for a tracer.
type provider struct {
	embedded.TracerProvider
	tracer *recorder
}

func (p provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer }

func (r *recorder) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parent := trace.SpanContextFromContext(ctx)
	config := trace.SpanContextConfig{
		TraceID: parent.TraceID(), SpanID: trace.SpanID{7, byte(len(r.spans))},
		TraceFlags: trace.FlagsSampled, TraceState: parent.TraceState(),
	}
	if !parent.IsValid() {
		config.TraceID = trace.TraceID{9}
	}
	span := &recordedSpan{
		name: name, context: trace.NewSpanContext(config), parent: parent,
		config: trace.NewSpanStartConfig(options...), attributes: make(map[string]string),
	}
	r.spans = append(r.spans, span)
	return trace.ContextWithSpan(ctx, span), span
}

func (s *recordedSpan) SpanContext() trace.SpanContext         { return s.context }
func (s *recordedSpan) IsRecording() bool                      { return true }
func (s *recordedSpan) SetStatus(code codes.Code, text string) { s.status, s.cause = code, text }
func (s *recordedSpan) End(...trace.SpanEndOption)             { s.ended = true }

func (s *recordedSpan) SetAttributes(list ...attribute.KeyValue) {
	for _, a := range list {
		s.attributes[string(a.Key)] = a.Value.String()
	}
}

// sendTraced makes one attempt and gives what the receiver saw of the trace.
func sendTraced(t *testing.T, event *engine.Event, tracers trace.TracerProvider, status int) (engine.Result, [2]string) {
	t.Helper()
	got := make(chan [2]string, 1)
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		got <- [2]string{request.Header.Get("traceparent"), request.Header.Get("tracestate")}
		return answering(fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n", status), true)(conn, request)
	})
	request := attempt(newSubscription(to.url()))
	request.Event, request.Number = event, 2
	result := newSender(t, egress.SenderOptions{TracerProvider: tracers}).Send(t.Context(), request)
	return result, <-got
}

func TestAttemptContinuesTheTrace(t *testing.T) {
	t.Parallel()
	sdk := new(recorder)
	event := newEvent()
	event.TraceParent, event.TraceState = accepted, "city=nantes"
	result, received := sendTraced(t, event, provider{tracer: sdk}, 500)
	span := sdk.spans[0]
	want := [2]string{"00-" + traceID + "-" + span.context.SpanID().String() + "-01", "city=nantes"}
	if received != want || result.TraceID != traceID {
		t.Errorf("receiver got %q, want %q; result has %q", received, want, result.TraceID)
	}
	if span.name != "attempt" || !span.ended || span.config.SpanKind() != trace.SpanKindClient {
		t.Errorf("span %+v", span)
	}
	links := span.config.Links()
	if !span.parent.IsRemote() || len(links) != 1 || links[0].SpanContext.SpanID().String() != "00f067aa0ba902b7" {
		t.Errorf("parent %v, links %v", span.parent, links)
	}
	attributes := map[string]string{
		"messaging.system": "pannier", "messaging.message.id": "evt_1", "http.request.method": "POST",
		"http.response.status_code": "500", "server.address": "127.0.0.1", "http.request.resend_count": "1",
		"error.type": "500", "pannier.outcome": "failure", "pannier.lane": "shared",
	}
	for key, want := range attributes {
		if got := span.attributes[key]; got != want {
			t.Errorf("attribute %s is %q, want %q", key, got, want)
		}
	}
	endpoint := "http://127.0.0.1:" + span.attributes["server.port"]
	if got := span.attributes["url.full"]; got != endpoint+"/REDACTED" {
		t.Errorf("attribute url.full is %q, want the host %s and no path", got, endpoint)
	}
	if span.status != codes.Error || span.cause != "500" {
		t.Errorf("status %v %q", span.status, span.cause)
	}
}

func TestTraceContextWithoutSDK(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, parent, state, wantParent, wantState, wantID string }{
		{"kept", accepted, "city=nantes", accepted, "city=nantes", traceID},
		{"none", "", "", "", "", ""},
		{"broken", "00-nonsense", "city=nantes", "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, tracers := range []trace.TracerProvider{nil, noop.NewTracerProvider()} {
				event := newEvent()
				event.TraceParent, event.TraceState = test.parent, test.state
				result, received := sendTraced(t, event, tracers, 200)
				if received != [2]string{test.wantParent, test.wantState} || result.TraceID != test.wantID {
					t.Errorf("receiver got %q, result has %q", received, result.TraceID)
				}
			}
		})
	}
}

// An attempt of a trace that is not sampled starts no span and carries the trace on.
func TestUnsampledTrace(t *testing.T) {
	t.Parallel()
	sdk := new(recorder)
	event := newEvent()
	event.TraceParent, event.TraceState = strings.TrimSuffix(accepted, "1")+"0", "city=nantes"
	result, received := sendTraced(t, event, provider{tracer: sdk}, 200)
	if want := [2]string{event.TraceParent, "city=nantes"}; received != want || result.TraceID != traceID {
		t.Errorf("receiver got %q, want %q; result has %q", received, want, result.TraceID)
	}
	if len(sdk.spans) != 0 {
		t.Errorf("%d spans", len(sdk.spans))
	}
}

func TestNewTrace(t *testing.T) {
	t.Parallel()
	sdk := new(recorder)
	result, received := sendTraced(t, newEvent(), provider{tracer: sdk}, 200)
	span := sdk.spans[0]
	if !strings.Contains(received[0], result.TraceID) || result.TraceID == "" || len(span.config.Links()) != 0 {
		t.Errorf("receiver got %q, result has %q, links %v", received, result.TraceID, span.config.Links())
	}
	if span.status != codes.Unset {
		t.Errorf("status %v", span.status)
	}
}

// What tenants are shown and what is traced holds no token of the URL, no header value,
// no secret and nothing of the event's data.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	sdk := new(recorder)
	sender := newSender(t, egress.SenderOptions{TracerProvider: provider{tracer: sdk}})
	reset := newReceiver(t, func(conn *net.TCPConn, _ receivedRequest) bool {
		_ = conn.SetLinger(0)
		return false
	})
	closing := newReceiver(t, func(*net.TCPConn, receivedRequest) bool { return false })
	garbage := newReceiver(t, answering("canary\r\n\r\n", false))
	for _, url := range []string{
		reset.url(), closing.url(), garbage.url(), "https://" + garbage.listener.Addr().String() + "/canary",
		"http://127.0.0.2/canary?canary", "http://canary:canary@127.0.0.1/", "http://canary.invalid/",
	} {
		s := newSubscription(url)
		s.Headers = map[string]string{"Authorization": "Bearer canary"}
		request := attempt(s)
		request.Event.Data = []byte(`"canary"`)
		result := sender.Send(t.Context(), request)
		text := fmt.Sprintf("%+v", result)
		if result.Outcome == engine.OutcomeSuccess || strings.Contains(text, "canary") ||
			strings.Contains(text, s.Secrets[0].Secret.Reveal()) {
			t.Errorf("%s", text)
		}
	}
	for _, span := range sdk.spans {
		text := fmt.Sprint(span.name, span.attributes, span.cause)
		if span.attributes["server.address"] == "canary.invalid" {
			text = strings.ReplaceAll(text, "canary.invalid", "") // the host may be told
		}
		if strings.Contains(text, "canary") || strings.Contains(text, "whsec_") {
			t.Errorf("%s", text)
		}
	}
}
