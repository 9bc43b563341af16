package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"pannier/engine"
	"pannier/engine/telemetry"
)

const (
	// patience bounds how long a test waits for a fact.
	patience = 20 * time.Second
	// pollInterval is the time between two looks.
	pollInterval = 10 * time.Millisecond
)

// labelsKnown are the labels that metrics may have: each has few values, however many
// subscriptions and tenants there are.
var labelsKnown = []string{"lane", "outcome", "reason", "version", "go_version"}

// metricsWanted are the metrics of a server that has delivered, by type.
var metricsWanted = map[string]dto.MetricType{
	"pannier_events_accepted_total":    dto.MetricType_COUNTER,
	"pannier_attempts_total":           dto.MetricType_COUNTER,
	"pannier_attempts_in_flight":       dto.MetricType_GAUGE,
	"pannier_delivery_latency_seconds": dto.MetricType_HISTOGRAM,
	"pannier_backlog":                  dto.MetricType_GAUGE,
	"pannier_oldest_due_age_seconds":   dto.MetricType_GAUGE,
	"pannier_retry_records":            dto.MetricType_GAUGE,
	"pannier_dead_letters_total":       dto.MetricType_COUNTER,
	"pannier_dead_letters_kept":        dto.MetricType_GAUGE,
	"pannier_journal_sync_seconds":     dto.MetricType_HISTOGRAM,
	"pannier_journal_sync_records":     dto.MetricType_HISTOGRAM,
	"pannier_circuits_open":            dto.MetricType_GAUGE,
	"pannier_build_info":               dto.MetricType_GAUGE,
	"go_goroutines":                    dto.MetricType_GAUGE,
	"process_open_fds":                 dto.MetricType_GAUGE,
	"target_info":                      dto.MetricType_GAUGE,
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	o := observe(t, t.TempDir())
	good := endpoint(t, func(http.ResponseWriter, *http.Request) {})
	bad := endpoint(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	o.subscribe(t, map[string]any{"url": good, "topics": []string{"trip.*"}})
	o.subscribe(t, map[string]any{"url": bad, "topics": []string{"trip.created"}})
	o.subscribe(t, map[string]any{"url": bad, "topics": []string{"trip.terminated"}, "retry": map[string]any{"max_retries": 0}})
	for _, topic := range []string{"trip.created", "trip.terminated", "trip.updated"} {
		o.publish(t, topic, "")
	}
	want := map[string]float64{
		`pannier_events_accepted_total lane=shared`:                                    3,
		`pannier_attempts_total lane=shared outcome=success`:                           3,
		`pannier_attempts_total lane=shared outcome=failure`:                           2,
		`pannier_attempts_total lane=shared outcome=blocked`:                           0,
		`pannier_attempts_in_flight lane=shared`:                                       0,
		`pannier_delivery_latency_seconds lane=shared`:                                 3,
		`pannier_backlog lane=shared`:                                                  0,
		`pannier_oldest_due_age_seconds lane=shared`:                                   0,
		`pannier_retry_records`:                                                        1,
		`pannier_dead_letters_total reason=exhausted`:                                  1,
		`pannier_dead_letters_total reason=expired`:                                    0,
		`pannier_dead_letters_kept`:                                                    1,
		`pannier_journal_sync_seconds`:                                                 3,
		`pannier_journal_sync_records`:                                                 3,
		`pannier_circuits_open`:                                                        0,
		`pannier_build_info go_version=` + runtime.Version() + ` version=` + version(): 1,
	}
	var families map[string]*dto.MetricFamily
	o.eventually(t, "the metrics are right", func() (bool, any) {
		families = o.scrape(t)
		got := samples(families)
		return !slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(name string) bool {
			value, found := got[name]
			return !found || value != want[name]
		}), got
	})
	for name, kind := range metricsWanted {
		if family := families[name]; family == nil || family.GetType() != kind {
			t.Errorf("%s is %v, want a %v", name, family.GetType(), kind)
		} else if family.GetHelp() == "" {
			t.Errorf("%s has no description", name)
		}
	}
	for name, family := range families {
		if strings.HasPrefix(name, "pannier_") {
			checkLabels(t, family)
		}
	}
}

func checkLabels(t *testing.T, family *dto.MetricFamily) {
	t.Helper()
	if _, wanted := metricsWanted[family.GetName()]; !wanted {
		t.Errorf("%s is not expected", family.GetName())
	}
	for _, m := range family.Metric {
		for _, label := range m.Label {
			if !slices.Contains(labelsKnown, label.GetName()) {
				t.Errorf("%s has the label %s", family.GetName(), label.GetName())
			}
		}
	}
}

// What is counted for each event must not cost an allocation, nor need a lane known before.
func TestCountingAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of every goroutine
	m := newTestMetrics(t)
	tell := m.forActors()
	cost := testing.AllocsPerRun(100, func() {
		tell.Accepted("shared", 1)
		tell.Attempted("shared", engine.OutcomeSuccess)
		tell.Delivered("shared", time.Millisecond)
		tell.DeadEnded("shared", engine.ReasonExpired)
		m.journalSynced(time.Millisecond, 1)
	})
	if cost != 0 {
		t.Errorf("counting costs %v allocations", cost)
	}
}

// Lanes of promoted topics come and go: what was counted for one that is gone goes too.
func TestMetricsForgetLanes(t *testing.T) {
	t.Parallel()
	m := newTestMetrics(t)
	tell := m.forActors()
	tell.Accepted("shared", 2)
	tell.Accepted("gone", 1)
	m.keepOnly([]engine.LaneView{{Name: "shared"}})
	lanes := *m.lanes.Load()
	if len(lanes) != 1 || lanes["shared"].accepted.count.Load() != 2 {
		t.Errorf("got %v, want the shared lane with its count", lanes)
	}
}

func newTestMetrics(t *testing.T) *memberMetrics {
	t.Helper()
	started, err := telemetry.Start(t.Context(), telemetry.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = started.Shutdown(context.Background()) })
	m, err := newMetrics(started)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// observedServer is a server of a test, with what it logs.
type observedServer struct {
	*server
	log *lockedBuffer
}

// observe starts a server on a data folder in development mode. It is closed with the test,
// unless the test has done so.
func observe(t *testing.T, data string) *observedServer {
	t.Helper()
	o := &observedServer{log: new(lockedBuffer)}
	var err error
	o.server, err = startServer(t.Context(), Config{
		Data: data, Listen: "127.0.0.1:0", Retention: engine.DefaultRetention, AllowInsecureEndpoints: true,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, LogLevel: slog.LevelDebug,
		clusterFlags: clusterFlags{Replication: 1},
	}, o.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.end(t) })
	return o
}

// end stops the server gracefully.
func (o *observedServer) end(t *testing.T) {
	t.Helper()
	if o.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := o.Close(ctx); err != nil {
		t.Error(err)
	}
	o.server = nil
}

// call makes a request of the API and decodes its answer into answer, unless that is nil.
func (o *observedServer) call(t *testing.T, method, path, traceparent string, body, answer any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, o.URL()+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if traceparent != "" {
		request.Header.Set("Traceparent", traceparent)
	}
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, path, response.StatusCode, text, err)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%s %s: %s: %v", method, path, text, err)
	}
}

// subscribe gives the secret of the new subscription.
func (o *observedServer) subscribe(t *testing.T, subscription map[string]any) (secret string) {
	t.Helper()
	var answer struct{ Secret string }
	o.call(t, http.MethodPost, "/v1/subscriptions", "", subscription, &answer)
	return answer.Secret
}

// publish gives the id of the event.
func (o *observedServer) publish(t *testing.T, topic, traceparent string) (id string) {
	t.Helper()
	var answer struct{ ID string }
	o.call(t, http.MethodPost, "/v1/events", traceparent, map[string]any{"topic": topic, "data": hidden}, &answer)
	return answer.ID
}

// scrape reads /metrics.
func (o *observedServer) scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.URL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %d %v", response.StatusCode, err)
	}
	return families
}

// eventually waits until a fact holds; look gives what it saw, too.
func (o *observedServer) eventually(t *testing.T, fact string, look func() (bool, any)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		holds, seen := look()
		if holds {
			return
		}
		if !pause(ctx, pollInterval) {
			t.Fatalf("it never came that %s; last: %v; log: %s", fact, seen, o.log)
		}
	}
}

// samples gives the values by name and labels; of a histogram, the number of recordings.
func samples(families map[string]*dto.MetricFamily) map[string]float64 {
	values := make(map[string]float64)
	for name, family := range families {
		if !strings.HasPrefix(name, "pannier_") {
			continue
		}
		for _, m := range family.Metric {
			key := name
			for _, label := range m.Label {
				key += " " + label.GetName() + "=" + label.GetValue()
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				values[key] = m.Counter.GetValue()
			case dto.MetricType_HISTOGRAM:
				values[key] = float64(m.Histogram.GetSampleCount())
			default:
				values[key] = m.Gauge.GetValue()
			}
		}
	}
	return values
}

// endpoint serves a receiver and gives its URL.
func endpoint(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	receiver := httptest.NewServer(handler)
	t.Cleanup(receiver.Close)
	return receiver.URL
}

// lockedBuffer is a buffer that a server may write to while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
