package actors

import (
	"cmp"
	"slices"
	"sync/atomic"

	"pannier/engine"
)

// releasedPart is a part of a batch over several lanes that was handed out: until every
// lane's watermark on disk has passed it, the batch's id is written with the watermark, so
// that recovery does not take the batch for an incomplete one.
type releasedPart struct {
	batch   uint64
	last    uint64 // its last sequence in this lane
	passed  bool
	pending *atomic.Int32 // lanes whose watermark on disk has not passed it
}

// checkpoint writes the lane's watermark and the cursors of its lagging subscriptions as
// one atomic group: a watermark never passes an event that lies behind an unwritten
// cursor (I2). with is written in the same group.
func (i *ingress) checkpoint(with []engine.Write, done chan<- struct{}) {
	mark := engine.Watermark{
		Journal: i.id, Sequence: i.ledger.Watermark(),
		Routed: i.ledger.Frontier(), Synced: i.journal.Synced(), Totals: i.system.kept(i),
	}
	mark.Open, mark.OpenThrough = i.openPairs()
	mark.Released = i.released()
	writes := append(i.dirtyCursors(), with...)
	if len(writes) == 0 && sameMark(mark, i.written) {
		if done != nil {
			close(done)
		}
		return
	}
	i.written = mark
	writes = append(writes, engine.PutWatermark{Watermark: mark})
	writes = append(writes, i.passedDoneMarks(mark.Sequence)...)
	var cursors []engine.Cursor
	if i.system.cluster != nil {
		cursors = i.system.accountOf(i)
	}
	i.system.write(writes, func() {
		i.durable.Store(mark.Sequence)
		if i.system.cluster != nil {
			i.system.cluster.Checkpoint(mark, cursors)
		}
		if done != nil {
			close(done)
		}
	})
}

func sameMark(a, b engine.Watermark) bool {
	return a.Sequence == b.Sequence && a.Routed == b.Routed && a.Synced == b.Synced &&
		a.Totals == b.Totals && a.OpenThrough == b.OpenThrough && slices.Equal(a.Released, b.Released) &&
		slices.EqualFunc(a.Open, b.Open, func(x, y engine.OpenPairs) bool {
			return x.Subscription == y.Subscription && slices.Equal(x.Sequences, y.Sequences)
		})
}

// openPairs lists whom the lane's events wait for, and through which sequence the list is
// whole.
func (i *ingress) openPairs() (open []engine.OpenPairs, through uint64) {
	byHandle, through := i.ledger.Open()
	for handle, sequences := range byHandle {
		e := i.system.registry.get(engine.Handle(handle))
		open = append(open, engine.OpenPairs{Subscription: e.id, Sequences: sequences})
	}
	slices.SortFunc(open, func(a, b engine.OpenPairs) int { return cmp.Compare(a.Subscription, b.Subscription) })
	return open, through
}

func (i *ingress) dirtyCursors() []engine.Write {
	i.dirtyMu.Lock()
	dirty := i.dirty
	i.dirty = nil
	i.dirtyMu.Unlock()
	writes := make([]engine.Write, 0, len(dirty)+1)
	for _, d := range dirty {
		if w, ok := d.slot.cursor(d.entry.id); ok {
			writes = append(writes, w)
		}
	}
	return writes
}

// passedDoneMarks drops the done marks that the watermark makes superfluous.
func (i *ingress) passedDoneMarks(watermark uint64) []engine.Write {
	i.marksMu.Lock()
	defer i.marksMu.Unlock()
	var writes []engine.Write
	kept := i.doneMarks[:0]
	for _, mark := range i.doneMarks {
		if mark.Event.Sequence < watermark {
			writes = append(writes, engine.DropDoneMark{DoneMark: mark})
		} else {
			kept = append(kept, mark)
		}
	}
	i.doneMarks = kept
	return writes
}

// noteDoneMarks remembers which done marks are on disk.
func (s *System) noteDoneMarks(writes []engine.Write) {
	for _, w := range writes {
		if mark, ok := w.(engine.PutDoneMark); ok {
			lane := s.ingressOf(mark.Event.Journal)
			lane.marksMu.Lock()
			lane.doneMarks = append(lane.doneMarks, mark.DoneMark)
			lane.marksMu.Unlock()
		}
	}
}

// noteReleased begins to track a part that was handed out.
func (i *ingress) noteReleased(part *engine.Part) {
	if len(part.Events) == 0 {
		return
	}
	last := part.Events[len(part.Events)-1]
	i.releases = append(i.releases, &releasedPart{
		batch: last.Batch.ID, last: last.Ref.Sequence, pending: i.system.held.lanesOf(last.Batch.ID),
	})
}

// released lists the batches that must be known as complete, and forgets those that every
// lane has passed on disk.
func (i *ingress) released() []uint64 {
	var ids []uint64
	kept := i.releases[:0]
	for _, r := range i.releases {
		if !r.passed && i.durable.Load() > r.last {
			r.passed = true
			r.pending.Add(-1)
		}
		if r.pending.Load() <= 0 {
			i.system.held.forget(r.batch)
			continue
		}
		ids = append(ids, r.batch)
		kept = append(kept, r)
	}
	i.releases = kept
	return ids
}
