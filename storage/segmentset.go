package storage

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

const (
	// indexBytes is about how far apart two marks of an index lie.
	indexBytes = 128 << 10
	// MaxIndexes is how many sealed segments of one journal keep their index in memory.
	MaxIndexes = 32
	// maxReadEnds is how many places where a reader stopped are remembered, so that a reader
	// that goes on does not look for its place again.
	maxReadEnds = 32
)

// mark says where a record lies. Every indexBytes of a segment has about one.
type mark struct {
	sequence uint64
	offset   int64
	at       int64 // accept time in ms
}

// segment is one file in a segmentSet. first and path never change; the rest is
// guarded by the set while the segment is active and does not change once it is sealed,
// but for marks.
type segment struct {
	first uint64
	path  string

	summary
	end   int64 // of the frames that readers may see
	bytes int64 // of the file, once sealed

	marks    []mark // nil: not known
	indexing sync.Mutex
}

// view is what a reader may see of a segment.
type view struct {
	*segment
	summary
	end   int64
	marks []mark
}

// readEnd is where a reader stopped.
type readEnd struct {
	segment  *segment
	sequence uint64
	offset   int64
}

// segmentSet is the list of a journal's files. The writer extends the active one; readers
// take views and hold no lock while they read. Safe for concurrent use.
type segmentSet struct {
	// synced is the last sequence that readers may see. It moves under mu, together with
	// the views.
	synced atomic.Uint64

	mu      sync.RWMutex
	sealed  []*segment
	active  *segment
	indexed []*segment // sealed ones with marks, the longest unused first
	ends    [maxReadEnds]readEnd
	lastEnd int
}

func (t *segmentSet) viewOf(s *segment) view {
	return view{segment: s, summary: s.summary, end: s.end, marks: s.marks}
}

// find gives the first segment that ends at or after sequence.
func (t *segmentSet) find(sequence uint64) (view, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s := endingAt(t.sealed, sequence); s != nil {
		return t.viewOf(s), true
	}
	if t.active.last >= sequence && t.active.last >= t.active.first {
		return t.viewOf(t.active), true
	}
	return view{}, false
}

func endingAt(segments []*segment, sequence uint64) *segment {
	i := sort.Search(len(segments), func(i int) bool { return segments[i].last >= sequence })
	if i == len(segments) {
		return nil
	}
	return segments[i]
}

// findTime gives the first segment with a record accepted at or after milli.
func (t *segmentSet) findTime(milli int64) (view, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i := sort.Search(len(t.sealed), func(i int) bool { return t.sealed[i].lastAt >= milli })
	if i < len(t.sealed) {
		return t.viewOf(t.sealed[i]), true
	}
	if t.active.last >= t.active.first && t.active.lastAt >= milli {
		return t.viewOf(t.active), true
	}
	return view{}, false
}

// holds tells whether s is still to be read.
func (t *segmentSet) holds(s *segment) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return s == t.active || slices.Contains(t.sealed, s)
}

// extend shows readers what was written to the active segment and synced.
func (t *segmentSet) extend(more summary, marks []mark, from, to int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.active
	for _, m := range marks {
		m.offset += from
		if n := len(s.marks); n == 0 || m.offset-s.marks[n-1].offset >= indexBytes {
			s.marks = append(s.marks, m)
		}
	}
	s.join(more)
	s.end = to
	t.synced.Store(s.last)
}

// seal ends the active segment, whose file has now size bytes, and puts next in its place.
func (t *segmentSet) seal(size int64, next *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active.bytes = size
	t.sealed = append(t.sealed, t.active)
	t.keepIndex(t.active)
	t.active = next
}

// setIndex remembers the marks of a sealed segment.
func (t *segmentSet) setIndex(s *segment, marks []mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.marks = marks
	t.keepIndex(s)
}

// keepIndex makes s the last to lose its index.
func (t *segmentSet) keepIndex(s *segment) {
	t.dropIndex(s)
	t.indexed = append(t.indexed, s)
	if len(t.indexed) > MaxIndexes {
		t.indexed[0].marks = nil
		t.indexed = slices.Delete(t.indexed, 0, 1)
	}
}

func (t *segmentSet) dropIndex(s *segment) {
	t.indexed = slices.DeleteFunc(t.indexed, func(other *segment) bool { return other == s })
}

// useIndex gives the marks of a sealed segment, nil where they are not known.
func (t *segmentSet) useIndex(s *segment) []mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.marks != nil && s != t.active {
		t.keepIndex(s)
	}
	return s.marks
}

// remember notes where a reader stopped.
func (t *segmentSet) remember(end readEnd) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if end.sequence > end.segment.last && end.segment != t.active {
		return // nothing will follow there
	}
	at := slices.Index(t.ends[:], readEnd{})
	if at < 0 {
		t.lastEnd = (t.lastEnd + 1) % maxReadEnds
		at = t.lastEnd
	}
	t.ends[at] = end
}

// recall gives the offset of a sequence where a reader stopped, and forgets it: the reader
// will stop elsewhere, and one that reads often must not push out those that read seldom.
func (t *segmentSet) recall(s *segment, sequence uint64) (offset int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range t.ends {
		if e.segment == s && e.sequence == sequence {
			t.ends[i] = readEnd{}
			return e.offset, true
		}
	}
	return 0, false
}

// firstSequence is the first retained one.
func (t *segmentSet) firstSequence() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.sealed) > 0 {
		return t.sealed[0].first
	}
	return t.active.first
}

// oldest is the oldest of the sealed segments, nil when there is none.
func (t *segmentSet) oldest() *segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.sealed) == 0 {
		return nil
	}
	return t.sealed[0]
}

// trim takes the oldest sealed segment out.
func (t *segmentSet) trim() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(t.sealed[0])
	t.sealed = slices.Delete(t.sealed, 0, 1)
}

// prepend puts a segment in front of all others.
func (t *segmentSet) prepend(s *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed = slices.Insert(t.sealed, 0, s)
}

func (t *segmentSet) forget(s *segment) {
	t.dropIndex(s)
	for i := range t.ends {
		if t.ends[i].segment == s {
			t.ends[i] = readEnd{}
		}
	}
}
