package api

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
)

// maxTraceState bounds what is kept of tracestate (W3C Trace Context section 3.3.1.5 asks
// for at least 512 to be passed on).
const maxTraceState = 512

// acceptSpan is the kind of every span `accept`: it is a request of the producer's.
// acceptAttributes are what all of them have, given only to those that are recorded.
var (
	acceptSpan       = trace.WithSpanKind(trace.SpanKindServer)
	acceptAttributes = []attribute.KeyValue{
		semconv.HTTPRequestMethodPost, semconv.HTTPRoute(eventsPath), semconv.URLPath(eventsPath),
		semconv.MessagingSystemKey.String("pannier"), semconv.MessagingOperationName("accept"),
	}
)

// traceAccepted notes what was accepted. Ids are told of a single event only: a batch has
// thousands.
func traceAccepted(span trace.Span, accepted engine.Accepted, single bool) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(acceptAttributes...)
	span.SetAttributes(semconv.HTTPResponseStatusCode(http.StatusAccepted))
	if single {
		span.SetAttributes(semconv.MessagingMessageID(accepted.IDs[0]))
	} else {
		span.SetAttributes(semconv.MessagingBatchMessageCount(len(accepted.IDs)))
	}
}

// traceRefusal notes why nothing was accepted. Only what is the server's fault is an error
// of its span.
func traceRefusal(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(acceptAttributes...)
	status, code := http.StatusInternalServerError, engine.ErrorCode(err)
	if refused, ok := errors.AsType[*engine.Error](err); ok {
		status = kindOf(refused).status
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(status), semconv.ErrorTypeKey.String(string(code)))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, string(code))
	}
}

// stampTrace puts the trace context of the span `accept` into every draft, so that each
// attempt can be linked to it hours later. With tracing off that is the producer's own,
// unchanged.
func stampTrace(ctx context.Context, header http.Header, drafts []engine.Draft) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	parent, state := header.Get("Traceparent"), header.Get("Tracestate")
	if !span.IsRemote() {
		var own traceHeaders
		propagation.TraceContext{}.Inject(ctx, &own)
		parent, state = own.parent, own.state
	}
	if len(state) > maxTraceState {
		state = ""
	}
	for i := range drafts {
		drafts[i].TraceParent, drafts[i].TraceState = parent, state
	}
}

// traceHeaders takes in what propagation.TraceContext writes, without a map.
type traceHeaders struct{ parent, state string }

// Set implements propagation.TextMapCarrier.
func (h *traceHeaders) Set(name, value string) {
	switch name {
	case "traceparent":
		h.parent = value
	case "tracestate":
		h.state = value
	}
}

// Get implements propagation.TextMapCarrier.
func (*traceHeaders) Get(string) string { return "" }

// Keys implements propagation.TextMapCarrier.
func (*traceHeaders) Keys() []string { return nil }
