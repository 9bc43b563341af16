package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// The history is a log: without its folder a member starts with every event, retry record
// and dead letter it had.
func TestHistoryMayBeDeleted(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	folder := openFolder(t, path)
	lane := filepath.Join(folder.Journal(), "shared")
	j := openJournal(t, lane, smallSegments(quiet()))
	state := openState(t, folder.State(), storage.StateOptions{})
	history := openHistory(t, folder.History(), storage.HistoryOptions{})
	storagetest.AppendEvents(t, j, 1, 3)
	due := engine.RetryRecord{Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: 1}, Attempts: 1}
	dead := engine.DeadLetter{Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: 2}, Attempts: 6}
	write(t, state, engine.PutRetryRecord{RetryRecord: due}, engine.PutDeadLetter{DeadLetter: dead})
	history.Record(attempt(1))
	for _, end := range []func() error{j.Close, state.Close, history.Close, folder.Close} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(path, "history")); err != nil {
		t.Fatal(err)
	}

	folder = openFolder(t, path)
	wantRecords(t, openJournal(t, lane, smallSegments(quiet())), upTo(3))
	state = openState(t, folder.State(), storage.StateOptions{})
	if got, found, err := state.RetryRecord(t.Context(), "sub_a", due.Key); !found || err != nil || got.Attempts != 1 {
		t.Errorf("RetryRecord: %+v, %v, %v", got, found, err)
	}
	if got, found, err := state.DeadLetter(t.Context(), "sub_a", dead.Key); !found || err != nil || got.Attempts != 6 {
		t.Errorf("DeadLetter: %+v, %v, %v", got, found, err)
	}
	history = openHistory(t, folder.History(), storage.HistoryOptions{})
	if got := listAttempts(t, history); len(got) != 0 {
		t.Errorf("%d attempts in a deleted history", len(got))
	}
	history.Record(attempt(2))
	if got := listAttempts(t, history); len(got) != 1 {
		t.Errorf("%d attempts in the new history, want 1", len(got))
	}
}
