package actors

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
)

// startRoute starts the span `route`: the event is handed out to its subscriptions. An event
// whose trace is not sampled costs no more than a look at its flags.
func (s *System) startRoute(event *engine.Event, lane string, subscriptions int) trace.Span {
	if !event.Sampled() {
		return trace.SpanFromContext(context.Background()) // does nothing
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{
		"traceparent": event.TraceParent, "tracestate": event.TraceState,
	})
	_, span := s.options.Tracer.Start(ctx, "route", trace.WithAttributes(
		semconv.MessagingSystemKey.String("pannier"),
		semconv.MessagingOperationName("route"),
		semconv.MessagingDestinationName(event.Topic),
		semconv.MessagingMessageID(event.ID),
		semconv.MessagingMessageBodySize(len(event.Data)),
		attribute.String("pannier.lane", lane),
		attribute.Int("pannier.subscriptions", subscriptions),
	))
	return span
}
