package storage

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pannier/engine"
)

// Third hop of the straight path: before it actors/ingress.go matched the events of one
// request; here they become durable, many requests with one sync; after it the ingress
// actor answers and hands the events to actors/subscription.go.

const (
	// DefaultSegmentBytes is the size at which a segment is sealed.
	DefaultSegmentBytes = 64 << 20
	// DefaultSegmentAge is how long after its first record a segment is sealed at the
	// latest, so that retention by whole segments works on a quiet lane too.
	DefaultSegmentAge = 10 * time.Minute
	// MaxPendingBytes bounds what waits for the next sync; an Append past it blocks until
	// the sync before it is over. One Append may be larger when nothing else waits.
	MaxPendingBytes = 8 << 20
)

// JournalOptions are the settings of a journal. The zero value is ready for use.
type JournalOptions struct {
	// SegmentBytes is the size at which a segment is sealed; 0 is DefaultSegmentBytes. What
	// is synced together is never split: a segment may be longer by one group.
	SegmentBytes int64
	// SegmentAge is the age at which a segment is sealed; 0 is DefaultSegmentAge.
	SegmentAge time.Duration
	// SyncedHint is the last sequence that the state knows to be synced (its watermark). If
	// the journal ends before it, what is missing is damage and its sequences are not used
	// again.
	SyncedHint uint64
	// Space refuses appends when the filesystem is nearly full; nil watches the journal's
	// folder with DefaultReserve.
	Space *FreeSpace
	// Fatal is called once, after a write or a sync failed; nothing is acknowledged from
	// then on. nil logs the error and ends the process. It must not call the journal.
	Fatal func(error)
	// Observe, if set, is told of each sync: how long it took and for how many records. It
	// must not block.
	Observe func(d time.Duration, records int)
	// Logger is where damage is reported; nil is slog.Default().
	Logger *slog.Logger
}

// withDefaults fills in what was left zero.
func (o JournalOptions) withDefaults(dir string) JournalOptions {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.SegmentAge == 0 {
		o.SegmentAge = DefaultSegmentAge
	}
	if o.Space == nil {
		o.Space = NewFreeSpace(dir, 0, nil)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Fatal == nil {
		log := o.Logger
		o.Fatal = func(err error) {
			log.Error("journal failed; the process ends", "error", err)
			os.Exit(1)
		}
	}
	return o
}

var (
	_ engine.Journal = (*Journal)(nil)

	errJournalClosed = &engine.Error{
		Code: engine.CodeUnavailable, Message: "the journal is closed", RetryAfter: time.Second,
	}
)

// Journal is engine.Journal on segment files in one folder. Safe for concurrent use; one
// process at a time may have the folder open.
type Journal struct {
	id      engine.JournalID
	dir     string
	options JournalOptions
	seed    uint32
	replica bool // filled by AppendFrames alone

	segments segmentSet
	damage   damageList
	trimming sync.Mutex // held by Trim

	mu      sync.Mutex
	room    sync.Cond // pending was taken, or the journal is closing
	pending group
	spare   group // emptied, for its memory
	target  int   // records that the next sync waits for
	next    uint64
	lastAt  int64 // the latest accept time, in ms
	closing bool

	wake    chan struct{} // has one element when pending or closing may have changed
	stopped chan struct{} // closed when the writer has ended
	writer  *segmentWriter
	failed  atomic.Bool
}

func newJournal(dir string, id engine.JournalID, o JournalOptions) *Journal {
	j := &Journal{
		id: id, dir: dir, options: o.withDefaults(dir), seed: frameSeed(id),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	j.room.L = &j.mu
	return j
}

// ID is the journal's name for ever.
func (j *Journal) ID() engine.JournalID { return j.id }

// Append queues records for the next sync; see engine.Journal. Without records done is
// called once everything appended before is synced. It blocks while MaxPendingBytes wait.
//
// Errors: storage_full, too_large (a record over MaxRecordBytes), unavailable (closed, or a
// write failed). On an error no record was changed or written.
func (j *Journal) Append(records []engine.Record, done func()) (first uint64, err error) {
	if j.replica {
		return 0, errAppendToReplica
	}
	if err := checkRecords(records); err != nil {
		return 0, err
	}
	if err := j.options.Space.Check(); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.awaitRoom(); err != nil {
		return 0, err
	}
	first = j.next
	for _, record := range records {
		j.lastAt = max(j.lastAt, acceptedMilli(record))
		stamp(record, engine.EventRef{Journal: j.id, Sequence: j.next}, j.lastAt)
		j.pending.add(record, j.seed, j.next, j.segments.synced.Load(), j.lastAt)
		j.next++
	}
	j.pending.dones = append(j.pending.dones, done)
	if len(j.pending.dones) == 1 || j.pending.records >= j.target {
		j.rouse()
	}
	return first, nil
}

// checkRecords refuses what could not be written or read back.
func checkRecords(records []engine.Record) error {
	for _, r := range records {
		if (r.Event == nil) == (r.Request == nil) {
			return fmt.Errorf("append: %w", errRecord)
		}
		if recordBytes(r) > MaxRecordBytes {
			return engine.Errorf(engine.CodeTooLarge, "one record may hold %d bytes at most", MaxRecordBytes)
		}
	}
	return nil
}

// awaitRoom waits while as much is pending as may be; the caller holds mu.
func (j *Journal) awaitRoom() error {
	for len(j.pending.frames) >= MaxPendingBytes && !j.closing {
		j.room.Wait()
	}
	if j.closing {
		return errJournalClosed
	}
	return nil
}

// rouse wakes the writer.
func (j *Journal) rouse() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Bounds are the first retained sequence and the next one to be written.
func (j *Journal) Bounds() (first, next uint64) {
	j.mu.Lock()
	next = j.next
	j.mu.Unlock()
	return j.segments.firstSequence(), next
}

// Synced is the last synced sequence, 0 before the first.
func (j *Journal) Synced() uint64 { return j.segments.synced.Load() }

// Damage lists the sequences whose records could not be read, found at open or since, in
// order. At most MaxDamageRanges.
func (j *Journal) Damage() []engine.Range { return j.damage.list() }

// lose reports a damaged range, once.
func (j *Journal) lose(from, through uint64) {
	if j.damage.add(from, through) {
		j.options.Logger.Error("journal records damaged",
			"journal", fmt.Sprintf("%016x", uint64(j.id)), "from", from, "through", through)
	}
}

// Close writes and syncs what is pending, calls every done, seals the active segment and
// ends the writer. Further calls of Append give unavailable; reads still work. A second
// Close does nothing.
func (j *Journal) Close() error {
	j.stop()
	<-j.stopped
	if j.failed.Load() {
		return errJournalClosed
	}
	return nil
}

// stop refuses further appends.
func (j *Journal) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closing = true
	j.room.Broadcast()
	j.rouse()
}
