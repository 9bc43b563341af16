package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// lastExport bounds the export of what waits at shutdown: a collector that is down must not
// hold up the stop of a member.
const lastExport = 3 * time.Second

// startTraces makes the tracer provider: one that does nothing, or one that sends spans in
// batches from a bounded queue. A span that finds it full is dropped; no event waits.
func (t *Telemetry) startTraces(ctx context.Context, settings tracesSettings, about *resource.Resource, logger *slog.Logger) error {
	if !settings.on {
		t.TracerProvider = noop.NewTracerProvider()
		return nil
	}
	exporter, err := newExporter(ctx, settings.protocol)
	if err != nil {
		return fmt.Errorf("start the export of traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(settings.sampler), sdktrace.WithResource(about),
		sdktrace.WithBatcher(&reportingExporter{SpanExporter: exporter, logger: logger}),
	)
	t.TracerProvider, t.tracing = provider, true
	t.shutdown = append(t.shutdown, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lastExport)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			logger.WarnContext(ctx, "the last spans could not be exported", "error", err)
		}
		return nil // a lost span is no failed stop
	})
	return nil
}

// newExporter does not connect: a collector that is not there yet does not stop the start.
func newExporter(ctx context.Context, p protocol) (sdktrace.SpanExporter, error) {
	if p == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}
