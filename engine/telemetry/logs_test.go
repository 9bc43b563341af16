package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"pannier/engine/signature"
	"pannier/engine/telemetry"
)

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestLogsMaskSecrets(t *testing.T) {
	t.Parallel()
	secret, err := signature.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"plain", "lane shared", "lane shared"},
		{"own URL", "http://127.0.0.1:8080/docs", "http://127.0.0.1:8080/docs"},
		{"secret", secret, "whsec_***"},
		{"secret in a text", "it was " + secretText + ", they said", "it was whsec_***, they said"},
		{"secret in an error", fmt.Errorf("sign: %w", errors.New(secretText)), "sign: whsec_***"},
		{"key", "pnr_Zm9vYmFy-_x", "pnr_***"},
		{"header", "Authorization: Bearer abc.def", "Authorization: Bearer ***"},
		{"credentials", "https://user:hunter2@a.example:8443/hook?token=x#y", "https://a.example:8443/hook"},
		{"user alone", "https://hunter2@a.example", "https://a.example"},
		{
			"URL in an error", errors.New(`Post "https://u:p@a.example/T0/B1/x?k=v": EOF`),
			`Post "https://a.example": EOF`,
		},
		{"two URLs in an error", errors.New("https://a.example/x to https://b.example/y"), "https://a.example to https://b.example"},
		{"number", 42, "42"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			log := new(logBuffer)
			logger := telemetry.NewLogger(log, slog.LevelInfo, telemetry.FormatJSON)
			logger.With("before", test.value).Info("it happened", "value", test.value)
			var got map[string]any
			if err := json.Unmarshal([]byte(log.String()), &got); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"before", "value"} {
				if text := fmt.Sprint(got[key]); text != test.want {
					t.Errorf("%s is %q, want %q", key, text, test.want)
				}
			}
		})
	}
}

func TestLogsCarryTheTrace(t *testing.T) {
	t.Parallel()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}})
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	log := new(logBuffer)
	logger := telemetry.NewLogger(log, slog.LevelInfo, telemetry.FormatText)
	logger.With("lane", "shared").InfoContext(ctx, "it happened")
	logger.InfoContext(context.Background(), "it happened without")
	lines := strings.Split(log.String(), "\n")
	want := "lane=shared trace_id=00000000000000000000000000000001 span_id=0000000000000002"
	if !strings.HasSuffix(lines[0], want) {
		t.Errorf("got %q, want it to end in %q", lines[0], want)
	}
	if strings.Contains(lines[1], "trace_id") {
		t.Errorf("got %q, want no trace id", lines[1])
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	logger := telemetry.NewLogger(log, slog.LevelWarn, telemetry.FormatText)
	logger.Info("too little")
	logger.Warn("enough")
	if text := log.String(); strings.Contains(text, "too little") || !strings.Contains(text, "enough") {
		t.Errorf("got %s", text)
	}
}
