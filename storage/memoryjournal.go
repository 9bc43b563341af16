package storage

import (
	"fmt"
	"sort"
	"sync"
	"time"

	"pannier/engine"
)

var _ engine.Journal = (*MemoryJournal)(nil)

// MemoryJournal is engine.Journal in memory, for tests and the simulator: what the journal
// on disk promises, without the disk. Nothing bounds it. It has no goroutine: done is
// called by an Append, its own or another one under way, with no lock held. Safe for
// concurrent use.
type MemoryJournal struct {
	// SegmentRecords and SegmentAge say when a segment is sealed. Set them before the first
	// Append.
	SegmentRecords int
	SegmentAge     time.Duration

	id engine.JournalID

	mu       sync.Mutex
	segments []*memorySegment // the last one is active
	next     uint64
	synced   uint64
	lastAt   int64
	closed   bool
	queue    []memoryAppend // not yet acknowledged
	draining bool
}

// DefaultSegmentRecords is when a MemoryJournal seals a segment.
const DefaultSegmentRecords = 10_000

// memorySegment holds its records from first on without gaps.
type memorySegment struct {
	summary
	first   uint64
	began   time.Time
	records []engine.Record
	bytes   int64
}

type memoryAppend struct {
	last uint64
	done func()
}

func (s *memorySegment) sequence(i int) uint64 { return s.first + unsigned(int64(i)) }

// NewMemoryJournal makes an empty journal.
func NewMemoryJournal(id engine.JournalID) *MemoryJournal {
	j := &MemoryJournal{id: id, next: 1, SegmentRecords: DefaultSegmentRecords, SegmentAge: DefaultSegmentAge}
	j.segments = []*memorySegment{newMemorySegment(1, 0)}
	return j
}

func newMemorySegment(first uint64, floor int64) *memorySegment {
	return &memorySegment{first: first, summary: emptySummary(first, floor)}
}

// ID is the journal's name for ever.
func (j *MemoryJournal) ID() engine.JournalID { return j.id }

// Append is that of Journal; the records count as synced at once.
func (j *MemoryJournal) Append(records []engine.Record, done func()) (first uint64, err error) {
	if err := checkRecords(records); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return 0, errJournalClosed
	}
	first = j.next
	if len(j.active().records) >= j.SegmentRecords {
		j.seal()
	}
	j.sealOld()
	for _, record := range records {
		j.lastAt = max(j.lastAt, acceptedMilli(record))
		stamp(record, engine.EventRef{Journal: j.id, Sequence: j.next}, j.lastAt)
		j.add(record)
	}
	j.queue = append(j.queue, memoryAppend{last: j.next - 1, done: done})
	j.drain()
	return first, nil
}

// add puts a stamped record into the active segment.
func (j *MemoryJournal) add(record engine.Record) {
	s := j.active()
	if len(s.records) == 0 {
		s.began = time.Now()
	}
	s.records = append(s.records, record)
	s.add(j.next, j.lastAt, record.Event)
	s.bytes += int64(recordBytes(record))
	j.next++
}

// drain acknowledges in order. The lock is given up while a done runs, so that it may use
// the journal; what is appended meanwhile is acknowledged by the same loop.
func (j *MemoryJournal) drain() {
	if j.draining {
		return
	}
	j.draining = true
	for len(j.queue) > 0 {
		a := j.queue[0]
		j.queue = j.queue[1:]
		j.synced = max(j.synced, a.last)
		if a.done != nil {
			j.mu.Unlock()
			a.done()
			j.mu.Lock()
		}
	}
	j.draining = false
}

func (j *MemoryJournal) active() *memorySegment { return j.segments[len(j.segments)-1] }

// seal begins a new segment. A full one is sealed by the append that finds it full, as on
// disk.
func (j *MemoryJournal) seal() {
	j.segments = append(j.segments, newMemorySegment(j.next, j.lastAt))
}

// sealOld seals the active segment when it is old.
func (j *MemoryJournal) sealOld() {
	if s := j.active(); len(s.records) > 0 && time.Since(s.began) >= j.SegmentAge {
		j.seal()
	}
}

// Read is that of Journal.
func (j *MemoryJournal) Read(from uint64, limit int, visit func(sequence uint64, record engine.Record) bool) (next uint64, err error) {
	return j.read(from, limit, visit)
}

// Search is that of Journal.
func (j *MemoryJournal) Search(
	from uint64, limit int, wanted func(head *engine.Event) bool, visit func(event *engine.Event) bool,
) (next uint64, err error) {
	return j.read(from, limit, func(_ uint64, record engine.Record) bool {
		if record.Event == nil {
			return true
		}
		head := *record.Event
		head.ID, head.Data, head.Extensions, head.TraceParent, head.TraceState = "", nil, nil, "", ""
		return !wanted(&head) || visit(record.Event)
	})
}

func (j *MemoryJournal) read(from uint64, limit int, visit func(uint64, engine.Record) bool) (uint64, error) {
	next := max(from, 1)
	for ; limit > 0; limit-- {
		sequence, record, ok := j.at(next)
		if !ok {
			break
		}
		next = sequence + 1
		if !visit(sequence, record) {
			break
		}
	}
	return next, nil
}

// at gives the first synced record at or after sequence.
func (j *MemoryJournal) at(sequence uint64) (uint64, engine.Record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.segments
	i := sort.Search(len(list), func(i int) bool { return list[i].last >= sequence })
	if i == len(list) {
		return 0, engine.Record{}, false
	}
	sequence = max(sequence, list[i].first)
	if sequence > j.synced {
		return 0, engine.Record{}, false
	}
	return sequence, list[i].records[sequence-list[i].first], true
}

// Get is that of Journal.
func (j *MemoryJournal) Get(sequence uint64) (engine.Record, error) {
	if at, record, ok := j.at(sequence); ok && at == sequence && sequence > 0 {
		return record, nil
	}
	return engine.Record{}, errNoRecord
}

// Seek is that of Journal.
func (j *MemoryJournal) Seek(t time.Time) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		i := sort.Search(len(s.records), func(i int) bool {
			return acceptedMilli(s.records[i]) >= ceilMilli(t) || s.sequence(i) > j.synced
		})
		if i < len(s.records) {
			return s.sequence(i), nil
		}
	}
	return j.synced + 1, nil
}

// Bounds is that of Journal.
func (j *MemoryJournal) Bounds() (first, next uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[0].first, j.next
}

// Synced is that of Journal.
func (j *MemoryJournal) Synced() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced
}

// Segments is that of Journal; the active segment is sealed first when it is old.
func (j *MemoryJournal) Segments() []engine.Segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sealOld()
	list := make([]engine.Segment, 0, len(j.segments)-1)
	for _, s := range j.segments[:len(j.segments)-1] {
		list = append(list, s.describe())
	}
	return list
}

func (s *memorySegment) describe() engine.Segment {
	return (&segment{first: s.first, summary: s.summary, bytes: s.bytes}).describe()
}

// Trim is that of Journal.
func (j *MemoryJournal) Trim(s engine.Segment) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.segments) == 1 || j.segments[0].first != s.First {
		return fmt.Errorf("trim segment %d: it is not the oldest", s.First)
	}
	j.segments = j.segments[1:]
	return nil
}

// Damage is always empty.
func (j *MemoryJournal) Damage() []engine.Range { return nil }

// Close refuses further appends; reads still work.
func (j *MemoryJournal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return nil
}
