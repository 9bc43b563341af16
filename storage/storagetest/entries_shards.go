package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pannier/engine"
)

// The part of the suite of registers about whole shards and what is swept.

// subsOf gives n subscriptions of one shard, and one of another.
func subsOf(shard, n int) (subs []engine.SubscriptionID, other engine.SubscriptionID) {
	for i := 0; len(subs) < n || other == ""; i++ {
		id := engine.SubscriptionID(fmt.Sprintf("sub_%d", i))
		switch {
		case engine.ShardOf(id) != shard:
			other = id
		case len(subs) < n:
			subs = append(subs, id)
		}
	}
	return subs, other
}

func tombstones(id engine.SubscriptionID, stamp engine.Stamp, n int) []engine.Entry {
	entries := make([]engine.Entry, n)
	for i := range entries {
		entries[i] = engine.Entry{
			EntryKey: engine.EntryKey{Kind: engine.EntryDelivery, Subscription: id, Key: fmt.Sprintf("%024d", i)}, Stamp: stamp,
		}
	}
	return entries
}

func entriesInOrder(t *testing.T, state EntryState) {
	const shard = 77
	subs, other := subsOf(shard, 3)
	slices.SortFunc(subs, func(a, b engine.SubscriptionID) int {
		if len(a) != len(b) {
			return len(a) - len(b) // the length is before the id
		}
		if a < b {
			return -1
		}
		return 1
	})
	var want []engine.Entry
	for _, id := range subs {
		want = append(want, tombstones(id, 3, 300)...)
	}
	for _, id := range subs {
		want = append(want, engine.Entry{
			EntryKey: engine.EntryKey{Kind: engine.EntryQueue, Subscription: id}, Stamp: 4,
			Value: entriesOf(t, 4, queueOf(1))[0].Value,
		})
	}
	for _, id := range subs {
		want = append(want, replayOf(5, engine.Replay{ID: "rpl_" + string(id), Subscription: id}))
	}
	shuffled := slices.Clone(want)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	merge(t, state, shuffled)
	merge(t, state, tombstones(other, 3, 5))
	equal(t, "entries", listEntries(t, state, subs[0]), want)
	equal(t, "of another shard", len(listEntries(t, state, other)), 5)
}

func entriesShards(t *testing.T, state EntryState) {
	equal(t, "none", listShards(t, state), []int(nil))
	write(t, state, retryOf(1, 1))
	equal(t, "records without registers", listShards(t, state), []int(nil))
	shards := []int{0, 1, 255, 256, 700, engine.Shards - 1}
	for _, shard := range shards {
		subs, _ := subsOf(shard, 1)
		merge(t, state, tombstones(subs[0], 1, 3))
	}
	equal(t, "shards", listShards(t, state), shards)
	dropShard(t, state, 255)
	equal(t, "without a dropped one", listShards(t, state), slices.DeleteFunc(shards, func(shard int) bool { return shard == 255 }))
}

func entriesDrop(t *testing.T, state EntryState) {
	shard := engine.ShardOf(sub)
	_, other := subsOf(shard, 1)
	var all []engine.Entry
	for i := range 1200 {
		put := engine.Write(retryOf(uint64(i), 1))
		if i%3 == 0 {
			put = deadOf(uint64(i), day)
		}
		all = append(all, entriesOf(t, 1, put)...)
	}
	for group := range slices.Chunk(all, 400) {
		merge(t, state, group)
	}
	merge(t, state, entriesOf(t, 1, engine.PutExpired{Expired: exampleExpired(sub, 3, 7, 8)}))
	merge(t, state, append(entriesOf(t, 1, queueOf(1), dropOf(5000)), replayOf(1, engine.Replay{ID: "rpl_1", Subscription: sub})))
	merge(t, state, tombstones(other, 1, 2))
	dropShard(t, state, shard)
	for range 2 {
		equal(t, "entries", listEntries(t, state, sub), []engine.Entry(nil))
		equal(t, "retry records", retries(t, state, sub), []engine.RetryRecord(nil))
		equal(t, "snapshot", load(t, state), &engine.Snapshot{DeadCount: map[engine.SubscriptionID]int{}})
		equal(t, "of another shard", len(listEntries(t, state, other)), 2)
		dropShard(t, state, shard) // again, without effect
	}
	if err := state.DropShard(shard, nil); err != nil {
		t.Errorf("DropShard without done: %v", err)
	}
}

// Nothing is waited for.
func entriesDropOrder(t *testing.T, state EntryState) {
	shard := engine.ShardOf(sub)
	var order []int
	done := make(chan struct{})
	for i := range 5 {
		steps := []func(done func()) error{
			func(done func()) error { return state.MergeEntries(tombstones(sub, 9, 1200), nil, done) },
			func(done func()) error { return state.MergeEntries(entriesOf(t, 9, retryOf(1, 1)), nil, done) },
			func(done func()) error { return state.DropShard(shard, done) },
			func(done func()) error { return state.Write(nil, done) },
			// Older than what was dropped, of which nothing is left.
			func(done func()) error { return state.MergeEntries(entriesOf(t, 1, retryOf(1, i)), nil, done) },
		}
		for n, step := range steps {
			if err := step(func() { order = append(order, i*len(steps)+n) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := state.Write(nil, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
	if len(order) != 25 || !slices.IsSorted(order) {
		t.Errorf("done in order %v", order)
	}
	equal(t, "entries", listEntries(t, state, sub), entriesOf(t, 1, retryOf(1, 4)))
	equal(t, "retry records", retries(t, state, sub), []engine.RetryRecord{retryOf(1, 4).RetryRecord})
}

func entriesRegister(t *testing.T, state EntryState) {
	const records = 1300
	var all []engine.Write
	for i := range records {
		put := engine.Write(retryOf(uint64(i), i))
		if i%4 == 0 {
			put = deadOf(uint64(i), day)
		}
		all = append(all, put)
	}
	all = append(all, queueOf(records))
	for group := range slices.Chunk(all, 500) {
		write(t, state, group...)
	}
	replay := engine.Replay{ID: "rpl_1", Subscription: sub}
	expired := engine.PutExpired{Expired: exampleExpired(sub, 3, 7, 8)}
	write(t, state, engine.PutReplay{Replay: replay}, expired)
	before := load(t, state)
	registerAll(t, state, 7)
	want := append(entriesOf(t, 7, all...), replayOf(7, replay))
	want = append(want, entriesOf(t, 7, expired)...)
	equal(t, "entries", listEntries(t, state, sub), want)
	equal(t, "snapshot", load(t, state), before)
	registerAll(t, state, 8)
	equal(t, "once more", listEntries(t, state, sub), want)
}

func entriesRegisterAgain(t *testing.T, state EntryState) {
	merge(t, state, entriesOf(t, 9, retryOf(1, 1), dropOf(2), queueOf(1)))
	// A delivery that was under way when the process was killed may be both.
	write(t, state, retryOf(3, 5), deadOf(3, day))
	registerAll(t, state, 8)
	want := append(entriesOf(t, 9, retryOf(1, 1), dropOf(2)), append(entriesOf(t, 8, retryOf(3, 5)), entriesOf(t, 9, queueOf(1))...)...)
	equal(t, "entries", listEntries(t, state, sub), want)
	equal(t, "dead letters", deads(t, state, sub), []engine.DeadLetter(nil))
	// A record that a plain write took away is a tombstone of its register.
	write(t, state, dropOf(1))
	want[0].Value = nil
	equal(t, "after a plain drop", listEntries(t, state, sub), want)
	merge(t, state, entriesOf(t, 9, retryOf(1, 1)))
	equal(t, "merged again", retries(t, state, sub), []engine.RetryRecord{retryOf(1, 1).RetryRecord, retryOf(3, 5).RetryRecord})
}

func entriesSweepTombstones(t *testing.T, state EntryState) {
	at := func(d time.Duration) engine.Stamp { return engine.StampAt(day.Add(d).UnixMilli()) + 5 }
	old := entriesOf(t, at(0), dropOf(1), engine.DropQueue{Subscription: sub})
	young := entriesOf(t, at(time.Millisecond), dropOf(2))
	live := entriesOf(t, at(-1000*time.Hour), retryOf(3, 1), deadOf(4, day))
	again := entriesOf(t, at(-time.Hour), dropOf(5))
	merge(t, state, slices.Concat(old, young, live, again))
	revived := entriesOf(t, at(0), retryOf(5, 1))
	merge(t, state, revived)

	const kept = 24 * time.Hour
	all := len(listEntries(t, state, sub))
	sweepAll(t, state, day.Add(kept-time.Hour-time.Millisecond))
	equal(t, "while all are young", len(listEntries(t, state, sub)), all)
	want := slices.Concat(young, live, revived)
	sweepAll(t, state, day.Add(kept))
	equal(t, "at the end of the old ones", listEntries(t, state, sub), want)
	sweepAll(t, state, day.Add(kept+time.Hour-1))
	equal(t, "within an hour of the last pass", listEntries(t, state, sub), want)
	sweepAll(t, state, day.Add(kept+time.Hour))
	equal(t, "an hour on", listEntries(t, state, sub), want[1:])
	sweepAll(t, state, day.Add(kept+20*time.Hour))
	equal(t, "the live ones stay", listEntries(t, state, sub), want[1:])
	// The clock goes back: what is old then is swept all the same.
	merge(t, state, entriesOf(t, at(-48*time.Hour), dropOf(9)))
	sweepAll(t, state, day)
	equal(t, "after the clock went back", listEntries(t, state, sub), want[1:])
}

func entriesSweepSteps(t *testing.T, state EntryState) {
	const each, subs = 1300, 3
	ids, _ := subsOf(5, subs)
	for _, id := range ids {
		merge(t, state, tombstones(id, 1, each))
	}
	left := func() int { return len(listEntries(t, state, ids[0])) }
	calls := 0
	for more := true; more; calls++ {
		before := left()
		var err error
		if more, err = state.Sweep(t.Context(), day); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		if removed := before - left(); removed > 1000 {
			t.Errorf("one call removed %d, want at most 1000", removed)
		}
	}
	if left() != 0 || calls != 4 {
		t.Errorf("%d left after %d calls, want 0 after 4", left(), calls)
	}
}

func entriesSweepDead(t *testing.T, state EntryState) {
	old, young := deadOf(1, day), deadOf(2, day.Add(time.Hour))
	merge(t, state, entriesOf(t, 1, old, young, retryOf(3, 1)))
	sweepAll(t, state, day.Add(engine.DeadLetterRetention))
	equal(t, "entries", listEntries(t, state, sub), entriesOf(t, 1, young, retryOf(3, 1)))
	equal(t, "dead letters", deads(t, state, sub), []engine.DeadLetter{young.DeadLetter})
}
