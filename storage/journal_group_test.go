package storage_test

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// syncs counts what Observe is told; the writer alone adds to it, and it is read when the
// journal is closed.
type syncs struct{ records []int }

func (s *syncs) observe(_ time.Duration, records int) { s.records = append(s.records, records) }

// holdWriter appends one event and returns when the writer stands still in its done, so
// that everything appended until release waits for one sync.
func holdWriter(t *testing.T, j *storage.Journal) (release func()) {
	t.Helper()
	held, let := make(chan struct{}), make(chan struct{})
	_, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(0)}}, func() { close(held); <-let })
	if err != nil {
		t.Fatal(err)
	}
	<-held
	return sync.OnceFunc(func() { close(let) })
}

func TestManyProducersShareOneSync(t *testing.T) {
	t.Parallel()
	const producers = 100
	var s syncs
	j := openJournal(t, t.TempDir(), storage.JournalOptions{Observe: s.observe})
	release := holdWriter(t, j)
	var answered sync.WaitGroup
	for n := range producers {
		answered.Add(1)
		if _, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(n)}, {Event: storagetest.JournalEvent(n)}}, answered.Done); err != nil {
			t.Fatal(err)
		}
	}
	if got := j.Synced(); got != 1 {
		t.Errorf("Synced: got %d before the sync, want 1", got)
	}
	if sequences, _ := storagetest.ReadJournal(t, j.Read, 1); len(sequences) != 1 {
		t.Errorf("readers see %v before the sync, want 1 record", sequences)
	}
	release()
	answered.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.records) != 2 || s.records[0] != 1 || s.records[1] != 2*producers {
		t.Errorf("syncs of %v records, want one of 1 and one of %d", s.records, 2*producers)
	}
}

// Where many shared the last sync the next one waits for most of them, but not for long, and
// the one after it for nobody.
func TestASyncWaitsForMostOfTheLast(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		shared, next int
		want         time.Duration
	}{
		{"few", 15, 1, 0},
		{"many, and one comes back", 16, 1, 2 * time.Millisecond},
		{"many, and fewer than most come back", 16, 13, 2 * time.Millisecond},
		{"many, and most come back", 16, 14, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := openJournal(t, t.TempDir(), storage.JournalOptions{})
				release := holdWriter(t, j)
				appendAtOnce(t, j, test.shared, release)
				for _, want := range []time.Duration{test.want, 0} {
					begin := time.Now()
					appendAtOnce(t, j, test.next, func() {})
					if got := time.Since(begin); got != want {
						t.Errorf("synced after %v, want %v", got, want)
					}
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// A journal that is closed while its writer waits for more writes what is there at once.
func TestCloseWhileASyncWaitsForMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, t.TempDir(), storage.JournalOptions{})
		appendAtOnce(t, j, 16, holdWriter(t, j))
		synced := false
		if _, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(1)}}, func() { synced = true }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // now the writer waits for thirteen more
		begin := time.Now()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begin); !synced || got != 0 {
			t.Errorf("closed after %v, synced: %t, want at once and true", got, synced)
		}
	})
}

// appendAtOnce appends n events, calls then, and returns when they are synced.
func appendAtOnce(t *testing.T, j *storage.Journal, n int, then func()) {
	t.Helper()
	var synced sync.WaitGroup
	for range n {
		synced.Add(1)
		if _, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(n)}}, synced.Done); err != nil {
			t.Fatal(err)
		}
	}
	then()
	synced.Wait()
}

func TestAnIdleJournalSyncsAtOnce(t *testing.T) {
	t.Parallel()
	var s syncs
	j := openJournal(t, t.TempDir(), storage.JournalOptions{Observe: s.observe})
	storagetest.AppendEvents(t, j, 1, 5)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.records) != 5 {
		t.Errorf("syncs of %v records, want five of one", s.records)
	}
}

// largeEvent fills most of what one record may hold.
func largeEvent() *engine.Event {
	e := storagetest.JournalEvent(1)
	e.Data = make(json.RawMessage, storage.MaxRecordBytes-1000)
	return e
}

func TestAppendWaitsPastTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const fit = 9 // the ninth goes past 8 MiB
		j := openJournal(t, t.TempDir(), storage.JournalOptions{})
		release := holdWriter(t, j)
		defer release()
		for range fit {
			if _, err := j.Append([]engine.Record{{Event: largeEvent()}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		returned := make(chan error, 1)
		go func() {
			_, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(2)}}, nil)
			returned <- err
		}()
		synctest.Wait()
		select {
		case err := <-returned:
			t.Fatalf("an append past the bound did not wait: %v", err)
		default:
		}
		release()
		if err := <-returned; err != nil {
			t.Errorf("when there was room: %v", err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got := j.Synced(); got != 1+fit+1 {
			t.Errorf("Synced: got %d, want %d", got, 1+fit+1)
		}
	})
}

func TestCloseRefusesAWaitingAppend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, t.TempDir(), storage.JournalOptions{})
		release := holdWriter(t, j)
		defer release()
		for range 9 {
			if _, err := j.Append([]engine.Record{{Event: largeEvent()}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		returned, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(2)}}, func() { t.Error("done was called") })
			returned <- err
		}()
		synctest.Wait()
		go func() { closed <- j.Close() }()
		if err := <-returned; engine.ErrorCode(err) != engine.CodeUnavailable {
			t.Errorf("Append = %v, want unavailable", err)
		}
		release()
		if err := <-closed; err != nil || j.Synced() != 10 {
			t.Errorf("Close = %v, synced %d, want the 10 that were taken", err, j.Synced())
		}
	})
}

func TestOneAppendMayBeLargerThanTheBound(t *testing.T) {
	t.Parallel()
	j := openJournal(t, t.TempDir(), storage.JournalOptions{})
	records := make([]engine.Record, 12)
	for i := range records {
		records[i].Event = largeEvent()
	}
	synced := make(chan struct{})
	if _, err := j.Append(records, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	<-synced
	if record, err := j.Get(12); err != nil || len(record.Event.Data) != len(records[11].Event.Data) {
		t.Errorf("Get: %v", err)
	}
}

func TestAppendIsRefusedBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	free := uint64(storage.DefaultReserve - 1)
	space := storage.NewFreeSpace("/data", 0, func(dir string) (uint64, error) {
		if dir != "/data" {
			t.Errorf("asked for %q", dir)
		}
		return free, nil
	})
	j := openJournal(t, t.TempDir(), storage.JournalOptions{Space: space})
	event := storagetest.JournalEvent(1)
	_, err := j.Append([]engine.Record{{Event: event}}, func() { t.Error("done was called") })
	var full *engine.Error
	if !errors.As(err, &full) || full.Code != engine.CodeStorageFull || full.RetryAfter <= 0 {
		t.Errorf("Append = %v, want storage_full with a time to wait", err)
	}
	if _, next := j.Bounds(); next != 1 || event.ID != "" {
		t.Errorf("the refused append left next at %d, id %q", next, event.ID)
	}
}
