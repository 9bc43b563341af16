package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// hidden stands for all that must never leave in a log or a trace.
	hidden = "hunter2"

	producerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	producerSpan  = "00f067aa0ba902b7"
)

// spanCollector is an OTLP receiver by HTTP. Safe for concurrent use.
type spanCollector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := new(collector.ExportTraceServiceRequest)
	if err != nil || proto.Unmarshal(body, request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// named gives the spans of a name, in the order they started.
func (c *spanCollector) named(name string) (spans []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, span := range c.spans {
		if span.Name == name {
			spans = append(spans, span)
		}
	}
	slices.SortFunc(spans, func(a, b *tracepb.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	return spans
}

// One trace goes from the producer through accept, route and every attempt to the
// receiver, over a retry and over a restart between two attempts.
func TestOneTraceFromProducerToReceiver(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			spans := new(spanCollector)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(t, spans.ServeHTTP))
			arrived := make(chan string, 2)
			receiver := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Webhook-Attempt") == "1" {
					w.WriteHeader(http.StatusInternalServerError)
				}
				arrived <- r.Header.Get("Traceparent")
			})
			data := t.TempDir()
			o := observe(t, data)
			secret := o.subscribe(t, map[string]any{
				"url": receiver + "/" + hidden + "?token=" + hidden, "topics": []string{"trip.created"},
				"headers": map[string]string{"X-Token": hidden}, "retry": map[string]any{"min_delay": "1s"},
			})
			event := o.publish(t, "trip.created", "00-"+producerTrace+"-"+producerSpan+"-01")
			received := []string{<-arrived}
			log := o.log.String
			if restart {
				o.end(t)
				before := o.log.String()
				o = observe(t, data)
				log = func() string { return before + o.log.String() }
			}
			received = append(received, <-arrived)
			o.checkAttempts(t, event)
			o.end(t)

			checkSpans(t, spans, event, receiver, received)
			for _, text := range []string{hidden, secret} {
				if told := log() + spans.String(); strings.Contains(told, text) {
					t.Errorf("%q is told: %s", text, told)
				}
			}
		})
	}
}

// String shows all that was exported.
func (c *spanCollector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.spans)
}

// checkAttempts waits for both attempts in the log of the delivery, with their trace.
func (o *observedServer) checkAttempts(t *testing.T, event string) {
	t.Helper()
	var deliveries struct{ Data []struct{ ID string } }
	o.call(t, http.MethodGet, "/v1/events/"+event+"/deliveries", "", nil, &deliveries)
	var attempts struct {
		Data []struct {
			Number  int
			Outcome string
			TraceID string `json:"trace_id"`
		}
	}
	o.eventually(t, "the attempts are listed", func() (bool, any) {
		o.call(t, http.MethodGet, "/v1/deliveries/"+deliveries.Data[0].ID+"/attempts", "", nil, &attempts)
		return len(attempts.Data) == 2, attempts
	})
	for n, want := range []string{"failure", "success"} {
		if got := attempts.Data[n]; got.Number != n+1 || got.Outcome != want || got.TraceID != producerTrace {
			t.Errorf("attempt %d is %+v, want a %s of the trace %s", n+1, got, want, producerTrace)
		}
	}
}

func checkSpans(t *testing.T, spans *spanCollector, event, receiver string, received []string) {
	t.Helper()
	accepts, routes, attempts := spans.named("accept"), spans.named("route"), spans.named("attempt")
	if len(accepts) != 1 || len(routes) != 1 || len(attempts) != 2 {
		t.Fatalf("got %d accept, %d route, %d attempt; want 1, 1, 2", len(accepts), len(routes), len(attempts))
	}
	for _, span := range slices.Concat(accepts, routes, attempts) {
		if got := hex.EncodeToString(span.TraceId); got != producerTrace {
			t.Errorf("%s is in the trace %s, want %s", span.Name, got, producerTrace)
		}
	}
	accept := accepts[0]
	checkSpan(t, accept, tracepb.Span_SPAN_KIND_SERVER, producerSpan, map[string]string{
		"messaging.system": "pannier", "messaging.operation.name": "accept", "messaging.message.id": event,
		"http.request.method": "POST", "http.route": "/v1/events", "http.response.status_code": "202",
	})
	acceptID := hex.EncodeToString(accept.SpanId)
	checkSpan(t, routes[0], tracepb.Span_SPAN_KIND_INTERNAL, acceptID, map[string]string{
		"messaging.system": "pannier", "messaging.operation.name": "route", "messaging.message.id": event,
		"messaging.destination.name": "trip.created", "pannier.lane": "shared", "pannier.subscriptions": "1",
	})
	host := strings.TrimPrefix(receiver, "http://")
	for n, attempt := range attempts {
		checkSpan(t, attempt, tracepb.Span_SPAN_KIND_CLIENT, acceptID, map[string]string{
			"messaging.system": "pannier", "messaging.operation.name": "attempt", "messaging.operation.type": "send",
			"messaging.message.id": event, "messaging.destination.name": "trip.created",
			"http.request.method": "POST", "http.response.status_code": []string{"500", "200"}[n],
			"http.request.resend_count": []string{"", "1"}[n], "error.type": []string{"500", ""}[n],
			"pannier.outcome": []string{"failure", "success"}[n], "pannier.attempt": fmt.Sprint(n + 1),
			"url.full": receiver + "/REDACTED", "server.address": "127.0.0.1", "server.port": portOf(host),
		})
		if len(attempt.Links) != 1 || hex.EncodeToString(attempt.Links[0].SpanId) != acceptID {
			t.Errorf("attempt %d is linked to %v, want to accept alone", n+1, attempt.Links)
		}
		want := "00-" + producerTrace + "-" + hex.EncodeToString(attempt.SpanId) + "-01"
		if received[n] != want {
			t.Errorf("the receiver got the traceparent %s of attempt %d, want %s", received[n], n+1, want)
		}
	}
}

func portOf(host string) string {
	u := url.URL{Host: host}
	return u.Port()
}

// checkSpan compares kind, parent and attributes; the want of "" is that there is none.
func checkSpan(t *testing.T, span *tracepb.Span, kind tracepb.Span_SpanKind, parent string, want map[string]string) {
	t.Helper()
	if span.Kind != kind || hex.EncodeToString(span.ParentSpanId) != parent {
		t.Errorf("%s is a %v below %x, want a %v below %s", span.Name, span.Kind, span.ParentSpanId, kind, parent)
	}
	got := make(map[string]string)
	for _, a := range span.Attributes {
		value := a.Value.GetStringValue()
		if value == "" {
			value = fmt.Sprint(a.Value.GetIntValue())
		}
		got[a.Key] = value
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: %s is %q, want %q", span.Name, key, got[key], value)
		}
	}
}
