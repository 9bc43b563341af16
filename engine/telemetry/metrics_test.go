package telemetry_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

func TestMetricsAreShown(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true") // metrics are part of the API, not of the SDK's exports
	started, log := start(t)
	meter := started.MeterProvider.Meter("pannier")
	counter, err := meter.Int64Counter("pannier.events.accepted", metric.WithUnit("{event}"))
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3, metric.WithAttributes(attribute.String("lane", "shared")))
	histogram, err := meter.Float64Histogram(
		"pannier.delivery.latency", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 2),
	)
	if err != nil {
		t.Fatal(err)
	}
	histogram.Record(t.Context(), 1.5)
	w := httptest.NewRecorder()
	started.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		"\npannier_events_accepted_total{lane=\"shared\"} 3\n",
		"\npannier_delivery_latency_seconds_bucket{le=\"2\"} 1\n",
		"\ngo_goroutines ", "\nprocess_open_fds ",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("want %q", want)
		}
	}
	if w.Code != 200 || log.String() != "" {
		t.Errorf("status %d, log %s", w.Code, log)
	}
}
