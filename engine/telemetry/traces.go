package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// reportInterval is the least time between two logs of exports that fail: a collector that
// is down for a day must not fill the log.
const reportInterval = time.Minute

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
		sdktrace.WithBatcher(&reportingExporter{SpanExporter: exporter, logger: logger, clock: time.Now}),
	)
	t.TracerProvider = provider
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

// newExporter does not connect: a collector that is not there yet does not stop the start.
func newExporter(ctx context.Context, p protocol) (sdktrace.SpanExporter, error) {
	if p == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

// reportingExporter logs exports that fail, at most one in a reportInterval, with the
// number of spans lost since the one before. It answers for the SDK's global error
// handler, which knows no logger of ours.
type reportingExporter struct {
	sdktrace.SpanExporter
	logger *slog.Logger
	clock  func() time.Time

	mu       sync.Mutex
	reported time.Time
	lost     int
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: what failed is logged.
func (e *reportingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost += len(spans)
	now := e.clock()
	if !e.reported.IsZero() && now.Sub(e.reported) < reportInterval {
		return nil
	}
	e.logger.WarnContext(ctx, "spans could not be exported", "spans", e.lost, "error", err)
	e.reported, e.lost = now, 0
	return nil
}
