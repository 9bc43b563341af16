package storage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"math"
	"testing"

	"pannier/engine"
)

// frameSeeds are frames of every shape of record from a sequence on.
func frameSeeds(first uint64) []byte {
	var frames []byte
	for i, payload := range recordSeeds()[:4] {
		start := len(frames)
		sequence := first + uint64(i)
		frames = endFrame(append(beginFrame(frames), payload...), start, frameSeed(fuzzRef.Journal), sequence, sequence-1)
	}
	return frames
}

// repaired gives frames whose checks hold wherever the lengths lead to a frame.
func repaired(frames []byte, first uint64) []byte {
	frames = bytes.Clone(frames)
	for at := 0; at+minFrameBytes <= len(frames); first++ {
		h := parseFrameHeader(frames[at:])
		h.length %= 200
		if end := at + frameHeaderBytes + int(h.length); end <= len(frames) {
			binary.LittleEndian.PutUint32(frames[at:], h.length)
			binary.LittleEndian.PutUint64(frames[at+8:], first)
			binary.LittleEndian.PutUint32(frames[at+4:], crc32.Update(frameSeed(fuzzRef.Journal), castagnoli, frames[at+8:end]))
			clear(frames[end:min(at+int(h.size()), len(frames))])
		}
		at += int(h.size())
	}
	return frames
}

// FuzzAppendFrames takes any bytes for frames, as they are and with checks that hold. What is
// taken is whole: a scanner finds each frame where it should be and nothing beside them, each
// record can be described, and copying them once more gives the same bytes. What is refused
// leaves the replica as it was.
func FuzzAppendFrames(f *testing.F) {
	r, err := OpenReplica(f.TempDir(), fuzzRef.Journal, 1, JournalOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = r.Close() })
	for _, first := range []uint64{1, fuzzRef.Sequence, 1 << 40} {
		seed := frameSeeds(first)
		f.Add(first, seed, false)
		f.Add(first, seed[:len(seed)-1], true)
		f.Add(first, append(seed, 1), false)
		f.Add(first+1, seed, true)
	}
	f.Add(uint64(1), []byte{}, false)
	f.Fuzz(func(t *testing.T, first uint64, frames []byte, repair bool) {
		if repair {
			frames = repaired(frames, first)
		}
		g, err := r.examine(first, frames)
		if err != nil {
			_, before := r.Bounds()
			if r.AppendFrames(first, frames, nil) == nil {
				t.Error("taken in spite of", err)
			}
			if _, next := r.Bounds(); next != before {
				t.Errorf("next went from %d to %d", before, next)
			}
			return
		}
		checkTaken(t, g, first, frames)
	})
}

func checkTaken(t *testing.T, g group, first uint64, frames []byte) {
	t.Helper()
	if first == 0 {
		return // a scanner knows no such sequence, and no replica ends there
	}
	last := first + uint64(g.records) - 1
	sc := newScanner(bytes.NewReader(frames), frameSeed(fuzzRef.Journal), 0, int64(len(frames)), first, last)
	defer sc.release()
	sc.lost = func(from, through uint64, _ int64) { t.Errorf("%d to %d are missing", from, through) }
	c := frameCopy{next: first, before: math.MaxUint64, limit: len(frames)}
	for range g.records {
		f, ok, err := sc.scan()
		if !ok || err != nil || !c.take(f, int64(len(frames))) {
			t.Fatalf("no frame of sequence %d: %v", c.next, err)
		}
		if f.sequence == first && (len(g.marks) == 0 || g.marks[0].sequence != first || g.marks[0].offset != 0) {
			t.Errorf("marks %v, want the first at 0", g.marks)
		}
		record := readRecord(&valueReader{b: f.payload()}, engine.EventRef{}, nil)
		if record.Event == nil && record.Request == nil {
			t.Errorf("sequence %d holds no record", f.sequence)
		}
	}
	if sc.offset != int64(len(frames)) || !bytes.Equal(c.frames, frames) {
		t.Errorf("frames end at %d and are copied as %d bytes, want %d", sc.offset, len(c.frames), len(frames))
	}
	if g.records > 0 && g.last != last {
		t.Errorf("the last sequence is %d, want %d", g.last, last)
	}
}
