package storage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// benchmarkBody makes a record of about 700 bytes.
var benchmarkBody = json.RawMessage(`{"text":"` + string(bytes.Repeat([]byte("x"), 600)) + `"}`)

func benchmarkEvent() *engine.Event {
	now := time.Now()
	return &engine.Event{Topic: "vehicle.position", Timestamp: now, AcceptedAt: now, Data: benchmarkBody, Revision: 1}
}

// BenchmarkJournalAppend measures synced events per second; one operation is one event.
func BenchmarkJournalAppend(b *testing.B) {
	for _, producers := range []int{1, 16, 64, 256, 512} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			j := openJournal(b, b.TempDir(), storage.JournalOptions{})
			b.SetBytes(int64(len(benchmarkBody)))
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for p := range producers {
				group.Go(func() {
					synced := make(chan struct{}, 1)
					for i := p; i < b.N; i += producers {
						if _, err := j.Append([]engine.Record{{Event: benchmarkEvent()}}, func() { synced <- struct{}{} }); err != nil {
							b.Error(err)
							return
						}
						<-synced
					}
				})
			}
			group.Wait()
		})
	}
}

// BenchmarkJournalRead measures records read, checked and decoded.
func BenchmarkJournalRead(b *testing.B) {
	const records = 100_000
	j := openJournal(b, b.TempDir(), storage.JournalOptions{})
	fill(b, j, records)
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += records {
			if _, err := j.Read(1, min(records, b.N-i), func(uint64, engine.Record) bool { return true }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("passed over", func(b *testing.B) {
		b.ReportAllocs()
		nothing := func(*engine.Event) bool { return false }
		for i := 0; i < b.N; i += records {
			if _, err := j.Search(1, min(records, b.N-i), nothing, nothing); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pages of 64", func(b *testing.B) {
		b.ReportAllocs()
		next := uint64(1)
		for i := 0; i < b.N; i += 64 {
			var err error
			if next, err = j.Read(next%records, 64, func(uint64, engine.Record) bool { return true }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if _, err := j.Get(uint64(i)*7919%records + 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// fill appends n events, a thousand at a time, and waits for the last sync.
func fill(tb testing.TB, j engine.Journal, n int) {
	tb.Helper()
	synced := make(chan struct{}, n)
	for n > 0 {
		records := make([]engine.Record, min(n, 1000))
		for i := range records {
			records[i].Event = benchmarkEvent()
		}
		if _, err := j.Append(records, func() { synced <- struct{}{} }); err != nil {
			tb.Fatal(err)
		}
		<-synced
		n -= len(records)
	}
}

const testJournalID = engine.JournalID(0xfeed_0123_4567_89ab)

// openJournal opens a journal that is closed with the test; a failed write fails the test.
func openJournal(tb testing.TB, dir string, o storage.JournalOptions) *storage.Journal {
	tb.Helper()
	if o.Fatal == nil {
		o.Fatal = func(err error) { tb.Errorf("journal failed: %v", err) }
	}
	if o.Space == nil {
		o.Space = storage.NewFreeSpace(dir, 0, func(string) (uint64, error) { return math.MaxInt64, nil })
	}
	j, err := storage.OpenJournal(dir, testJournalID, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	return j
}
