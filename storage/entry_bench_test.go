package storage_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// BenchmarkEntryMerge writes what a failed attempt writes, a retry record and the queue, as a
// single member does and as a member of a cluster does; each writer waits for its own. Every
// delivery fails three times.
func BenchmarkEntryMerge(b *testing.B) {
	for _, how := range []struct {
		name  string
		write func(state *storage.State, writes []engine.Write, stamp engine.Stamp, done func()) error
	}{
		{"write", func(state *storage.State, writes []engine.Write, _ engine.Stamp, done func()) error {
			return state.Write(writes, done)
		}},
		{"merge", func(state *storage.State, writes []engine.Write, stamp engine.Stamp, done func()) error {
			entries, rest, err := storage.EntriesOf(writes)
			if err != nil {
				return err
			}
			for i := range entries {
				entries[i].Stamp = stamp
			}
			return state.MergeEntries(entries, rest, done)
		}},
	} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", how.name, writers), func(b *testing.B) {
				state := benchState(b, b.TempDir())
				due := time.Now()
				b.ReportAllocs()
				b.ResetTimer()
				var writing sync.WaitGroup
				for writer := range writers {
					writing.Go(func() {
						sub := engine.SubscriptionID(fmt.Sprintf("sub_%020d", writer))
						done := make(chan struct{}, 1)
						for i := writer; i < b.N; i += writers {
							key := engine.DeliveryKey{AcceptedMilli: due.UnixMilli(), Event: engine.EventRef{Journal: 1, Sequence: uint64(i / writers / 3)}}
							err := how.write(state, []engine.Write{
								engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
									Subscription: sub, Key: key, Attempts: 1 + i/writers%3, Used: 1, Due: due,
									LastOutcome: engine.OutcomeFailure, LastStatus: 500,
								}},
								engine.PutQueue{Queue: engine.Queue{Subscription: sub, NextDue: due, Records: i, OldestMilli: due.UnixMilli()}},
							}, engine.Stamp(i+1), func() { done <- struct{}{} })
							if err != nil {
								b.Error(err)
								return
							}
							<-done
						}
					})
				}
				writing.Wait()
				b.ReportMetric(float64(b.N)/float64(max(state.Commits(), 1)), "groups/commit")
			})
		}
	}
}
