package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"pannier/engine"
)

// Read visits synced records in order; see engine.Journal. The record for which visit
// returned false counts as visited. Each call opens the files it needs, so a trim at the
// same time does it no harm. Errors: a file could not be opened or read.
func (j *Journal) Read(from uint64, limit int, visit func(sequence uint64, record engine.Record) bool) (next uint64, err error) {
	return j.run(&walk{next: max(from, 1), left: limit, visit: visit})
}

// run walks over the segments.
func (j *Journal) run(w *walk) (next uint64, err error) {
	for w.left > 0 {
		synced := j.Synced() // before the search, which finds all of it that is there
		v, ok := j.segments.find(w.next)
		if !ok {
			w.next = max(w.next, synced+1) // nothing is left of what lies between
			break
		}
		w.next = max(w.next, v.first)
		if err := j.walk(w, v); err != nil {
			return w.next, err
		}
	}
	return w.next, nil
}

// closeRead closes a file that was read; whether that worked says nothing of what was read.
func closeRead(file *os.File) { _ = file.Close() }

// walk is one call of Read or Search on its way.
type walk struct {
	next   uint64
	left   int
	visit  func(sequence uint64, record engine.Record) bool
	search *search    // nil: everything is read
	copy   *frameCopy // set: frames are copied and nothing is visited
}

// walk visits what is left to visit in one segment.
func (j *Journal) walk(w *walk, v view) error {
	file, err := os.Open(v.path)
	if errors.Is(err, os.ErrNotExist) {
		j.skipLost(w, v)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer closeRead(file)
	start, err := j.locate(v, file, w.next)
	if err != nil {
		return err
	}
	sc := j.scannerAt(v, file, start)
	defer sc.release()
	for w.left > 0 {
		f, ok, err := sc.scan()
		if err != nil {
			return err
		}
		if !ok {
			j.endSegment(v, sc)
			w.next = v.last + 1
			return nil
		}
		if f.sequence < w.next {
			continue
		}
		w.next = f.sequence + 1
		if w.copy == nil {
			j.visit(w, f)
		} else if !w.copy.take(f, v.end) {
			w.left = 0
			sc.next, sc.offset = f.sequence, f.offset // where the next call goes on
		}
	}
	j.segments.remember(readEnd{segment: v.segment, sequence: sc.next, offset: sc.offset})
	return nil
}

// endSegment reports what is missing at the end of a segment. When nothing is, who reads on
// as soon as the segment is longer finds the place again.
func (j *Journal) endSegment(v view, sc *scanner) {
	if sc.next <= v.last {
		j.lose(sc.next, v.last)
		return
	}
	j.segments.remember(readEnd{segment: v.segment, sequence: sc.next, offset: sc.offset})
}

// visit visits the record of a frame, if it is one that the walk wants.
func (j *Journal) visit(w *walk, f frame) {
	if w.search != nil && !j.wants(w, f) {
		return
	}
	if record, sound := j.decode(f); sound {
		w.left--
		if !w.visit(f.sequence, record) {
			w.left = 0
		}
	}
}

// skipLost goes on when the file of a segment is not there: either it was trimmed since
// the view was taken, or it is lost, which is damage.
func (j *Journal) skipLost(w *walk, v view) {
	if j.segments.holds(v.segment) {
		j.lose(w.next, v.last)
		w.next = v.last + 1
	}
}

// scannerAt begins at a mark and reports what is missing from there on.
func (j *Journal) scannerAt(v view, file *os.File, start mark) *scanner {
	sc := newScanner(file, j.seed, start.offset, v.end, start.sequence, v.last)
	sc.lost = func(from, through uint64, _ int64) { j.lose(from, through) }
	return sc
}

// decode reads the record of a frame; ok is false, and the damage reported, when the frame
// holds none.
func (j *Journal) decode(f frame) (record engine.Record, ok bool) {
	record, err := decodeRecord(f.payload(), engine.EventRef{Journal: j.id, Sequence: f.sequence})
	if err != nil {
		j.lose(f.sequence, f.sequence)
		return engine.Record{}, false
	}
	return record, true
}

// locate gives a place in v's file from which sequence can be reached without a long way.
func (j *Journal) locate(v view, file *os.File, sequence uint64) (mark, error) {
	start := mark{sequence: v.first, offset: headerBytes}
	if sequence <= v.first {
		return start, nil
	}
	if offset, ok := j.segments.recall(v.segment, sequence); ok {
		return mark{sequence: sequence, offset: offset}, nil
	}
	marks, err := j.index(v, file)
	if err != nil {
		return mark{}, err
	}
	if i := sort.Search(len(marks), func(i int) bool { return marks[i].sequence > sequence }); i > 0 {
		start = marks[i-1]
	}
	return start, nil
}

// index gives the marks of a segment; it reads the whole segment when they were not kept.
func (j *Journal) index(v view, file *os.File) ([]mark, error) {
	if v.marks != nil {
		j.segments.useIndex(v.segment)
		return v.marks, nil
	}
	v.indexing.Lock()
	defer v.indexing.Unlock()
	if marks := j.segments.useIndex(v.segment); marks != nil {
		return marks, nil
	}
	sc := j.scannerAt(v, file, mark{sequence: v.first, offset: headerBytes})
	defer sc.release()
	marks := []mark{}
	for {
		f, ok, err := sc.scan()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if n := len(marks); n > 0 && f.offset-marks[n-1].offset < indexBytes {
			continue
		}
		if record, sound := j.decode(f); sound {
			marks = append(marks, mark{sequence: f.sequence, offset: f.offset, at: acceptedMilli(record)})
		}
	}
	j.segments.setIndex(v.segment, marks)
	return marks, nil
}

// Get reads one record. Errors: not_found (never written, not synced yet, damaged or past the
// retention).
func (j *Journal) Get(sequence uint64) (engine.Record, error) {
	if v, ok := j.segments.find(sequence); !ok || v.first > sequence {
		return engine.Record{}, errNoRecord
	}
	var found engine.Record
	var at uint64
	_, err := j.Read(sequence, 1, func(sequence uint64, record engine.Record) bool {
		at, found = sequence, record
		return false
	})
	if err != nil {
		return engine.Record{}, err
	}
	if at != sequence || sequence == 0 {
		return engine.Record{}, errNoRecord
	}
	return found, nil
}

var errNoRecord = engine.Errorf(engine.CodeNotFound, "there is no such event")

// Seek is the first retained sequence accepted at or after t, the one behind the last
// synced when there is none. Errors: as Read.
func (j *Journal) Seek(t time.Time) (uint64, error) {
	milli := ceilMilli(t)
	v, ok := j.segments.findTime(milli)
	if !ok {
		return j.Synced() + 1, nil
	}
	from, err := j.before(v, milli)
	if err != nil {
		return 0, err
	}
	found := uint64(0)
	next, err := j.Read(from, math.MaxInt, func(sequence uint64, record engine.Record) bool {
		if acceptedMilli(record) >= milli {
			found = sequence
		}
		return found == 0
	})
	if err != nil {
		return 0, err
	}
	if found == 0 {
		return next, nil
	}
	return found, nil
}

// ceilMilli is the first whole millisecond, which accept times are, at or after t.
func ceilMilli(t time.Time) int64 {
	milli := t.UnixMilli()
	if t.After(time.UnixMilli(milli)) {
		milli++
	}
	return milli
}

// before gives a sequence of v shortly before the first one accepted at or after milli.
func (j *Journal) before(v view, milli int64) (uint64, error) {
	file, err := os.Open(v.path)
	if errors.Is(err, os.ErrNotExist) {
		return v.first, nil // Read will see that it is lost or trimmed
	}
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	defer closeRead(file)
	marks, err := j.index(v, file)
	if err != nil {
		return 0, err
	}
	if i := sort.Search(len(marks), func(i int) bool { return marks[i].at >= milli }); i > 0 {
		return marks[i-1].sequence, nil
	}
	return v.first, nil
}
