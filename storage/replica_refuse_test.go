package storage_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// wantRefused checks that an append fails and changes nothing.
func wantRefused(t *testing.T, r *storage.Replica, first uint64, frames []byte) error {
	t.Helper()
	_, before := r.Bounds()
	err := r.AppendFrames(first, frames, func() { t.Error("done was called") })
	if err == nil {
		t.Error("the frames were taken")
	}
	if _, next := r.Bounds(); next != before {
		t.Errorf("next is %d after a refusal, want %d", next, before)
	}
	return err
}

func TestAppendFramesRefusesOtherBytes(t *testing.T) {
	t.Parallel()
	frames, starts := source(t)
	other, err := storage.OpenJournal(t.TempDir(), testJournalID+1, oneSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	storagetest.AppendEvents(t, other, 1, 1)
	foreign, _, err := other.ReadFrames(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := openReplica(t, dir, 1, oneSegment())
	for name, bad := range map[string][]byte{
		"of another journal":       foreign,
		"the last cut short":       frames[:len(frames)-8],
		"half a header":            frames[:starts[9]+12],
		"without its padding":      frames[:starts[1]-1],
		"trailing zeros":           append(slices.Clone(frames), make([]byte, 8)...),
		"trailing bytes":           append(slices.Clone(frames), "12345678"...),
		"a frame twice":            append(slices.Clone(frames), frames[starts[9]:]...),
		"a frame missing":          slices.Delete(slices.Clone(frames), starts[4], starts[5]),
		"not from the beginning":   frames[starts[1]:],
		"from inside a frame":      frames[8:],
		"zeros":                    make([]byte, 64),
		"a length beyond a record": append(binary.LittleEndian.AppendUint32(nil, storage.MaxRecordBytes+1), make([]byte, storage.MaxRecordBytes+100)...),
	} {
		var gap *storage.GapError
		if err := wantRefused(t, r, 1, bad); errors.As(err, &gap) || engine.ErrorCode(err) != engine.CodeInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.AppendFrames(1, frames, nil); err != nil {
		t.Fatalf("the same frames as they were: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, r.Journal, upTo(10))
}

func TestAppendFramesRefusesAnyFlippedBit(t *testing.T) {
	t.Parallel()
	frames, starts := source(t)
	frames = frames[:starts[2]]
	r := openReplica(t, t.TempDir(), 1, oneSegment())
	for at := range frames {
		for bit := range 8 {
			frames[at] ^= 1 << bit
			if err := r.AppendFrames(1, frames, nil); err == nil {
				t.Fatalf("bit %d of byte %d flipped: taken", bit, at)
			}
			frames[at] ^= 1 << bit
		}
	}
}

func TestAppendFramesRefusesGapsAndOverlaps(t *testing.T) {
	t.Parallel()
	frames, starts := source(t)
	r := openReplica(t, t.TempDir(), 3, oneSegment())
	if err := r.AppendFrames(3, frames[starts[2]:starts[5]], nil); err != nil {
		t.Fatal(err)
	}
	for first, bad := range map[uint64][]byte{
		1: frames,                      // it has the first of them
		3: frames[starts[2]:starts[5]], // it has all of them
		8: frames[starts[7]:],          // it lacks some before
		7: nil,
		0: nil,
	} {
		var gap *storage.GapError
		if err := wantRefused(t, r, first, bad); !errors.As(err, &gap) || gap.Want != 6 || gap.Got != first {
			t.Errorf("from %d: got %v, want a gap at 6", first, err)
		}
	}
}

func TestAppendFramesIsBounded(t *testing.T) {
	t.Parallel()
	r := openReplica(t, t.TempDir(), 1, oneSegment())
	if err := wantRefused(t, r, 1, make([]byte, storage.MaxAppendFrames+1)); engine.ErrorCode(err) != engine.CodeTooLarge {
		t.Errorf("got %v, want too_large", err)
	}
	j := openJournal(t, t.TempDir(), storage.JournalOptions{})
	synced := make(chan struct{})
	if _, err := j.Append([]engine.Record{{Event: largeEvent()}, {Event: largeEvent()}}, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	<-synced
	copySynced(t, j, r, 1) // the largest record is copied whatever the limit
	if r.Synced() != 2 {
		t.Errorf("Synced: got %d, want 2", r.Synced())
	}
}

func TestAppendFramesIsRefusedBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	frames, _ := source(t)
	space := storage.NewFreeSpace("/data", 0, func(string) (uint64, error) { return storage.DefaultReserve - 1, nil })
	r := openReplica(t, t.TempDir(), 1, storage.JournalOptions{Space: space})
	if err := wantRefused(t, r, 1, frames); engine.ErrorCode(err) != engine.CodeStorageFull {
		t.Errorf("got %v, want storage_full", err)
	}
}
