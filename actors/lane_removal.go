package actors

import (
	"slices"

	"pannier/engine"
)

// removeDrained removes the lanes that take no topic any more (no longer configured, or
// demoted) once their journals are empty: everything in them is discharged and has left
// the retention, and the retry records that came from them carry their events.
func (s *System) removeDrained() {
	for _, lane := range s.lanes.all() {
		if lane.isDrained() {
			s.removeLane(lane)
		}
	}
}

func (i *ingress) isDrained() bool {
	if i.pid.Load() == nil || len(*i.topics.Load()) > 0 || len(i.journal.Segments()) > 0 {
		return false // it is not started yet, or in use
	}
	first, next := i.journal.Bounds()
	return first == next && i.durable.Load() >= next
}

// removeLane forgets a lane: in memory first, then in the state, then on disk, so that a
// crash in between leaves at worst an empty journal that is opened and removed again. Its
// totals go to the shared lane, in the same write.
func (s *System) removeLane(lane *ingress) {
	s.lanes.drop(lane)
	for _, e := range s.registry.all() {
		e.dropSlot(lane.id)
	}
	s.root.Stop(lane.pid.Load())
	gone := []engine.Write{engine.DropWatermark{Journal: lane.id}}
	if !lane.adopted {
		gone = append(gone, engine.DropLane{Name: lane.name})
	}
	done := make(chan struct{})
	s.lanes.byName(engine.SharedLane).send(absorb{totals: lane.totals.all(), gone: gone, done: done})
	select {
	case <-done:
	case <-s.stopped:
		return
	}
	if lane.adopted {
		s.cluster.Finished(lane.id)
		return
	}
	err := lane.journal.Close()
	if err == nil {
		err = s.options.RemoveJournal(engine.LaneRecord{Name: lane.name, Journal: lane.id})
	}
	if err != nil {
		s.logger.Error("drained lane could not be removed", "lane", lane.name, "error", err)
		return
	}
	s.logger.Info("drained lane removed", "lane", lane.name)
}

// drop takes a lane out of use.
func (l *laneSet) drop(lane *ingress) {
	l.change(func(lanes []*ingress) []*ingress {
		return slices.DeleteFunc(lanes, func(other *ingress) bool { return other == lane })
	})
}

// dropSlot forgets the mailbox of a journal and tells whether there was one.
func (e *entry) dropSlot(journal engine.JournalID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	// allSlots hands the slice out: it is replaced, not changed.
	before := len(e.slots)
	e.slots = slices.DeleteFunc(slices.Clone(e.slots), func(s *slot) bool { return s.journal == journal })
	return len(e.slots) < before
}
