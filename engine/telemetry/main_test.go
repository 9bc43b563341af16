package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pannier/engine/telemetry"
)

func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			_ = os.Unsetenv(name) // the tests set their own
		}
	}
	goleak.VerifyTestMain(m)
}

// logBuffer keeps what is logged. Safe for concurrent use.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts telemetry in the environment of the test and stops it with the test.
func start(t *testing.T) (*telemetry.Telemetry, *logBuffer) {
	t.Helper()
	log := new(logBuffer)
	started, err := telemetry.Start(t.Context(), telemetry.Options{
		ServiceVersion: "v1.2.3", Logger: telemetry.NewLogger(log, slog.LevelInfo, telemetry.FormatText),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = started.Shutdown(context.Background()) }) // the test may have done so
	return started, log
}

// stop sends what waits.
func stop(t *testing.T, started *telemetry.Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := started.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
