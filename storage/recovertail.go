package storage

import (
	"fmt"
	"math"
	"os"
	"slices"
)

// tail is what is known while the end of a segment is read that was never sealed.
type tail struct {
	summary
	end   int64  // behind the last valid frame
	torn  []hole // holes that may be the torn write of a crash, in order
	after int    // valid frames behind the first of them
}

// hole is a stretch without a valid frame, and what came before it.
type hole struct {
	from, through uint64
	before        summary
	offset        int64
}

// settle takes the holes that were synced for what they are: damaged records.
func (t *tail) settle(synced func(hole) bool, lose func(from, through uint64)) {
	for len(t.torn) > 0 && synced(t.torn[0]) {
		lose(t.torn[0].from, t.torn[0].through)
		t.torn = t.torn[1:]
	}
	if len(t.torn) == 0 {
		t.after = 0
	}
}

// recoverTail finds where the newest segment ends, and seals it there. Nothing of a write
// that a crash tore was ever acknowledged, so from the first torn place on everything is
// cut. A hole is damage, and not torn, when a later frame or the state knows that it had
// been synced.
func (r *recovery) recoverTail(file *os.File, s *segment) error {
	j := r.journal
	most := s.first + unsigned(s.bytes/minFrameBytes)
	sc := newScanner(file, j.seed, headerBytes, s.bytes, s.first, most)
	defer sc.release()
	t := tail{summary: emptySummary(s.first, math.MinInt64), end: headerBytes}
	sc.lost = func(from, through uint64, offset int64) {
		t.torn = append(t.torn, hole{from: from, through: through, before: t.summary, offset: offset})
	}
	for {
		f, ok, err := sc.scan()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		r.count(&t.summary, f)
		t.end = sc.offset
		t.after++
		t.settle(func(h hole) bool { return r.syncedBefore(h, f, t.end) }, j.lose)
	}
	t.settle(func(h hole) bool { return h.from <= j.options.SyncedHint }, j.lose)
	dropped := 0
	if len(t.torn) > 0 {
		t.summary, t.end, dropped = t.torn[0].before, t.torn[0].offset, t.after
	}
	torn, err := lastByte(file, t.end, s.bytes)
	if err != nil {
		return err
	}
	if torn > t.end {
		j.options.Logger.Warn("journal tail was torn by a crash and is cut", "journal", fmt.Sprintf("%016x", uint64(j.id)),
			"from", t.last+1, "bytes", torn-t.end, "valid_records", dropped)
	}
	s.summary, s.end = t.summary, t.end
	if s.last < s.first {
		return nil
	}
	s.bytes, err = sealFile(file, s.summary, s.end)
	return err
}

// syncedBefore tells whether what lay in a hole was synced before a later frame, which ends
// at end, was written. A frame says so itself, but of the member that encoded it. A replica
// writes at once what its keeper synced in many goes, so for its segments only the distance
// counts: what lies further back than the longest write was synced before the last one.
func (r *recovery) syncedBefore(h hole, f frame, end int64) bool {
	if r.copied {
		return end-h.offset > maxCopiedGroupBytes
	}
	return h.from <= f.synced
}

// lastByte gives the offset behind the last byte that is not zero, from where there is
// none.
func lastByte(file *os.File, from, size int64) (int64, error) {
	pooled := chunks.Get().(*[]byte)
	defer chunks.Put(pooled)
	last := from
	for at := from; at < size; at += readChunkBytes {
		b := (*pooled)[:min(readChunkBytes, size-at)]
		if err := readOver(file, b, at); err != nil {
			return 0, err
		}
		for i, v := range slices.Backward(b) {
			if v != 0 {
				last = at + int64(i) + 1
				break
			}
		}
	}
	return last, nil
}
