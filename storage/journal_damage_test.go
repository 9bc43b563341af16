package storage_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// where finds the body of an event in the files of a journal.
func where(t *testing.T, dir string, n int) (path string, offset int) {
	t.Helper()
	body := storagetest.JournalEvent(n).Data
	for first := uint64(n); first > 0; first-- {
		path = segmentFile(dir, first)
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if at := bytes.Index(content, body); at >= 0 {
			return path, at
		}
	}
	t.Fatalf("event %d is in no file", n)
	return "", 0
}

// spoil changes the bytes of a file.
func spoil(tb testing.TB, path string, change func(content []byte) []byte) {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// flip changes one bit of an event's body.
func flip(t *testing.T, dir string, n int) {
	t.Helper()
	path, at := where(t, dir, n)
	spoil(t, path, func(content []byte) []byte {
		content[at+20] ^= 4
		return content
	})
}

func only(from, through uint64) engine.Range { return engine.Range{From: from, Through: through} }

func TestDamagedRecordIsNamedAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	closed, killed := closedJournal(t, 40), killedJournal(t, 40, smallSegments(quiet()))
	open := killedJournal(t, 40, oneSegment())
	for _, test := range []struct {
		name  string
		dir   string
		spoil func(dir string)
		want  []engine.Range
	}{
		{"in a sealed segment", closed, func(dir string) { flip(t, dir, 5) }, []engine.Range{only(5, 5)}},
		{"the first and the last of all", closed, func(dir string) { flip(t, dir, 1); flip(t, dir, 40) }, []engine.Range{only(1, 1), only(40, 40)}},
		{"neighbours", closed, func(dir string) { flip(t, dir, 7); flip(t, dir, 8) }, []engine.Range{only(7, 8)}},
		{"in the segment that a kill left open", open, func(dir string) { flip(t, dir, 20) }, []engine.Range{only(20, 20)}},
		{"in a sealed segment after a kill", killed, func(dir string) { flip(t, dir, 3) }, []engine.Range{only(3, 3)}},
		{"a length that leads astray", closed, func(dir string) {
			path, at := where(t, dir, 6)
			spoil(t, path, func(content []byte) []byte {
				content[at-at%8-40] ^= 0xff
				copy(content[at-70:], bytes.Repeat([]byte{0xff}, 50))
				return content
			})
		}, []engine.Range{only(6, 6)}},
		{"zeros over two records", closed, func(dir string) {
			path, at := where(t, dir, 9)
			spoil(t, path, func(content []byte) []byte {
				clear(content[at : at+storagetest.JournalBodyBytes+200])
				return content
			})
		}, []engine.Range{only(9, 10)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyJournal(t, test.dir)
			test.spoil(dir)
			log, logger := logged()
			o := smallSegments(logger)
			o.SyncedHint = 40
			j := openJournal(t, dir, o)
			wantRecords(t, j, upTo(40, test.want...))
			wantDamage(t, j, test.want...)
			for _, r := range test.want {
				if _, err := j.Get(r.From); engine.ErrorCode(err) != engine.CodeNotFound {
					t.Errorf("Get %d: %v, want not_found", r.From, err)
				}
			}
			if !strings.Contains(log.String(), "journal records damaged") {
				t.Errorf("the damage is not in the log: %q", log)
			}
			wantGoesOn(t, j, 41)
		})
	}
}

// The state knows nothing yet, but the records behind the hole say that it had been synced.
func TestDamageIsToldByLaterRecords(t *testing.T) {
	t.Parallel()
	dir := killedJournal(t, 40, oneSegment())
	flip(t, dir, 20)
	flip(t, dir, 31)
	j := openJournal(t, dir, oneSegment())
	wantDamage(t, j, only(20, 20), only(31, 31))
	wantRecords(t, j, upTo(40, only(20, 20), only(31, 31)))
	wantGoesOn(t, j, 41)
}

func TestDamagedHeaderAndFooterLoseNothing(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 40)
	for _, first := range []uint64{1, firstOfLast(t, dir)} {
		spoil(t, segmentFile(dir, first), func(content []byte) []byte {
			content[3] ^= 1
			content[len(content)-5] ^= 1
			return content
		})
	}
	log, logger := logged()
	j := openJournal(t, dir, smallSegments(logger))
	wantRecords(t, j, upTo(40))
	wantDamage(t, j)
	if !strings.Contains(log.String(), "damaged header") {
		t.Errorf("the damage is not in the log: %q", log)
	}
	if s := j.Segments()[0]; !s.FirstAt.Equal(storagetest.JournalEvent(1).AcceptedAt) || s.FirstRevision != 101 {
		t.Errorf("segment %+v, want it described as before", s)
	}
	wantGoesOn(t, j, 41)
}

// firstOfLast is the first sequence of the newest segment with records.
func firstOfLast(t *testing.T, dir string) uint64 {
	t.Helper()
	j := openJournal(t, copyJournal(t, dir), smallSegments(quiet()))
	segments := j.Segments()
	return segments[len(segments)-1].First
}

func TestLostSegmentIsNamed(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 60)
	j := openJournal(t, dir, smallSegments(quiet()))
	segments := j.Segments()
	gone := segments[1]
	want := only(gone.First, gone.Last)
	if err := os.Remove(segmentFile(dir, gone.First)); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, j, upTo(60, want)) // it was open when the file went
	wantDamage(t, j, want)

	again := openJournal(t, copyJournal(t, dir), smallSegments(quiet()))
	wantDamage(t, again, want)
	wantRecords(t, again, upTo(60, want))
}

func TestSeekStepsOverDamage(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 40)
	flip(t, dir, 10)
	j := openJournal(t, dir, smallSegments(quiet()))
	for n, want := range map[int]uint64{9: 9, 10: 11, 11: 11} {
		if got, err := j.Seek(storagetest.JournalEvent(n).AcceptedAt); got != want || err != nil {
			t.Errorf("Seek the time of %d: got %d, %v, want %d", n, got, err, want)
		}
	}
}

// A bit that flips anywhere in a journal of which the state knows how far it was synced is
// either harmless or takes records away by name: it never changes one, hides one in
// silence or lets a sequence be used twice.
func TestNoFlippedBitIsSilent(t *testing.T) {
	t.Parallel()
	const records = 30
	folders := []string{closedJournal(t, records), killedJournal(t, records, smallSegments(quiet()))}
	rapid.Check(t, func(r *rapid.T) {
		dir := copyJournal(t, rapid.SampledFrom(folders).Draw(r, "folder"))
		entries, err := os.ReadDir(dir)
		if err != nil {
			r.Fatal(err)
		}
		path := dir + "/" + rapid.SampledFrom(entries).Draw(r, "file").Name()
		spoil(t, path, func(content []byte) []byte {
			// What was allocated ahead is zero: beyond a little of it nothing new happens.
			end := len(bytes.TrimRight(content, "\x00")) + 64
			at := rapid.IntRange(0, min(end, len(content))-1).Draw(r, "byte")
			content[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
			return content
		})
		o := smallSegments(quiet())
		o.SyncedHint = records
		j, err := storage.OpenJournal(dir, testJournalID, o)
		if err != nil {
			return // refused by name; nothing is lost in silence
		}
		defer j.Close()
		checkNothingSilent(r, j, records)
	})
}

func checkNothingSilent(r *rapid.T, j *storage.Journal, records uint64) {
	read := make(map[uint64]bool)
	_, err := j.Read(1, int(records)+1, func(sequence uint64, record engine.Record) bool {
		want := storagetest.JournalEvent(int(sequence))
		if record.Event == nil || !bytes.Equal(record.Event.Data, want.Data) || !record.Event.AcceptedAt.Equal(want.AcceptedAt) {
			r.Errorf("record %d is not what was written", sequence)
		}
		read[sequence] = true
		return true
	})
	if err != nil {
		r.Fatalf("Read: %v", err)
	}
	damaged := j.Damage()
	for sequence := uint64(1); sequence <= records; sequence++ {
		named := slices.ContainsFunc(damaged, func(d engine.Range) bool { return d.From <= sequence && sequence <= d.Through })
		if read[sequence] == named {
			r.Errorf("sequence %d: read %v, named as damaged %v", sequence, read[sequence], named)
		}
	}
	if _, next := j.Bounds(); next != records+1 {
		r.Errorf("next is %d, want %d", next, records+1)
	}
	if got, err := j.Seek(time.Time{}); err != nil || got > records+1 {
		r.Errorf("Seek: %d, %v", got, err)
	}
}
