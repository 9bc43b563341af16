package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"pannier/engine"
)

// Segments lists the sealed segments, oldest first. A FirstRevision of 0 and equal times may mean
// that nothing in it can be read.
func (j *Journal) Segments() []engine.Segment {
	j.segments.mu.RLock()
	defer j.segments.mu.RUnlock()
	list := make([]engine.Segment, 0, len(j.segments.sealed))
	for _, s := range j.segments.sealed {
		list = append(list, s.describe())
	}
	return list
}

func (s *segment) describe() engine.Segment {
	d := engine.Segment{
		First: s.first, Last: s.last,
		FirstAt: milliTime(min(s.firstAt, s.lastAt)), LastAt: milliTime(s.lastAt),
		Bytes: s.bytes,
	}
	if s.firstRevision != math.MaxUint64 {
		d.FirstRevision = s.firstRevision
	}
	return d
}

func milliTime(milli int64) time.Time { return time.UnixMilli(max(milli, 0)).UTC() }

// Trim removes the oldest sealed segment, which must be s. Errors: s is not the oldest; the disk
// failed.
func (j *Journal) Trim(s engine.Segment) error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	oldest := j.segments.oldest()
	if oldest == nil || oldest.first != s.First {
		return fmt.Errorf("trim segment %d: it is not the oldest", s.First)
	}
	j.segments.trim()
	if err := os.Remove(oldest.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("trim segment %d: %w", s.First, err)
	}
	return syncFolder(j.dir)
}
