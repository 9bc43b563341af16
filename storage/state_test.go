package storage_test

import (
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

func openState(t *testing.T, dir string, options storage.StateOptions) *storage.State {
	t.Helper()
	options.Logger = slog.New(slog.DiscardHandler)
	if options.Fatal == nil {
		options.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	state, err := storage.OpenState(dir, options)
	if err != nil {
		t.Fatalf("OpenState: %v", err)
	}
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return state
}

func TestState(t *testing.T) {
	t.Parallel()
	storagetest.State(t, func(t *testing.T, clock engine.Clock) engine.State {
		t.Helper()
		return openState(t, t.TempDir(), storage.StateOptions{Clock: clock})
	})
}

func TestMemoryState(t *testing.T) {
	t.Parallel()
	storagetest.State(t, func(_ *testing.T, clock engine.Clock) engine.State {
		return storage.NewMemoryState(clock)
	})
}

func write(t *testing.T, state engine.State, writes ...engine.Write) {
	t.Helper()
	done := make(chan struct{})
	if err := state.Write(writes, func() { close(done) }); err != nil {
		t.Fatalf("Write: %v", err)
	}
	<-done
}

func TestStateIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := openState(t, dir, storage.StateOptions{})
	record := engine.RetryRecord{Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: 1}, Attempts: 3}
	queue := engine.Queue{Subscription: "sub_a", Records: 1}
	write(t, state, engine.PutRetryRecord{RetryRecord: record}, engine.PutQueue{Queue: queue})
	write(t, state, engine.PutDropped{Batch: 4})
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	state = openState(t, dir, storage.StateOptions{})
	got, found, err := state.RetryRecord(t.Context(), "sub_a", record.Key)
	if err != nil || !found || !reflect.DeepEqual(got, record) {
		t.Errorf("RetryRecord = %+v, %v, %v; want %+v", got, found, err, record)
	}
	want := &engine.Snapshot{Queues: []engine.Queue{queue}, Dropped: []uint64{4}, DeadCount: map[engine.SubscriptionID]int{}}
	if snapshot, err := state.Load(t.Context()); err != nil || !reflect.DeepEqual(snapshot, want) {
		t.Errorf("Load = %+v, %v; want %+v", snapshot, err, want)
	}
}

func TestStateCountsWhatItWrites(t *testing.T) {
	t.Parallel()
	changes := make(chan int, 10)
	state := openState(t, t.TempDir(), storage.StateOptions{Observe: func(d time.Duration, n int) {
		if d <= 0 {
			t.Errorf("a commit took %v", d)
		}
		changes <- n
	}})
	write(t, state)
	if state.Commits() != 0 || state.Changes() != 0 {
		t.Errorf("nothing written: %d commits, %d changes", state.Commits(), state.Changes())
	}
	write(t, state, engine.PutDropped{Batch: 1}, engine.PutDropped{Batch: 2})
	write(t, state, engine.PutDropped{Batch: 3})
	if state.Commits() != 2 || state.Changes() != 3 {
		t.Errorf("%d commits, %d changes; want 2 and 3", state.Commits(), state.Changes())
	}
	if first, second := <-changes, <-changes; first != 2 || second != 1 {
		t.Errorf("observed %d and %d, want 2 and 1", first, second)
	}
}

// The largest write must fit one of Badger's transactions.
func TestLargestWritesAreCommitted(t *testing.T) {
	t.Parallel()
	state := openState(t, t.TempDir(), storage.StateOptions{})
	writes := make([]engine.Write, storage.MaxWriteChanges)
	for i := range writes {
		writes[i] = engine.PutQueue{Queue: engine.Queue{Subscription: engine.SubscriptionID(strconv.Itoa(i))}}
	}
	write(t, state, writes...)
	for size := storage.MaxWriteBytes; ; size-- {
		done := make(chan struct{})
		err := state.Write([]engine.Write{engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
			Subscription: "sub_a", Body: &engine.Event{Data: make([]byte, size)},
		}}}, func() { close(done) })
		if err == nil {
			<-done
			return
		}
		if engine.ErrorCode(err) != engine.CodeTooLarge || size < storage.MaxWriteBytes-1000 {
			t.Fatalf("%d bytes: %v", size, err)
		}
	}
}

func TestMemoryStateInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		state := storage.NewMemoryState(time.Now)
		var order []int
		err := state.Write([]engine.Write{engine.PutIdentity{Identity: engine.Identity{ID: "a", AcceptedAt: time.Now()}}}, func() {
			if err := state.Write(nil, func() { order = append(order, 2) }); err != nil {
				t.Errorf("Write inside a done: %v", err)
			}
			order = append(order, 1)
		})
		if err != nil || !slices.Equal(order, []int{1, 2}) {
			t.Errorf("Write = %v, done in order %v; want 1, 2 before it returns", err, order)
		}
		<-time.After(engine.IdentityWindow - 1) // the time of the bubble
		if found, err := state.Identities(t.Context(), []string{"a"}); len(found) != 1 || err != nil {
			t.Errorf("within the window: found %v, %v", found, err)
		}
		<-time.After(1)
		if found, err := state.Identities(t.Context(), []string{"a"}); len(found) != 0 || err != nil {
			t.Errorf("after the window: found %v, %v", found, err)
		}
	})
}
