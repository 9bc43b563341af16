package storage_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"sync"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// allFrames reads the frames from a sequence on in pages of about limit bytes.
func allFrames(tb testing.TB, j *storage.Journal, from uint64, limit int) (all []byte, next uint64) {
	tb.Helper()
	for {
		frames, next, err := j.ReadFrames(from, limit)
		if err != nil {
			tb.Fatalf("ReadFrames from %d: %v", from, err)
		}
		if next == from {
			return all, next
		}
		all, from = append(all, frames...), next
	}
}

func wantMissing(t *testing.T, j *storage.Journal, from, next uint64) {
	t.Helper()
	frames, stays, err := j.ReadFrames(from, math.MaxInt)
	var missing *storage.MissingError
	if !errors.As(err, &missing) || *missing != (storage.MissingError{From: from, Next: next}) || frames != nil || stays != from {
		t.Errorf("ReadFrames from %d: got %d bytes, next %d, %v, want that it goes on at %d", from, len(frames), stays, err, next)
	}
}

// wantFrames checks which records the frames from a sequence on hold.
func wantFrames(t *testing.T, j *storage.Journal, from, behind uint64) {
	t.Helper()
	frames, next, err := j.ReadFrames(from, math.MaxInt)
	if err != nil || next != behind {
		t.Fatalf("ReadFrames from %d: next %d, %v, want %d", from, next, err, behind)
	}
	r := openReplica(t, t.TempDir(), max(from, 1), oneSegment())
	if err := r.AppendFrames(max(from, 1), frames, nil); err != nil {
		t.Errorf("frames from %d: %v", from, err)
	}
	if _, got := r.Bounds(); got != behind {
		t.Errorf("frames from %d to %d, want %d", from, got, behind)
	}
}

// The frames are the bytes of the files.
func TestReadFramesGivesWhatIsOnDisk(t *testing.T) {
	t.Parallel()
	const records = 60
	dir := t.TempDir()
	j := openJournal(t, dir, smallSegments(quiet()))
	storagetest.AppendEvents(t, j, 1, records)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, s := range j.Segments() {
		content, err := os.ReadFile(segmentFile(dir, s.First))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, content[64:len(content)-64]...)
	}
	again := openJournal(t, dir, smallSegments(quiet()))
	for _, limit := range []int{-1, 0, 1, 1500, 5000, 20_000, math.MaxInt} {
		for _, j := range []*storage.Journal{j, again} {
			if got, next := allFrames(t, j, 1, limit); !bytes.Equal(got, want) || next != records+1 {
				t.Errorf("limit %d: got %d bytes, next %d, want %d and %d", limit, len(got), next, len(want), records+1)
			}
		}
	}
}

func TestReadFramesKeepsTheLimit(t *testing.T) {
	t.Parallel()
	j := openJournal(t, t.TempDir(), smallSegments(quiet()))
	storagetest.AppendEvents(t, j, 1, 40)
	one, _, err := j.ReadFrames(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := len(one)
	for from := uint64(1); from <= 31; from++ {
		for limit, want := range map[int]uint64{0: 1, size - 1: 1, size: 1, 3 * size: 3, 4*size - 1: 3, 9 * size: 9} {
			frames, next, err := j.ReadFrames(from, limit)
			if err != nil || next != from+want || len(frames) != int(want)*size {
				t.Errorf("from %d, limit %d: got %d bytes, next %d, %v, want %d records", from, limit, len(frames), next, err, want)
			}
		}
	}
	for _, from := range []uint64{41, 42, 1 << 60} {
		if frames, next, err := j.ReadFrames(from, size); err != nil || next != from || len(frames) > 0 {
			t.Errorf("behind the end, from %d: got %d bytes, next %d, %v", from, len(frames), next, err)
		}
	}
	wantFrames(t, j, 0, 41)
}

func TestReadFramesStopsAtAHole(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 60)
	for _, n := range []int{10, 11, 60} {
		flip(t, dir, n)
	}
	log, logger := logged()
	j := openJournal(t, dir, smallSegments(logger))
	segments := j.Segments()
	gone := segments[2]
	if err := os.Remove(segmentFile(dir, gone.First)); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, j, 1, 10)
	wantMissing(t, j, 10, 12)
	wantMissing(t, j, 11, 12)
	wantFrames(t, j, 12, gone.First)
	wantMissing(t, j, gone.First, gone.Last+1)
	wantMissing(t, j, gone.Last, gone.Last+1)
	wantFrames(t, j, gone.Last+1, 60)
	wantMissing(t, j, 60, 61)
	wantDamage(t, j, only(10, 11), only(gone.First, gone.Last), only(60, 60))
	if !bytes.Contains(log.Bytes(), []byte("journal records damaged")) {
		t.Errorf("the damage is not in the log: %q", log)
	}
	storagetest.AppendEvents(t, j, 61, 61)
	wantMissing(t, j, 60, 61)
	wantFrames(t, j, 61, 62)
}

// What the state knows to be synced and the files do not have is missing, too.
func TestReadFramesBelowTheHint(t *testing.T) {
	t.Parallel()
	o := smallSegments(quiet())
	o.SyncedHint = 25
	j := openJournal(t, closedJournal(t, 20), o)
	wantFrames(t, j, 20, 21)
	wantMissing(t, j, 21, 26)
	wantMissing(t, j, 25, 26)
	wantFrames(t, j, 26, 26)
}

func TestReadFramesOfWhatWasTrimmed(t *testing.T) {
	t.Parallel()
	j := openJournal(t, closedJournal(t, 60), smallSegments(quiet()))
	segments := j.Segments()
	for _, s := range segments {
		if err := j.Trim(s); err != nil {
			t.Fatal(err)
		}
		wantMissing(t, j, 1, s.Last+1)
		wantMissing(t, j, s.Last, s.Last+1)
		wantFrames(t, j, s.Last+1, 61)
	}
	wantDamage(t, j)
}

// Readers of frames see what is synced, whole, while the journal is appended to, rolls and
// is trimmed.
func TestReadFramesBesideAppendsAndTrims(t *testing.T) {
	t.Parallel()
	const records = 600
	j := openJournal(t, t.TempDir(), smallSegments(quiet()))
	var working sync.WaitGroup
	working.Go(func() {
		for n := 1; n <= records; n += 3 {
			three := []engine.Record{{Event: storagetest.JournalEvent(n)}, {Event: storagetest.JournalEvent(n + 1)}, {Event: storagetest.JournalEvent(n + 2)}}
			synced := make(chan struct{})
			if _, err := j.Append(three, func() { close(synced) }); err != nil {
				t.Error(err)
				return
			}
			<-synced
			if s := j.Segments(); len(s) > 3 {
				if err := j.Trim(s[0]); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2 {
		r := openReplica(t, t.TempDir(), 1, smallSegments(quiet()))
		working.Go(func() { followToTheEnd(t, j, r, records) })
	}
	working.Wait()
	wantDamage(t, j)
}

// followToTheEnd copies without a pause, and begins anew where the keeper was trimmed.
func followToTheEnd(t *testing.T, j *storage.Journal, r *storage.Replica, through uint64) {
	t.Helper()
	for next := uint64(1); next <= through; {
		frames, behind, err := j.ReadFrames(next, 4000)
		var missing *storage.MissingError
		if errors.As(err, &missing) && missing.Next > next {
			next = missing.Next
			r = openReplica(t, t.TempDir(), next, smallSegments(quiet()))
			continue
		}
		if err == nil && behind-1 > j.Synced() {
			t.Errorf("read through %d, synced is %d", behind-1, j.Synced())
		}
		if err == nil {
			err = r.AppendFrames(next, frames, nil)
		}
		if err != nil {
			t.Errorf("from %d: %v", next, err)
			return
		}
		next = behind
	}
}
