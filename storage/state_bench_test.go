package storage_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
	"pannier/storage"
)

func benchState(b *testing.B, dir string) *storage.State {
	b.Helper()
	state, err := storage.OpenState(dir, storage.StateOptions{Fatal: func(err error) { b.Errorf("fatal: %v", err) }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := state.Close(); err != nil {
			b.Error(err)
		}
	})
	return state
}

// BenchmarkStateWrite writes retry records, each writer waiting for its own.
func BenchmarkStateWrite(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			state := benchState(b, b.TempDir())
			due := time.Now()
			b.ResetTimer()
			var writing sync.WaitGroup
			for writer := range writers {
				writing.Go(func() {
					sub := engine.SubscriptionID(fmt.Sprintf("sub_%020d", writer))
					done := make(chan struct{}, 1)
					for i := writer; i < b.N; i += writers {
						key := engine.DeliveryKey{AcceptedMilli: due.UnixMilli(), Event: engine.EventRef{Journal: 1, Sequence: uint64(i)}}
						err := state.Write([]engine.Write{engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
							Subscription: sub, Key: key, Attempts: 1, Used: 1, Due: due,
							LastOutcome: engine.OutcomeFailure, LastStatus: 500,
						}}}, func() { done <- struct{}{} })
						if err != nil {
							b.Error(err)
							return
						}
						<-done
					}
				})
			}
			writing.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.N)/float64(max(state.Commits(), 1)), "records/commit")
		})
	}
}

// BenchmarkStateLoad opens and loads a state of 100,000 versions and as many retry records.
func BenchmarkStateLoad(b *testing.B) {
	const versions = 100_000
	dir := b.TempDir()
	fillState(b, dir, versions)
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		state := benchState(b, dir)
		opened := time.Now()
		snapshot, err := state.Load(b.Context())
		if err != nil || len(snapshot.Versions) != versions {
			b.Fatalf("loaded %d versions, %v", len(snapshot.Versions), err)
		}
		b.ReportMetric(float64(opened.Sub(start).Milliseconds()), "open-ms")
		b.ReportMetric(float64(time.Since(opened).Milliseconds()), "load-ms")
		b.StopTimer()
		if err := state.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func fillState(b *testing.B, dir string, versions int) {
	b.Helper()
	state := benchState(b, dir)
	now := time.Now()
	for i := range versions {
		id := engine.SubscriptionID(fmt.Sprintf("sub_%020d", i))
		err := state.Write([]engine.Write{
			engine.PutVersion{Subscription: &engine.Subscription{
				ID: id, Tenant: "tenant-" + strconv.Itoa(i%100), URL: "https://hooks.example.com/receivers/" + strconv.Itoa(i),
				Topics: []match.Pattern{"trip.created", "vehicle.*"}, Enabled: true,
				Secrets: []engine.ValidSecret{{Secret: signature.NewSecret()}}, Headers: map[string]string{"X-Tenant": "t"},
				Retry:   retry.Schedule{MaxRetries: 5, MinDelay: time.Second, MaxDelay: time.Minute},
				Timeout: 30 * time.Second, Success: engine.SuccessBelow400, MaxInFlight: 64,
				CreatedAt: now, UpdatedAt: now, Version: 1, Revision: uint64(i),
			}},
			engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
				Subscription: id, Key: engine.DeliveryKey{AcceptedMilli: now.UnixMilli()}, Attempts: 1, Due: now,
			}},
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := state.Close(); err != nil {
		b.Fatal(err)
	}
}
