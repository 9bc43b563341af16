package egress

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
)

var clientSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}

// attemptTrace is an attempt's place in a trace.
type attemptTrace struct {
	span          trace.Span // nil: nothing is recorded
	id            string     // of the trace; "" for none
	parent, state string     // the headers traceparent and tracestate; "" for none
}

// startTrace starts the span `attempt`. The span `accept` may have ended long ago, so the
// attempt is linked to it; it is its child as well, because only a child shares its trace
// id and so makes one trace from producer to receiver. Without a tracing SDK the event's own
// trace context is carried on; so it is where the trace is not sampled, which costs no more
// than a look at its flags.
func (s *Sender) startTrace(ctx context.Context, request *engine.SendRequest, to *target) attemptTrace {
	event := request.Event
	if id, unsampled := event.Unsampled(); unsampled {
		return attemptTrace{id: id, parent: event.TraceParent, state: event.TraceState}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, eventCarrier{event})
	options := clientSpan
	if accept := trace.SpanContextFromContext(ctx); accept.IsValid() {
		options = append(slices.Clip(options), trace.WithLinks(trace.Link{SpanContext: accept}))
	}
	ctx, span := s.tracer.Start(ctx, "attempt", options...)
	if span.IsRecording() {
		span.SetAttributes(attributes(request, to)...)
	}
	carried := make(propagation.MapCarrier, 2)
	propagation.TraceContext{}.Inject(ctx, carried)
	t := attemptTrace{span: span, parent: carried["traceparent"], state: carried["tracestate"]}
	if sc := span.SpanContext(); sc.HasTraceID() {
		t.id = sc.TraceID().String()
	}
	return t
}

// attributes follow the semantic conventions for HTTP and messaging. The host is the most
// that is told of a URL: paths and queries hold tokens.
func attributes(request *engine.SendRequest, to *target) []attribute.KeyValue {
	list := []attribute.KeyValue{
		semconv.MessagingSystemKey.String("pannier"),
		semconv.MessagingOperationTypeSend,
		semconv.MessagingOperationName("attempt"),
		semconv.MessagingDestinationName(request.Event.Topic),
		semconv.MessagingMessageID(request.Event.ID),
		semconv.HTTPRequestMethodPost,
		attribute.Int("pannier.attempt", request.Number),
		attribute.String("pannier.subscription", string(request.Subscription.ID)),
		attribute.String("pannier.lane", request.Lane),
	}
	if request.Number > 1 {
		list = append(list, semconv.HTTPRequestResendCount(request.Number-1))
	}
	if to != nil {
		u := to.request.URL
		list = append(list, semconv.URLFull(u.Scheme+"://"+u.Host+"/REDACTED"),
			semconv.ServerAddress(u.Hostname()), semconv.ServerPort(serverPort(u)))
	}
	return list
}

// serverPort is the port of a URL, that of its scheme where it names none.
func serverPort(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

// end ends the span with the result.
func (t attemptTrace) end(result *engine.Result) {
	if t.span == nil {
		return
	}
	if t.span.IsRecording() {
		t.span.SetAttributes(attribute.String("pannier.outcome", string(result.Outcome)))
		if result.Status != 0 {
			t.span.SetAttributes(semconv.HTTPResponseStatusCode(result.Status))
		}
		if result.Outcome != engine.OutcomeSuccess {
			cause := result.Error
			if cause == "" {
				cause = strconv.Itoa(result.Status)
			}
			t.span.SetAttributes(semconv.ErrorTypeKey.String(cause))
			t.span.SetStatus(codes.Error, cause)
		}
	}
	t.span.End()
}

// eventCarrier reads the trace context that is stored with an event.
type eventCarrier struct{ event *engine.Event }

func (c eventCarrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.event.TraceParent
	case "tracestate":
		return c.event.TraceState
	}
	return ""
}

func (eventCarrier) Set(string, string) {}

func (eventCarrier) Keys() []string { return []string{"traceparent", "tracestate"} }
