package storagetest

import (
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// The steps that the suite of registers is made of, and the writes that it makes.

// entriesOf makes entries of writes, with a stamp.
func entriesOf(t *testing.T, stamp engine.Stamp, writes ...engine.Write) []engine.Entry {
	t.Helper()
	entries, rest, err := storage.EntriesOf(writes)
	if err != nil || len(rest) > 0 {
		t.Fatalf("EntriesOf: %v rest, %v", rest, err)
	}
	for i := range entries {
		entries[i].Stamp = stamp
	}
	return entries
}

// merge merges and waits for done.
func merge(t *testing.T, state EntryState, entries []engine.Entry, with ...engine.Write) {
	t.Helper()
	done := make(chan struct{})
	if err := state.MergeEntries(entries, with, func() { close(done) }); err != nil {
		t.Fatalf("MergeEntries: %v", err)
	}
	<-done
}

func dropShard(t *testing.T, state EntryState, shard int) {
	t.Helper()
	done := make(chan struct{})
	if err := state.DropShard(shard, func() { close(done) }); err != nil {
		t.Fatalf("DropShard: %v", err)
	}
	<-done
}

func registerAll(t *testing.T, state EntryState, stamp engine.Stamp) {
	t.Helper()
	if err := state.RegisterAll(t.Context(), stamp); err != nil {
		t.Fatalf("RegisterAll: %v", err)
	}
}

func listEntries(t *testing.T, state EntryState, sub engine.SubscriptionID) []engine.Entry {
	t.Helper()
	entries, err := state.Entries(t.Context(), engine.ShardOf(sub))
	if err != nil {
		t.Fatalf("Entries: %v", err)
	}
	return entries
}

func listShards(t *testing.T, state EntryState) []int {
	t.Helper()
	shards, err := state.EntryShards(t.Context())
	if err != nil {
		t.Fatalf("EntryShards: %v", err)
	}
	return shards
}

func sweepAll(t *testing.T, state EntryState, now time.Time) (calls int) {
	t.Helper()
	for more := true; more; calls++ {
		var err error
		if more, err = state.Sweep(t.Context(), now); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
	}
	return calls
}

// retries and deads are all there is of a subscription.
func retries(t *testing.T, state EntryState, sub engine.SubscriptionID) []engine.RetryRecord {
	t.Helper()
	records, err := state.RetryRecords(t.Context(), sub, deliveryKey(-1<<63, 0, 0), storage.MaxPage)
	if err != nil {
		t.Fatalf("RetryRecords: %v", err)
	}
	return records
}

func deads(t *testing.T, state EntryState, sub engine.SubscriptionID) []engine.DeadLetter {
	t.Helper()
	letters, err := state.DeadLetters(t.Context(), sub, deliveryKey(-1<<63, 0, 0), storage.MaxPage)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	return letters
}

const sub engine.SubscriptionID = "sub_a"

func retryOf(sequence uint64, attempts int) engine.PutRetryRecord {
	return engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
		Subscription: sub, Key: deliveryKey(5, 3, sequence), Attempts: attempts, Due: day, LastOutcome: engine.OutcomeFailure, LastStatus: 500,
	}}
}

func dropOf(sequence uint64) engine.DropRetryRecord {
	return engine.DropRetryRecord{Subscription: sub, Key: deliveryKey(5, 3, sequence)}
}

func deadOf(sequence uint64, diedAt time.Time) engine.PutDeadLetter {
	return engine.PutDeadLetter{DeadLetter: engine.DeadLetter{
		Subscription: sub, Key: deliveryKey(5, 3, sequence), Reason: engine.ReasonExhausted, Attempts: 6,
		LastOutcome: engine.OutcomeFailure, LastStatus: 500, DiedAt: diedAt, Event: exampleEvent(engine.EventRef{Journal: 3, Sequence: sequence}),
	}}
}

func queueOf(records int) engine.PutQueue {
	return engine.PutQueue{Queue: engine.Queue{Subscription: sub, NextDue: day, Records: records, OldestMilli: 5}}
}

func replayOf(stamp engine.Stamp, replay engine.Replay) engine.Entry {
	return engine.Entry{
		EntryKey: engine.EntryKey{Kind: engine.EntryReplay, Subscription: replay.Subscription, Key: replay.ID},
		Stamp:    stamp, Value: storage.EntryValue{Replay: &replay}.Encode(),
	}
}
