package actors_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
	"pannier/storage"
)

const (
	// maxIdleBytes is what a registered subscription without work may take in memory.
	maxIdleBytes = 2048
	// maxRestedBytes is what one that had work and sleeps again may take beside that.
	maxRestedBytes = 1536
)

// topicsOf gives the three topics of a subscription.
type topicsOf func(subscription int) []match.Pattern

// fewTopics is a platform's own list of topics; ownTopics is the worst case for the index, in
// which no two subscriptions ask for the same.
func fewTopics(n int) []match.Pattern {
	return []match.Pattern{
		match.Pattern(fmt.Sprintf("trip.created.city%d", n%1000)),
		match.Pattern(fmt.Sprintf("trip.terminated.city%d", n%1000)), activeOr(n, "vehicle.*"),
	}
}

func ownTopics(n int) []match.Pattern {
	return []match.Pattern{
		match.Pattern(fmt.Sprintf("trip.created.city%d", n)),
		match.Pattern(fmt.Sprintf("trip.terminated.city%d", n)),
		activeOr(n, match.Pattern(fmt.Sprintf("vehicle%d.*", n))),
	}
}

const (
	// activeSubscriptions is how many subscriptions have work at once in the test: those of
	// topic moved(0), then those of moved(1), and so on.
	activeSubscriptions = 1000
	activeRounds        = 4
)

func moved(round int) string { return fmt.Sprintf("bike.moved%d", round) }

func activeOr(n int, pattern match.Pattern) match.Pattern {
	if n < activeRounds*activeSubscriptions {
		return match.Pattern(moved(n / activeSubscriptions))
	}
	return pattern
}

// A registered subscription costs memory in the table and the index alone, and one that had
// work costs hardly more once it sleeps again.
func TestIdleSubscriptionMemory(t *testing.T) { //nolint:paralleltest // it measures the heap of the process
	subscriptions := 100_000
	if testing.Short() {
		subscriptions = 20_000
	}
	checkIdleMemory(t, "few topics", subscriptions, fewTopics)
	checkIdleMemory(t, "own topics", subscriptions, ownTopics)
}

func checkIdleMemory(t *testing.T, name string, subscriptions int, topics topicsOf) {
	t.Helper()
	dir := t.TempDir()
	seedVersions(t, dir, subscriptions, topics)
	before := heapBytes()
	snapshot := loadVersions(t, dir)
	synctest.Test(t, func(t *testing.T) {
		var delivered atomic.Int64
		m := newMember(t, snapshot, storage.NewMemoryState(time.Now), sinkSender{func(*engine.SendRequest) { delivered.Add(1) }})
		snapshot = nil
		idle := perOne(before, heapBytes(), subscriptions)
		const events = 20 // more than the smallest mailbox holds
		var start uint64
		for round := range activeRounds {
			for range events {
				m.publish(t, moved(round), 1)
			}
			pass(time.Minute) // they are retired
			if got, want := delivered.Swap(0), int64(events*activeSubscriptions); got != want {
				t.Fatalf("%s: %d deliveries, want %d", name, got, want)
			}
			if round == 0 { // it makes what the runtime and the library keep for reuse
				start = heapBytes()
			}
		}
		const measured = (activeRounds - 1) * activeSubscriptions
		rested := perOne(start, heapBytes(), measured)
		t.Logf("%s: %d subscriptions take %d bytes each; %d that had work and sleep again %d bytes more each",
			name, subscriptions, idle, measured, rested)
		if idle > maxIdleBytes {
			t.Errorf("%s: a registered subscription takes %d bytes, want at most %d", name, idle, maxIdleBytes)
		}
		if rested > maxRestedBytes {
			t.Errorf("%s: one that sleeps again takes %d bytes more, want at most %d", name, rested, maxRestedBytes)
		}
		runtime.KeepAlive(m)
	})
}

// BenchmarkIdleSubscription says what a registered subscription takes in memory, as loaded
// from the state: one operation is one subscription.
func BenchmarkIdleSubscription(b *testing.B) {
	for name, topics := range map[string]topicsOf{"few-topics": fewTopics, "own-topics": ownTopics} {
		b.Run(name, func(b *testing.B) {
			const subscriptions = 100_000
			dir := b.TempDir()
			seedVersions(b, dir, subscriptions, topics)
			b.ResetTimer()
			for range b.N {
				before := heapBytes()
				table := engine.NewTable(loadVersions(b, dir).Versions)
				b.ReportMetric(float64(perOne(before, heapBytes(), subscriptions)), "heap-B/subscription")
				runtime.KeepAlive(table)
			}
		})
	}
}

func perOne(before, after uint64, n int) int { return (int(after) - int(before)) / n }

// heapBytes is the live heap.
func heapBytes() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools of the first let go
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// seedVersions stores subscriptions with a URL of 100 bytes.
func seedVersions(tb testing.TB, dir string, n int, topics topicsOf) {
	tb.Helper()
	state, err := storage.OpenState(dir, storage.StateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	for i := range n {
		url := fmt.Sprintf("https://city%d.example/hooks/", i)
		version := &engine.Subscription{
			ID: engine.NewSubscriptionID(), Tenant: engine.DefaultTenant, URL: url + strings.Repeat("x", 100-len(url)),
			Topics: topics(i), Enabled: true, Secrets: []engine.ValidSecret{{Secret: signature.NewSecret()}},
			Retry:   retry.Schedule{MaxRetries: 5, MinDelay: 10 * time.Second, MaxDelay: 30 * time.Minute},
			Timeout: engine.MaxTimeout, Success: engine.SuccessBelow400, MaxInFlight: 64,
			CreatedAt: now, UpdatedAt: now, Version: 1, Revision: uint64(i + 1),
		}
		if err := state.Write([]engine.Write{engine.PutVersion{Subscription: version}}, nil); err != nil {
			tb.Fatal(err)
		}
	}
	if err := state.Close(); err != nil {
		tb.Fatal(err)
	}
}

func loadVersions(tb testing.TB, dir string) *engine.Snapshot {
	tb.Helper()
	state, err := storage.OpenState(dir, storage.StateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	snapshot, err := state.Load(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if err := state.Close(); err != nil {
		tb.Fatal(err)
	}
	return snapshot
}
