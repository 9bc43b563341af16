package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pannier/engine"
)

// These measure the whole member, wired as it is served: the parts have benchmarks of
// their own.

// benchmarkBody is a posted event of about 700 bytes.
var benchmarkBody = `{"topic":"trip.created","data":{"pad":"` + strings.Repeat("x", 650) + `"}}`

// newBenchmarkServer serves an empty folder on loopback.
func newBenchmarkServer(b *testing.B) *server {
	b.Helper()
	s, err := startServer(b.Context(), Config{
		Data: b.TempDir(), Listen: "127.0.0.1:0", Retention: engine.DefaultRetention,
		AllowInsecureEndpoints: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// BenchmarkAccept is POST /v1/events from the handler to the 202, the sync of the journal
// included; one operation is one event, and nobody is subscribed to it.
func BenchmarkAccept(b *testing.B) {
	for _, producers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			handler := newBenchmarkServer(b).servers[0].Handler
			took := make([]time.Duration, b.N)
			b.SetBytes(int64(len(benchmarkBody)))
			b.ReportAllocs()
			b.ResetTimer()
			var posting sync.WaitGroup
			for p := range producers {
				posting.Go(func() {
					for i := p; i < b.N; i += producers {
						start := time.Now()
						r := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(benchmarkBody))
						r.Header.Set("Content-Type", "application/json")
						w := httptest.NewRecorder()
						if handler.ServeHTTP(w, r); w.Code != http.StatusAccepted {
							b.Errorf("status %d: %s", w.Code, w.Body)
							return
						}
						took[i] = time.Since(start)
					}
				})
			}
			posting.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkDeliver takes events from accept to receivers on loopback, which answer at once
// in the same process; one operation is one delivery.
func BenchmarkDeliver(b *testing.B) {
	// outstanding bounds the deliveries under way, so that nobody lags; the producers are
	// enough for accepting not to be what is measured.
	const outstanding, producers = 512, 128
	for _, fanOut := range []int{1, 16} {
		b.Run(fmt.Sprintf("fan-out=%d", fanOut), func(b *testing.B) {
			s := newBenchmarkServer(b)
			room := make(chan struct{}, outstanding/fanOut)
			var delivered atomic.Int64
			for range fanOut {
				receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(http.StatusNoContent)
					if delivered.Add(1)%int64(fanOut) == 0 {
						<-room
					}
				}))
				b.Cleanup(receiver.Close)
				spec := engine.DefaultSpec()
				spec.URL, spec.Topics, spec.MaxInFlight = receiver.URL+"/hook", []string{"trip.created"}, outstanding/fanOut
				if _, err := s.member.engine.CreateSubscription(b.Context(), engine.Caller{Role: engine.RoleAdmin}, spec); err != nil {
					b.Fatal(err)
				}
			}
			draft := engine.Draft{Topic: "trip.created", Data: []byte(`{"pad":"` + strings.Repeat("x", 650) + `"}`)}
			b.ReportAllocs()
			b.ResetTimer()
			var accepting sync.WaitGroup
			events := (b.N + fanOut - 1) / fanOut
			for p := range producers {
				accepting.Go(func() {
					for i := p; i < events; i += producers {
						room <- struct{}{}
						if _, err := s.member.engine.Accept(b.Context(), engine.Caller{Role: engine.RoleAdmin}, []engine.Draft{draft}, ""); err != nil {
							b.Error(err)
							<-room
							return
						}
					}
				})
			}
			accepting.Wait()
			for range cap(room) { // all of it is free again
				room <- struct{}{}
			}
			b.StopTimer()
			b.ReportMetric(float64(events*fanOut)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}
