package storage

import (
	"fmt"
	"math"
	"time"

	"pannier/engine"
)

// maxSpareBytes is the largest buffer that is kept for the next group whatever is in it. A
// larger one is kept while groups fill a part of it, so that a journal of large requests
// does not grow one again and again; the first small group gives it back.
const (
	maxSpareBytes = 1 << 20
	spareShare    = 32
)

const (
	// gatherFrom is how many records must have shared a sync for the next one to wait until
	// seven eighths as many are there, for gatherFor at most. Producers that wait for their
	// answers come back one after the other: the first of them would have a sync of its own,
	// which writes the block at the end of the file once more.
	gatherFrom = 16
	gatherFor  = 2 * time.Millisecond
)

// group is what goes to the disk with one sync. While one is written the next gathers, so
// that the busier the journal is, the more requests share a sync. An idle one never waits; one
// with many producers does for most of those it had last (see gatherFrom).
//
//	Append ──► pending ──► written ──► synced ──► shown to readers ──► done, in order
//	                          │           │
//	                          └── error ──┴──► Fatal; no done is called any more
type group struct {
	frames  []byte
	marks   []mark // offsets from the beginning of frames
	dones   []func()
	records int
	skipTo  uint64 // what lies before this sequence is lost; 0: nothing is
	summary
}

// add encodes one stamped record.
func (g *group) add(r engine.Record, seed uint32, sequence, synced uint64, at int64) {
	start := len(g.frames)
	g.frames = appendRecord(beginFrame(g.frames), r)
	g.frames = endFrame(g.frames, start, seed, sequence, synced)
	g.count(start, sequence, at, r.Event)
}

// count counts in the record whose frame begins at start.
func (g *group) count(start int, sequence uint64, at int64, e *engine.Event) {
	if g.records == 0 {
		g.summary = summary{firstAt: math.MaxInt64, lastAt: math.MinInt64, firstRevision: math.MaxUint64}
	}
	if n := len(g.marks); n == 0 || int64(start)-g.marks[n-1].offset >= indexBytes {
		g.marks = append(g.marks, mark{sequence: sequence, offset: int64(start), at: at})
	}
	g.records++
	g.summary.add(sequence, at, e)
}

// join copies what follows behind the frames that are there.
func (g *group) join(next group) {
	start := int64(len(g.frames))
	for _, m := range next.marks {
		m.offset += start
		g.marks = append(g.marks, m)
	}
	g.frames = append(g.frames, next.frames...)
	if g.records == 0 {
		g.summary = next.summary
	} else if next.records > 0 {
		g.summary.join(next.summary)
	}
	g.records += next.records
}

// emptied gives the group's memory for the next one.
func (g *group) emptied() group {
	if cap(g.frames) > maxSpareBytes && len(g.frames) < cap(g.frames)/spareShare {
		return group{}
	}
	clear(g.dones)
	return group{frames: g.frames[:0], marks: g.marks[:0], dones: g.dones[:0]}
}

// write is the journal's only goroutine; it owns j.writer.
func (j *Journal) write() {
	defer close(j.stopped)
	defer j.writer.close()
	for {
		closing, err := false, j.wait()
		for err == nil {
			j.gather()
			var g group
			var ok bool
			if g, ok, closing = j.take(); !ok {
				break
			}
			err = j.commit(g)
		}
		if err == nil && closing {
			err = j.sealLast()
		}
		if err != nil {
			j.fail(err)
			return
		}
		if closing {
			return
		}
	}
}

// wait returns when there is something to write, and seals a segment that became too old
// meanwhile.
func (j *Journal) wait() error {
	select {
	case <-j.wake:
		return nil
	case <-j.writer.aged():
		return j.roll()
	}
}

// gather waits until as much is pending as makes a sync worth its while, or for gatherFor.
func (j *Journal) gather() {
	if j.enough() {
		return
	}
	patience := time.NewTimer(gatherFor)
	defer patience.Stop()
	for !j.enough() {
		select {
		case <-j.wake:
		case <-patience.C:
			return
		}
	}
}

// enough tells that waiting for more is not worth it, or that there is nothing yet.
func (j *Journal) enough() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closing || len(j.pending.dones) == 0 || j.pending.records >= j.target
}

// take takes everything pending. It tells whether the journal closes where there is nothing,
// and not whoever took the signal: gather may have taken the one of Close.
func (j *Journal) take() (g group, ok, closing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.pending.dones) == 0 {
		return group{}, false, j.closing
	}
	g = j.pending
	j.pending, j.spare = j.spare, group{}
	j.room.Broadcast()
	return g, true, false
}

// commit makes one group durable, then shows and acknowledges it.
func (j *Journal) commit(g group) error {
	if g.skipTo > 0 {
		if err := j.skip(g.skipTo); err != nil {
			return err
		}
	}
	if g.records > 0 {
		if err := j.store(g); err != nil {
			return err
		}
	}
	for _, done := range g.dones {
		if done != nil {
			done()
		}
	}
	j.mu.Lock()
	j.target = 0
	if g.records >= gatherFrom {
		j.target = g.records * 7 / 8
	}
	j.spare = g.emptied()
	j.mu.Unlock()
	return nil
}

// store writes and syncs a group and shows it to readers.
func (j *Journal) store(g group) error {
	if j.writer.full(len(g.frames), j.options.SegmentBytes) {
		if err := j.roll(); err != nil {
			return err
		}
	}
	start, from := time.Now(), j.writer.offset
	if err := j.writer.append(g.frames, j.options); err != nil {
		return err
	}
	j.segments.extend(g.summary, g.marks, from, j.writer.offset)
	if j.options.Observe != nil {
		j.options.Observe(time.Since(start), g.records)
	}
	return nil
}

// roll seals the active segment and begins the next.
func (j *Journal) roll() error { return j.rollTo(j.writer.segment.last + 1) }

// rollTo seals the active segment and begins the next with the sequence first.
func (j *Journal) rollTo(first uint64) error {
	sealed := j.writer
	s := sealed.segment.summary // the writer is the only one that changes it
	size, err := sealed.seal(s)
	if err != nil {
		return err
	}
	next, err := j.newSegmentWriter(first, s.lastAt)
	if err != nil {
		return err
	}
	j.segments.seal(size, next.segment)
	j.writer = next
	sealed.close()
	return nil
}

// skip goes on at a later sequence, in a segment of its own: the name of its file tells that
// nothing is before it.
func (j *Journal) skip(next uint64) error {
	from := j.writer.segment.last + 1
	if err := j.rollTo(next); err != nil {
		return err
	}
	j.segments.synced.Store(next - 1)
	j.lose(from, next-1)
	return nil
}

// sealLast seals what was written, so that the next open need not scan it; an empty
// segment stays as it is and says where the sequences go on.
func (j *Journal) sealLast() error {
	if j.writer.empty() {
		return nil
	}
	return j.roll()
}

// fail ends the journal. A sync is never tried again: after a failed one the kernel may
// have dropped the pages and would report success.
func (j *Journal) fail(err error) {
	j.failed.Store(true)
	j.stop()
	j.options.Fatal(fmt.Errorf("write journal %016x: %w", uint64(j.id), err))
}
