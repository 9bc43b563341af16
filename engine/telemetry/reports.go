package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// reportInterval is the least time between two logs of the same trouble: a collector that
// is down for a day must not fill the log.
const reportInterval = time.Minute

// limiter lets one report through in a reportInterval and counts those it held back. Safe
// for concurrent use.
type limiter struct {
	mu       sync.Mutex
	reported time.Time
	held     int
}

// allow adds n to what is to be told; ok says that it is to be told now.
func (l *limiter) allow(n int) (total int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held += n
	now := time.Now()
	if !l.reported.IsZero() && now.Sub(l.reported) < reportInterval {
		return 0, false
	}
	total, l.held, l.reported = l.held, 0, now
	return total, true
}

// reportingExporter logs exports that fail, with the number of spans that were lost since
// the last log.
type reportingExporter struct {
	sdktrace.SpanExporter
	logger *slog.Logger
	limit  limiter
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: what failed is logged, and
// the SDK's own report of it is not needed.
func (e *reportingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		if lost, ok := e.limit.allow(len(spans)); ok {
			e.logger.WarnContext(ctx, "spans could not be exported", "spans", lost, "error", err)
		}
	}
	return nil
}

// listenToLibrary has what OpenTelemetry says of itself go to the logger. It is said
// through globals: the last Telemetry that was started hears it.
func listenToLibrary(logger *slog.Logger) {
	l := &library{logger: logger}
	otel.SetErrorHandler(l)
	otel.SetLogger(logr.New(l))
}

// library takes what OpenTelemetry says. Of its log only errors are passed on, without
// their values: it quotes headers and URLs that it could not parse.
type library struct {
	logger *slog.Logger
	limit  limiter
}

// Handle implements otel.ErrorHandler.
func (l *library) Handle(err error) {
	if n, ok := l.limit.allow(1); ok {
		l.logger.Warn("telemetry is in trouble", "errors", n, "error", err)
	}
}

// Init implements logr.LogSink.
func (*library) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (*library) Enabled(int) bool { return false }

// Info implements logr.LogSink.
func (*library) Info(int, string, ...any) {}

// Error implements logr.LogSink.
func (l *library) Error(err error, message string, _ ...any) {
	var quoted interface{ Unwrap() error } // *url.Error and the like quote their input
	if errors.As(err, &quoted) {
		err = quoted.Unwrap()
	}
	l.logger.Warn("telemetry is in trouble", "doing", message, "error", err)
}

// WithValues implements logr.LogSink.
func (l *library) WithValues(...any) logr.LogSink { return l }

// WithName implements logr.LogSink.
func (l *library) WithName(string) logr.LogSink { return l }
