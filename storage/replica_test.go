package storage_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// openReplica opens a replica that is closed with the test; a failed write fails the test.
func openReplica(tb testing.TB, dir string, first uint64, o storage.JournalOptions) *storage.Replica {
	tb.Helper()
	if o.Fatal == nil {
		o.Fatal = func(err error) { tb.Errorf("replica failed: %v", err) }
	}
	if o.Space == nil {
		o.Space = storage.NewFreeSpace(dir, 0, func(string) (uint64, error) { return math.MaxInt64, nil })
	}
	r, err := storage.OpenReplica(dir, testJournalID, first, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

// copySynced appends what a keeper has synced to a replica, limit bytes at a time, and waits
// until it is synced there.
func copySynced(tb testing.TB, from *storage.Journal, to *storage.Replica, limit int) {
	tb.Helper()
	synced := make(chan struct{})
	_, next := to.Bounds()
	for {
		frames, behind, err := from.ReadFrames(next, limit)
		if err != nil {
			tb.Fatalf("ReadFrames from %d: %v", next, err)
		}
		done := func() {}
		if behind == next {
			done = func() { close(synced) }
		}
		if err := to.AppendFrames(next, frames, done); err != nil {
			tb.Fatalf("AppendFrames from %d: %v", next, err)
		}
		if behind == next {
			<-synced
			return
		}
		next = behind
	}
}

// mirrored appends to a keeper, has the frames copied to a replica, and is done when they are
// synced there. Everything else is the replica.
type mirrored struct {
	*storage.Replica
	t      *testing.T
	keeper *storage.Journal
	copied uint64 // used by the keeper's writer alone
}

func (m *mirrored) Append(records []engine.Record, done func()) (first uint64, err error) {
	return m.keeper.Append(records, func() {
		for m.copied <= m.keeper.Synced() {
			frames, next, err := m.keeper.ReadFrames(m.copied, 10_000)
			if err == nil {
				err = m.AppendFrames(m.copied, frames, nil)
			}
			if err != nil {
				m.t.Errorf("copy from %d: %v", m.copied, err)
				return
			}
			m.copied = next
		}
		if err := m.AppendFrames(m.copied, nil, done); err != nil {
			m.t.Errorf("wait for the copy: %v", err)
		}
	})
}

func (m *mirrored) Close() error { return errors.Join(m.keeper.Close(), m.Replica.Close()) }

// A replica of a journal is read, trimmed and closed as the journal itself.
func TestReplica(t *testing.T) {
	t.Parallel()
	storagetest.Journal(t, func(t *testing.T) engine.Journal {
		t.Helper()
		o := storage.JournalOptions{SegmentBytes: suiteSegmentBytes}
		m := &mirrored{Replica: openReplica(t, t.TempDir(), 1, o), t: t, keeper: openJournal(t, t.TempDir(), o), copied: 1}
		t.Cleanup(func() { _ = m.keeper.Close() }) // before the replica, which it copies to
		return m
	})
}

func TestReplicaRefusesAppend(t *testing.T) {
	t.Parallel()
	r := openReplica(t, t.TempDir(), 5, oneSegment())
	event := storagetest.JournalEvent(1)
	if _, err := r.Append([]engine.Record{{Event: event}}, func() { t.Error("done was called") }); err == nil {
		t.Error("a replica took a record")
	}
	if _, next := r.Bounds(); next != 5 || event.ID != "" {
		t.Errorf("the refused append left next at %d, id %q", next, event.ID)
	}
}

func TestReplicaBeginsWhereItIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := storage.OpenReplica(dir, testJournalID, 0, oneSegment()); err == nil {
		t.Error("a replica began with 0")
	}
	for _, first := range []uint64{41, 7, 99} { // only the first time counts
		o := oneSegment()
		o.SyncedHint = 1000 // ignored
		r := openReplica(t, dir, first, o)
		if from, next := r.Bounds(); from != 41 || next != 41 || r.Synced() != 40 {
			t.Errorf("Bounds: got %d, %d, synced %d, want 41, 41, 40", from, next, r.Synced())
		}
		wantDamage(t, r.Journal)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// source gives a keeper's folder's ten records as frames, and where each begins.
func source(t *testing.T) (frames []byte, starts []int) {
	t.Helper()
	j := openJournal(t, t.TempDir(), oneSegment())
	storagetest.AppendEvents(t, j, 1, 10)
	frames, next, err := j.ReadFrames(1, math.MaxInt)
	if err != nil || next != 11 {
		t.Fatalf("ReadFrames: next %d, %v", next, err)
	}
	for at := 0; at < len(frames); {
		starts = append(starts, at)
		at += (24 + int(binary.LittleEndian.Uint32(frames[at:])) + 7) &^ 7
	}
	return frames, starts
}

// The caller may use its buffer again at once.
func TestAppendFramesCopies(t *testing.T) {
	t.Parallel()
	frames, _ := source(t)
	r := openReplica(t, t.TempDir(), 1, oneSegment())
	synced := make(chan struct{})
	kept := bytes.Clone(frames)
	if err := r.AppendFrames(1, frames, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	clear(frames)
	<-synced
	if got, _, err := r.ReadFrames(1, math.MaxInt); err != nil || !bytes.Equal(got, kept) {
		t.Errorf("read %d bytes, %v, want those that were appended", len(got), err)
	}
}

func TestManyAppendFramesShareOneSync(t *testing.T) {
	t.Parallel()
	frames, starts := source(t)
	var s syncs
	o := oneSegment()
	o.Observe = s.observe
	r := openReplica(t, t.TempDir(), 1, o)
	held, let := make(chan struct{}), make(chan struct{})
	if err := r.AppendFrames(1, frames[:starts[1]], func() { close(held); <-let }); err != nil {
		t.Fatal(err)
	}
	<-held
	var order []uint64
	for n := uint64(2); n <= 9; n++ {
		if err := r.AppendFrames(n, frames[starts[n-1]:starts[n]], func() { order = append(order, n) }); err != nil {
			t.Fatal(err)
		}
	}
	if r.Synced() != 1 {
		t.Errorf("Synced: got %d before the sync, want 1", r.Synced())
	}
	close(let)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.records, []int{1, 8}) || !slices.Equal(order, upTo(9)[1:]) {
		t.Errorf("syncs of %v records, done in order %v", s.records, order)
	}
	if err := r.AppendFrames(10, frames[starts[9]:], nil); engine.ErrorCode(err) != engine.CodeUnavailable {
		t.Errorf("after Close: %v, want unavailable", err)
	}
}

// What many calls wrote at once is found by its place and by its time.
func TestReplicaFindsItsPlaces(t *testing.T) {
	t.Parallel()
	const records = 900 // seven stretches of the index
	keeper := openJournal(t, t.TempDir(), storage.JournalOptions{})
	events := make([]engine.Record, records)
	for i := range events {
		events[i].Event = storagetest.JournalEvent(i + 1)
	}
	synced := make(chan struct{})
	if _, err := keeper.Append(events, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	<-synced
	r := openReplica(t, t.TempDir(), 1, storage.JournalOptions{})
	held, let := make(chan struct{}), make(chan struct{})
	if err := r.AppendFrames(1, nil, func() { close(held); <-let }); err != nil {
		t.Fatal(err)
	}
	<-held
	for next := uint64(1); next <= records; {
		frames, behind, err := keeper.ReadFrames(next, 200_000)
		if err == nil {
			err = r.AppendFrames(next, frames, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		next = behind
	}
	close(let)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, r.Journal, upTo(records))
	for n := records; n > 0; n-- {
		if got, err := r.Seek(storagetest.JournalEvent(n).AcceptedAt); err != nil || got != uint64(n) {
			t.Errorf("Seek the time of %d: got %d, %v", n, got, err)
		}
		if frames, next, err := r.ReadFrames(uint64(n), 1); err != nil || next != uint64(n)+1 || len(frames) == 0 {
			t.Errorf("ReadFrames from %d: next %d, %v", n, next, err)
		}
	}
}
