package storage_test

import (
	"reflect"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

func TestEntries(t *testing.T) {
	t.Parallel()
	storagetest.Entries(t, func(t *testing.T, clock engine.Clock) storagetest.EntryState {
		t.Helper()
		return openState(t, t.TempDir(), storage.StateOptions{Clock: clock})
	})
}

func TestMemoryEntries(t *testing.T) {
	t.Parallel()
	storagetest.Entries(t, func(_ *testing.T, clock engine.Clock) storagetest.EntryState {
		return storage.NewMemoryState(clock)
	})
}

func retryEntry(t *testing.T, sequence uint64, stamp engine.Stamp) engine.Entry {
	t.Helper()
	entries, _, err := storage.EntriesOf([]engine.Write{engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
		Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: 1, Event: engine.EventRef{Journal: 1, Sequence: sequence}}, Attempts: 3,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	entries[0].Stamp = stamp
	return entries[0]
}

func mergeEntries(t *testing.T, state *storage.State, entries []engine.Entry, with ...engine.Write) {
	t.Helper()
	done := make(chan struct{})
	if err := state.MergeEntries(entries, with, func() { close(done) }); err != nil {
		t.Fatalf("MergeEntries: %v", err)
	}
	<-done
}

func TestEntriesAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := openState(t, dir, storage.StateOptions{})
	entries := []engine.Entry{retryEntry(t, 1, 5), retryEntry(t, 2, 6), retryEntry(t, 3, 7)}
	entries[1].Value = nil
	mergeEntries(t, state, entries, engine.PutDropped{Batch: 4})
	if commits, changes := state.Commits(), state.Changes(); commits != 1 || changes != 4 {
		t.Errorf("%d commits of %d changes, want one of 4", commits, changes)
	}
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	state = openState(t, dir, storage.StateOptions{})
	mergeEntries(t, state, []engine.Entry{retryEntry(t, 2, 5)}) // older than the tombstone
	shard := engine.ShardOf("sub_a")
	if got, err := state.Entries(t.Context(), shard); err != nil || !reflect.DeepEqual(got, entries) {
		t.Errorf("Entries = %+v, %v; want %+v", got, err, entries)
	}
	if got, err := state.EntryShards(t.Context()); err != nil || !reflect.DeepEqual(got, []int{shard}) {
		t.Errorf("EntryShards = %v, %v; want %d", got, err, shard)
	}
}

// What is queued when a state closes is committed whole, a dropped shard too.
func TestShardIsDroppedBeforeTheStateCloses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := openState(t, dir, storage.StateOptions{})
	for i := range 3 {
		var entries []engine.Entry
		for n := range 1000 {
			entries = append(entries, retryEntry(t, uint64(1000*i+n), 5))
		}
		mergeEntries(t, state, entries)
	}
	dropped := false
	if err := state.DropShard(engine.ShardOf("sub_a"), func() { dropped = true }); err != nil {
		t.Fatal(err)
	}
	if err := state.Close(); err != nil || !dropped {
		t.Fatalf("Close = %v, dropped %v", err, dropped)
	}
	state = openState(t, dir, storage.StateOptions{})
	if shards, err := state.EntryShards(t.Context()); err != nil || len(shards) > 0 {
		t.Errorf("EntryShards = %v, %v; want none", shards, err)
	}
	snapshot, err := state.Load(t.Context())
	records, listErr := state.RetryRecords(t.Context(), "sub_a", engine.DeliveryKey{}, 10)
	if err != nil || listErr != nil || len(records) > 0 || !reflect.DeepEqual(snapshot, &engine.Snapshot{DeadCount: map[engine.SubscriptionID]int{}}) {
		t.Errorf("left: %+v, %+v, %v, %v", snapshot, records, err, listErr)
	}
}

func TestMemoryEntriesInsideADone(t *testing.T) {
	t.Parallel()
	state := storage.NewMemoryState(time.Now)
	var order []int
	err := state.MergeEntries([]engine.Entry{retryEntry(t, 1, 1)}, nil, func() {
		if err := state.DropShard(engine.ShardOf("sub_a"), func() { order = append(order, 2) }); err != nil {
			t.Errorf("DropShard inside a done: %v", err)
		}
		order = append(order, 1)
	})
	if shards, listErr := state.EntryShards(t.Context()); err != nil || listErr != nil || len(shards) > 0 || !reflect.DeepEqual(order, []int{1, 2}) {
		t.Errorf("MergeEntries = %v, then shards %v, %v, done in order %v", err, shards, listErr, order)
	}
}
