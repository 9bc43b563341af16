package storage

import (
	"errors"
	"fmt"
	"math"

	"pannier/engine"
)

// MissingError says that a sequence cannot be read, because its record is damaged or left
// the retention.
type MissingError struct {
	// From is the sequence that was asked for.
	From uint64
	// Next is the first sequence behind it that the journal has. It may not be written yet.
	Next uint64
}

// Error names the sequences that are missing.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the journal lacks the sequences %d to %d", e.From, e.Next-1)
}

// VisitFrames calls visit for the records in frames that ReadFrames of the journal gave, from
// sequence first on, until it returns false. Errors: a frame that is not whole, not intact or not
// the next one.
func VisitFrames(id engine.JournalID, first uint64, frames []byte, visit func(sequence uint64, record engine.Record) bool) error {
	seed, texts := frameSeed(id), make(map[string]string)
	for sequence := first; len(frames) > 0; sequence++ {
		h, payload, err := parseFrame(frames, seed)
		if err == nil && h.sequence != sequence {
			err = fmt.Errorf("holds sequence %d", h.sequence)
		}
		if err != nil {
			return fmt.Errorf("frame of sequence %d: %w", sequence, err)
		}
		r := valueReader{b: payload, shared: texts}
		record := readRecord(&r, engine.EventRef{Journal: id, Sequence: sequence}, nil)
		if r.err != nil {
			return fmt.Errorf("frame of sequence %d: %w", sequence, r.err)
		}
		if !visit(sequence, record) {
			return nil
		}
		frames = frames[h.size():]
	}
	return nil
}

// ReadFrames gives encoded frames of synced records for Replica.AppendFrames, from sequence
// from on and without gaps: as many whole ones as fit into limit bytes, but at least one. next
// is the sequence behind the last of them, and from (0 counts as 1) when nothing was synced
// there yet. A hole in the sequences ends what is given. CRC and sequence of each frame are
// checked, its payload is not looked at. The frames are the caller's. It may be called
// concurrently with everything else, and waits for no sync.
//
// Errors: *MissingError (there is no from, but the journal goes on behind it); a file could
// not be opened or read. next is then from.
func (j *Journal) ReadFrames(from uint64, limit int) (frames []byte, next uint64, err error) {
	return j.copyFrames(from, math.MaxUint64, limit)
}

// ReadFramesBefore gives encoded frames like ReadFrames that end right before a sequence: as many as
// fit into limit bytes, more or less, but at least one. first is the sequence of the first of them,
// and before when nothing is retained there, or cannot be read. Errors: a file could not be opened
// or read.
func (j *Journal) ReadFramesBefore(before uint64, limit int) (first uint64, frames []byte, err error) {
	oldest, _ := j.Bounds()
	for n := uint64(max(1, limit/minFrameBytes)); n > 0 && oldest < before; n /= 2 {
		first = oldest
		if before-oldest > n {
			first = before - n
		}
		frames, next, err := j.copyFrames(first, before, limit)
		if missing := (*MissingError)(nil); err != nil && !errors.As(err, &missing) {
			return before, nil, err
		}
		if err == nil && next == before {
			return first, frames, nil
		}
	}
	return before, nil, nil
}

// copyFrames is ReadFrames of what lies before a sequence.
func (j *Journal) copyFrames(from, before uint64, limit int) (frames []byte, next uint64, err error) {
	from = max(from, 1)
	synced := j.Synced() // before the walk, which then finds all of it that is there
	c := frameCopy{next: from, before: before, limit: limit}
	end, err := j.run(&walk{next: from, left: 1, copy: &c})
	switch {
	case err != nil:
		return nil, from, err
	case len(c.frames) > 0:
		return c.frames, c.next, nil
	case c.behind > 0:
		return nil, from, &MissingError{From: from, Next: c.behind}
	case from <= synced:
		return nil, from, &MissingError{From: from, Next: max(end, synced+1)}
	}
	return nil, from, nil
}

// frameCopy is one call of ReadFrames on its way.
type frameCopy struct {
	limit  int
	next   uint64
	before uint64 // nothing from there on is copied
	behind uint64 // the first sequence behind a hole; 0: there was none
	frames []byte
}

// take copies a frame of a segment whose frames end at end, unless it is not the next one or
// does not fit any more. No CRC covers the padding: it is not copied but made again.
func (c *frameCopy) take(f frame, end int64) bool {
	if f.sequence >= c.before {
		return false
	}
	if f.sequence != c.next {
		c.behind = f.sequence
		return false
	}
	size := int(paddedBytes(int64(len(f.raw))))
	if len(c.frames) > 0 && size > c.limit-len(c.frames) {
		return false
	}
	if c.frames == nil {
		c.frames = make([]byte, 0, max(size, min(c.limit, int(end-f.offset))))
	}
	c.frames = padFrames(append(c.frames, f.raw...))
	c.next++
	return true
}
