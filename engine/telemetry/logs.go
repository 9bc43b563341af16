package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"
)

// Format is how logs are written.
type Format string

// The formats.
const (
	FormatText Format = "text" // one line of key=value pairs; in colour on a terminal
	FormatJSON Format = "json" // one JSON object a line
)

// NewLogger makes a logger that writes records of a level or above to w. Records of a
// context with a span carry its trace_id and span_id; secrets and the credentials of URLs
// are masked. Safe for concurrent use.
func NewLogger(w io.Writer, level slog.Level, format Format) *slog.Logger {
	var handler slog.Handler
	switch {
	case format == FormatJSON:
		handler = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr})
	case coloured(w):
		handler = tint.NewHandler(w, &tint.Options{Level: level, ReplaceAttr: redactAttr, TimeFormat: time.TimeOnly})
	default:
		handler = slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr})
	}
	return slog.New(traceHandler{handler})
}

// coloured tells whether w is a terminal whose user has not asked for plain text
// (no-color.org).
func coloured(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}

// traceHandler adds the trace context to records.
type traceHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traceHandler) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}
