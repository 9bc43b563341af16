package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"pannier/engine"
)

// Segments lists the stubs and the sealed segments, oldest first. A FirstRevision of 0 and
// equal times may mean that nothing in it can be read.
func (j *Journal) Segments() []engine.Segment {
	j.segments.mu.RLock()
	defer j.segments.mu.RUnlock()
	list := make([]engine.Segment, 0, len(j.segments.stubs)+len(j.segments.sealed))
	for _, s := range j.segments.stubs {
		list = append(list, s.describe())
	}
	for _, s := range j.segments.sealed {
		list = append(list, s.describe())
	}
	return list
}

func (s *segment) describe() engine.Segment {
	d := engine.Segment{
		First: s.first, Last: s.last,
		FirstAt: milliTime(min(s.firstAt, s.lastAt)), LastAt: milliTime(s.lastAt),
		Bytes: s.bytes, Stub: s.stub,
	}
	if s.firstRevision != math.MaxUint64 {
		d.FirstRevision = s.firstRevision
	}
	return d
}

func milliTime(milli int64) time.Time { return time.UnixMilli(max(milli, 0)).UTC() }

// Trim removes the oldest sealed segment, which must be s. With keepStub a stub takes its
// place, durable before the segment goes. Errors: s is not the oldest; the disk failed.
func (j *Journal) Trim(s engine.Segment, keepStub bool) error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	oldest := j.segments.oldest(false)
	if s.Stub || oldest == nil || oldest.first != s.First {
		return fmt.Errorf("trim segment %d: it is not the oldest", s.First)
	}
	var stub *segment
	if keepStub {
		var err error
		if stub, err = j.writeStub(oldest); err != nil {
			return fmt.Errorf("trim segment %d: %w", s.First, err)
		}
	}
	j.segments.trim(stub)
	return j.remove(oldest)
}

// RemoveStub removes the stub of s; a stub that is not there is no error. Errors: the disk
// failed.
func (j *Journal) RemoveStub(s engine.Segment) error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	v, ok := j.segments.findStub(s.First)
	if !ok || v.first != s.First {
		return nil
	}
	j.segments.removeStub(v.segment)
	return j.remove(v.segment)
}

// remove removes the file of a segment that readers no longer find.
func (j *Journal) remove(s *segment) error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove segment: %w", err)
	}
	return syncFolder(j.dir)
}

// writeStub writes the records of s without bodies to a file of their own, which gets its
// name when it is complete.
func (j *Journal) writeStub(s *segment) (*segment, error) {
	stub := &segment{first: s.first, stub: true, path: segmentPath(j.dir, s.first, stubSuffix), summary: s.summary}
	draft := stub.path + draftSuffix
	file, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a path in the operator's folder
	if err != nil {
		return nil, err
	}
	header := segmentHeader{journal: j.id, first: s.first, created: time.Now(), floor: min(s.firstAt, s.lastAt), stub: true}
	if _, err = file.WriteAt(header.encode(), 0); err == nil {
		stub.end, err = j.copyWithoutBodies(file, s)
	}
	if err == nil {
		stub.bytes, err = sealFile(file, stub.summary, stub.end)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(draft))
	}
	if err := os.Rename(draft, stub.path); err != nil {
		return nil, err
	}
	return stub, syncFolder(j.dir)
}

// copyWithoutBodies copies what can be read and gives where the frames end.
func (j *Journal) copyWithoutBodies(file *os.File, s *segment) (end int64, err error) {
	end = headerBytes
	var frames []byte
	flush := func() {
		if err == nil {
			_, err = file.WriteAt(frames, end)
		}
		end += int64(len(frames))
		frames = frames[:0]
	}
	w := walk{next: s.first, left: math.MaxInt, visit: func(sequence uint64, record engine.Record) bool {
		start := len(frames)
		frames = appendRecord(beginFrame(frames), record, true)
		frames = endFrame(frames, start, j.seed, sequence, s.last)
		if len(frames) >= readChunkBytes {
			flush()
		}
		return err == nil
	}}
	if walked := j.walk(&w, view{segment: s, summary: s.summary, end: s.end}); walked != nil {
		return 0, walked
	}
	flush()
	return end, err
}
