package storage_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"pannier/engine"
	"pannier/storage/storagetest"
)

// dataEnd is behind the last byte of the newest segment that is not zero.
func dataEnd(content []byte) int { return len(bytes.TrimRight(content, "\x00")) }

func TestTornTailIsCutAndLogged(t *testing.T) {
	t.Parallel()
	whole := killedJournal(t, 10, oneSegment())
	for _, test := range []struct {
		name string
		tear func(content []byte) []byte
		kept uint64
	}{
		{"the last record is cut short", func(c []byte) []byte { return c[:dataEnd(c)-300] }, 9},
		{"one byte is missing", func(c []byte) []byte { return c[:dataEnd(c)-1] }, 9},
		{"only its header was written", func(c []byte) []byte {
			at := bytes.LastIndex(c, []byte("trip.created"))
			clear(c[at:])
			return c
		}, 9},
		{"garbage behind the last record", func(c []byte) []byte {
			end := (dataEnd(c) + 7) &^ 7
			copy(c[end:], bytes.Repeat([]byte{0xab}, 5000))
			return c
		}, 10},
		{"a block in the middle of the last write is missing", func(c []byte) []byte {
			// The last write was never acknowledged: neither its first nor its last part counts.
			end := dataEnd(c)
			clear(c[end-900 : end-400])
			return c
		}, 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyJournal(t, whole)
			spoil(t, segmentFile(dir, 1), test.tear)
			log, logger := logged()
			j := openJournal(t, dir, smallSegments(logger))
			wantRecords(t, j, upTo(test.kept))
			wantDamage(t, j)
			if got := log.String(); strings.Count(got, "journal tail was torn by a crash and is cut") != 1 ||
				!strings.Contains(got, "journal=feed0123456789ab") {
				t.Errorf("logged %q, want the cut", got)
			}
			wantGoesOn(t, j, test.kept+1)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			silent, logger := logged()
			again := openJournal(t, dir, smallSegments(logger))
			wantRecords(t, again, upTo(test.kept+1))
			if silent.Len() > 0 {
				t.Errorf("the second start logged %q", silent)
			}
		})
	}
}

// What the state knows to be synced was acknowledged: it is damage, not a torn write.
func TestTailBelowTheHintIsDamage(t *testing.T) {
	t.Parallel()
	whole := killedJournal(t, 10, oneSegment())
	for _, test := range []struct {
		name string
		hint uint64
		cut  func(content []byte) []byte
	}{
		{"one record", 10, func(c []byte) []byte { return c[:dataEnd(c)-300] }},
		{"zeros", 10, func(c []byte) []byte { clear(c[dataEnd(c)-900:]); return c }},
		{"more than the file ever held", 25, func(c []byte) []byte { return c }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyJournal(t, whole)
			spoil(t, segmentFile(dir, 1), test.cut)
			log, logger := logged()
			o := oneSegment()
			o.Logger, o.SyncedHint = logger, test.hint
			j := openJournal(t, dir, o)
			lost := only(10, 10)
			if test.hint > 10 {
				lost = only(11, test.hint)
			}
			wantDamage(t, j, lost)
			wantRecords(t, j, upTo(test.hint, lost))
			if !strings.Contains(log.String(), "journal records damaged") {
				t.Errorf("the damage is not in the log: %q", log)
			}
			wantGoesOn(t, j, test.hint+1)
		})
	}
}

// A kill between making a segment and its first record leaves an empty file.
func TestEmptyNewestSegment(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 20)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := before[len(before)-1].Name()
	if !strings.Contains(last, "21.segment") {
		t.Fatalf("the newest file is %s, want the empty segment from 21 on", last)
	}
	for name, change := range map[string]func([]byte) []byte{
		"as it is":    func(c []byte) []byte { return c },
		"no header":   func([]byte) []byte { return nil },
		"half of one": func(c []byte) []byte { return c[:30] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyJournal(t, dir)
			spoil(t, segmentFile(dir, 21), change)
			j := openJournal(t, dir, smallSegments(quiet()))
			wantRecords(t, j, upTo(20))
			wantGoesOn(t, j, 21)
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(before) {
				t.Errorf("%d files, %v, want %d", len(entries), err, len(before))
			}
		})
	}
}

// A new segment whose predecessor was never sealed, because the kill came between the two.
func sameButBytes(a, b engine.Segment) bool {
	a.Bytes, b.Bytes = 0, 0
	return a == b
}

func TestUnsealedOlderSegment(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 40)
	j := openJournal(t, copyJournal(t, dir), smallSegments(quiet()))
	segments := j.Segments()
	second := segments[1]
	spoil(t, segmentFile(dir, second.First), func(c []byte) []byte { return c[:len(c)-64] })
	again := openJournal(t, dir, smallSegments(quiet()))
	if got := again.Segments(); !slices.EqualFunc(got, segments, sameButBytes) {
		t.Errorf("got %+v, want %+v", got, segments)
	}
	wantRecords(t, again, upTo(40))
	wantDamage(t, again)
}

// What was synced together says nothing of itself: only the state can tell that a hole in
// the last group is damage, and then the rest of the group is kept.
func TestDamageInTheLastGroup(t *testing.T) {
	t.Parallel()
	live := t.TempDir()
	j := openJournal(t, live, oneSegment())
	records := make([]engine.Record, 5)
	for i := range records {
		records[i].Event = storagetest.JournalEvent(i + 1)
	}
	synced := make(chan struct{})
	if _, err := j.Append(records, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	<-synced
	whole := copyJournal(t, live)
	flip(t, whole, 3)
	for _, test := range []struct {
		hint uint64
		want []uint64
		lost []engine.Range
	}{
		{5, []uint64{1, 2, 4, 5}, []engine.Range{only(3, 3)}},
		{0, []uint64{1, 2}, nil}, // to the journal alone it is a torn write
	} {
		o := oneSegment()
		o.SyncedHint = test.hint
		again := openJournal(t, copyJournal(t, whole), o)
		wantRecords(t, again, test.want)
		wantDamage(t, again, test.lost...)
	}
}
