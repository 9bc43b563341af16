package storage

import (
	"errors"
	"fmt"
	"os"
	"time"

	"pannier/engine"
)

// Prepend makes frames, as ReadFramesBefore of the same journal gave them, durable in front of what
// the replica retains: first is the sequence of the first of them, and the last comes right before.
// They become a segment of their own, whose file gets its name once it is whole. It waits for the
// disk.
//
// Errors: *GapError (something lies between, or the retention has gone on meanwhile), too_large,
// storage_full, a frame as for AppendFrames, or the disk failed. On an error nothing is there.
func (r *Replica) Prepend(first uint64, frames []byte) error {
	if len(frames) > MaxAppendFrames {
		return engine.Errorf(engine.CodeTooLarge, "at most %d bytes of frames may be prepended at once", MaxAppendFrames)
	}
	g, err := r.examine(first, frames)
	if err != nil {
		return fmt.Errorf("prepend frames: %w", err)
	}
	if err := r.options.Space.Check(); err != nil {
		return err
	}
	r.trimming.Lock() // nothing else changes where the journal begins
	defer r.trimming.Unlock()
	if oldest := r.segments.firstSequence(); g.records == 0 || g.last+1 != oldest {
		return &GapError{Want: oldest, Got: g.last + 1}
	}
	s := &segment{first: first, path: segmentPath(r.dir, first), summary: g.summary, end: headerBytes + int64(len(frames))}
	if s.bytes, err = r.writeWhole(s, frames); err != nil {
		return fmt.Errorf("prepend segment: %w", err)
	}
	r.segments.prepend(s)
	return nil
}

// unfinished follows the name of a segment that is being written whole.
const unfinished = ".new"

// writeWhole writes a segment under another name, then gives it its own.
func (j *Journal) writeWhole(s *segment, frames []byte) (size int64, err error) {
	file, err := os.OpenFile(s.path+unfinished, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	header := segmentHeader{journal: j.id, first: s.first, created: time.Now(), floor: s.firstAt, copied: j.replica}
	if _, err = file.WriteAt(header.encode(), 0); err == nil {
		if _, err = file.WriteAt(frames, headerBytes); err == nil {
			size, err = sealFile(file, s.summary, s.end)
		}
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(s.path+unfinished))
	}
	if err := os.Rename(s.path+unfinished, s.path); err != nil {
		return 0, err
	}
	return size, syncFolder(j.dir)
}
