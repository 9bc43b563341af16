package storagetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"pannier/engine"
)

// EntryState is a state that can be one of a cluster's.
type EntryState interface {
	engine.State
	MergeEntries(entries []engine.Entry, with []engine.Write, done func()) error
	Entries(ctx context.Context, shard int) ([]engine.Entry, error)
	EntryShards(ctx context.Context) ([]int, error)
	DropShard(shard int, done func()) error
	RegisterAll(ctx context.Context, stamp engine.Stamp) error
}

// OpenEntryState opens an empty state for one test and closes it at its end.
type OpenEntryState func(t *testing.T, clock engine.Clock) EntryState

// Entries is the conformance suite of the registers of a cluster.
func Entries(t *testing.T, open OpenEntryState) {
	tests := []struct {
		name string
		test func(*testing.T, EntryState)
	}{
		{"the latest write of a register wins", entriesWin},
		{"what won is what the state lists", entriesAreListed},
		{"what a former value had put is gone", entriesReplace},
		{"plain writes are in the same group", entriesWith},
		{"merges and writes keep their order", entriesOrder},
		{"entries come in order of their keys", entriesInOrder},
		{"the shards with entries are found", entriesShards},
		{"a dropped shard leaves nothing", entriesDrop},
		{"a dropped shard has its place in the order", entriesDropOrder},
		{"every record gets a register", entriesRegister},
		{"a register that is there stays", entriesRegisterAgain},
		{"old tombstones are swept", entriesSweepTombstones},
		{"old tombstones are swept in steps", entriesSweepSteps},
		{"swept dead letters take their registers along", entriesSweepDead},
		{"a merge past a bound is refused", entriesBounds},
		{"split entries fit", entriesSplit},
		{"a damaged entry is refused", entriesDamaged},
		{"a closed state is unavailable", entriesClosed},
		{"a cancelled call ends", entriesCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.test(t, open(t, fixedClock))
		})
	}
}

func entriesWin(t *testing.T, state EntryState) {
	at := func(stamp engine.Stamp, attempts int) []engine.Entry {
		return entriesOf(t, stamp, retryOf(1, attempts))
	}
	gone := func(stamp engine.Stamp) []engine.Entry { return entriesOf(t, stamp, dropOf(1)) }
	for _, step := range []struct {
		name    string
		entries []engine.Entry
		want    []engine.Entry
	}{
		{"the first", at(20, 1), at(20, 1)},
		{"an older one", at(19, 2), at(20, 1)},
		{"the same again", at(20, 1), at(20, 1)},
		{"of the same time, with a higher value", at(20, 3), at(20, 3)},
		{"of the same time, with a lower value", at(20, 2), at(20, 3)},
		{"a tombstone of the same time", gone(20), at(20, 3)},
		{"a later tombstone", gone(21), gone(21)},
		{"the same tombstone", gone(21), gone(21)},
		{"a value before the tombstone", at(20, 9), gone(21)},
		{"a value of the time of the tombstone", at(21, 1), at(21, 1)},
		{"two of one group, the later first", append(at(31, 1), at(30, 2)...), at(31, 1)},
		{"two of one group, the later last", append(at(40, 1), at(41, 2)...), at(41, 2)},
	} {
		merge(t, state, step.entries)
		equal(t, step.name, listEntries(t, state, sub), step.want)
	}
}

func entriesAreListed(t *testing.T, state EntryState) {
	carried := retryOf(2, 4)
	carried.Body = exampleEvent(engine.EventRef{Journal: 3, Sequence: 2})
	bare := deadOf(4, day)
	bare.Event = nil
	replay := engine.Replay{ID: "rpl_1", Subscription: sub, Since: day, Rate: 2.5, After: deliveryKey(1, 2, 3), Count: 12}
	entries := entriesOf(t, 7, retryOf(1, 1), carried, deadOf(3, day), bare, queueOf(2), dropOf(5))
	expired := exampleExpired(sub, 3, 7, 8)
	entries = append(entries, replayOf(8, replay))
	entries = append(entries, entriesOf(t, 8, engine.PutExpired{Expired: expired})...)
	merge(t, state, entries)

	equal(t, "retry records", retries(t, state, sub), []engine.RetryRecord{retryOf(1, 1).RetryRecord, carried.RetryRecord})
	equal(t, "dead letters", deads(t, state, sub), append([]engine.DeadLetter{deadOf(3, day).DeadLetter, bare.DeadLetter}, expired.Letters()...))
	equal(t, "snapshot", load(t, state), &engine.Snapshot{
		Queues: []engine.Queue{queueOf(2).Queue}, Replays: []engine.Replay{replay}, DeadCount: map[engine.SubscriptionID]int{sub: 4},
	})
	want := slices.Clone(entries)
	slices.SortStableFunc(want, func(a, b engine.Entry) int { return int(a.Kind) - int(b.Kind) })
	want[4], want[5] = entries[5], entries[4] // the tombstone is a delivery
	equal(t, "entries", listEntries(t, state, sub), want[:len(entries)])
}

func entriesReplace(t *testing.T, state EntryState) {
	key := deliveryKey(5, 3, 1)
	look := func(name string, retry, dead bool) {
		t.Helper()
		_, found, err := state.RetryRecord(t.Context(), sub, key)
		if err != nil || found != retry {
			t.Errorf("%s: retry record found %v, %v", name, found, err)
		}
		_, found, err = state.DeadLetter(t.Context(), sub, key)
		if err != nil || found != dead {
			t.Errorf("%s: dead letter found %v, %v", name, found, err)
		}
	}
	merge(t, state, entriesOf(t, 1, retryOf(1, 1)))
	look("failed", true, false)
	merge(t, state, entriesOf(t, 2, deadOf(1, day)))
	look("died", false, true)
	merge(t, state, entriesOf(t, 3, deadOf(1, day.Add(time.Hour))))
	look("died again", false, true)
	sweepAll(t, state, day.Add(engine.DeadLetterRetention))
	look("swept at the time of the first death", false, true)
	merge(t, state, entriesOf(t, 4, retryOf(1, 1)))
	look("retried", true, false)
	merge(t, state, entriesOf(t, 5, dropOf(1)))
	look("settled", false, false)
	merge(t, state, entriesOf(t, 6, deadOf(1, day)))
	merge(t, state, entriesOf(t, 7, dropOf(1)))
	look("a dead letter discarded", false, false)

	merge(t, state, entriesOf(t, 1, queueOf(2)))
	merge(t, state, entriesOf(t, 2, engine.DropQueue{Subscription: sub}))
	replay := replayOf(1, engine.Replay{ID: "rpl_1", Subscription: sub})
	merge(t, state, []engine.Entry{replay})
	replay.Stamp, replay.Value = 2, nil
	merge(t, state, []engine.Entry{replay})
	expired := exampleExpired(sub, 3, 7, 8)
	merge(t, state, entriesOf(t, 1, engine.PutExpired{Expired: expired}))
	merge(t, state, entriesOf(t, 2, engine.DropExpired{Subscription: sub, Key: expired.Key}))
	merge(t, state, entriesOf(t, 1, engine.PutExpired{Expired: exampleExpired(sub, 4, 7, 8)}))
	sweepAll(t, state, day.Add(engine.DeadLetterRetention))
	for _, e := range listEntries(t, state, sub) {
		if e.Kind == engine.EntryExpired && e.Value != nil {
			t.Errorf("the sweep left the register %+v", e)
		}
	}
	equal(t, "snapshot", load(t, state), &engine.Snapshot{DeadCount: map[engine.SubscriptionID]int{}})

	// A record of a single member loses to any entry.
	write(t, state, retryOf(2, 1), deadOf(3, day))
	merge(t, state, entriesOf(t, 0, deadOf(2, day), retryOf(3, 1)))
	equal(t, "retry records", retries(t, state, sub), []engine.RetryRecord{retryOf(3, 1).RetryRecord})
	equal(t, "dead letters", deads(t, state, sub), []engine.DeadLetter{deadOf(2, day).DeadLetter})
}

func entriesWith(t *testing.T, state EntryState) {
	mark := func(n uint64) engine.PutDropped { return engine.PutDropped{Batch: n} }
	merge(t, state, entriesOf(t, 5, retryOf(1, 1)), mark(1))
	merge(t, state, entriesOf(t, 4, retryOf(1, 2), retryOf(2, 2)), mark(2))
	merge(t, state, nil, mark(3))
	equal(t, "what is written whatever wins", load(t, state).Dropped, []uint64{1, 2, 3})
	equal(t, "entries", listEntries(t, state, sub), append(entriesOf(t, 5, retryOf(1, 1)), entriesOf(t, 4, retryOf(2, 2))...))
	if err := state.MergeEntries(nil, nil, nil); err != nil {
		t.Errorf("nothing merged: %v", err)
	}
}

// Nothing is waited for: what comes later finds what came before in the queue.
func entriesOrder(t *testing.T, state EntryState) {
	const rounds = 300
	var order []int
	done := make(chan struct{})
	for i := range rounds {
		note := func() { order = append(order, i) }
		var err error
		switch i % 3 {
		case 0:
			err = state.MergeEntries(entriesOf(t, engine.Stamp(i+3), retryOf(1, i)), nil, note)
		case 1: // older than what is queued
			err = state.MergeEntries(entriesOf(t, engine.Stamp(i-1), deadOf(1, day)), nil, note)
		default:
			err = state.Write([]engine.Write{engine.PutDropped{Batch: uint64(i)}}, note)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := state.Write(nil, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
	for i, got := range order {
		if got != i {
			t.Fatalf("done %d was called at place %d", got, i)
		}
	}
	equal(t, "entries", listEntries(t, state, sub), entriesOf(t, rounds, retryOf(1, rounds-3)))
	if got := load(t, state); len(order) != rounds || len(got.Dropped) != rounds/3 || len(got.DeadCount) != 0 {
		t.Errorf("%d done, %d plain writes, dead letters %v", len(order), len(got.Dropped), got.DeadCount)
	}
}
