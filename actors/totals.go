package actors

import (
	"context"
	"sync/atomic"

	"pannier/engine"
	"pannier/engine/delivery"
)

// totals count what is settled for good and what is pending now, over all lanes. They are
// kept with the watermark of the shared lane.
//
// What was delivered is not counted but follows from the rest: a pair that was matched and
// is neither pending nor dead nor discarded has been delivered. A crash repeats
// deliveries, and a counter of them would count each repeat.
type totals struct {
	dead      atomic.Int64
	discarded atomic.Int64 // pending or dead when their subscription was deleted
	flights   atomic.Int64
	out       atomic.Int64 // hand-outs to the members that own the subscriptions
}

// laneTotals count what happened in one lane since the data folder was made. They are kept
// with the lane's own watermark, so that what recovery counts again is what they lack.
type laneTotals struct {
	accepted, matched, retried atomic.Uint64
	// dead and discarded are what the member that wrote an adopted journal had counted. They are
	// set once.
	dead, discarded int64
	// beyond are the events that were counted and lie beyond the frontier: recovery counts
	// them again. Owned by the ingress actor.
	beyond []countedEvent
}

type countedEvent struct{ sequence, matched uint64 }

// count takes an event that was handed out into the totals.
func (t *laneTotals) count(sequence uint64, matched int) {
	t.accepted.Add(1)
	t.matched.Add(uint64(matched))                                       //nolint:gosec // not negative
	t.beyond = append(t.beyond, countedEvent{sequence, uint64(matched)}) //nolint:gosec // not negative
}

// passed notes how far recovery need not count again.
func (t *laneTotals) passed(frontier uint64) {
	kept := t.beyond[:0]
	for _, c := range t.beyond {
		if c.sequence > frontier {
			kept = append(kept, c)
		}
	}
	t.beyond = kept
}

// all gives the totals.
func (t *laneTotals) all() engine.Totals {
	return engine.Totals{
		Accepted: t.accepted.Load(), Matched: t.matched.Load(), Retried: t.retried.Load(),
		Dead: t.dead, Discarded: t.discarded,
	}
}

// toFrontier gives the totals without what lies beyond the frontier, to be kept with the
// watermark.
func (t *laneTotals) toFrontier() engine.Totals {
	kept := t.all()
	for _, c := range t.beyond {
		kept.Accepted--
		kept.Matched -= c.matched
	}
	return kept
}

// add continues the counts of an earlier boot, or of a lane that is gone.
func (t *laneTotals) add(kept engine.Totals) {
	t.accepted.Add(kept.Accepted)
	t.matched.Add(kept.Matched)
	t.retried.Add(kept.Retried)
}

// carry goes on with the counts of an adopted journal, which leave with it again.
func (t *laneTotals) carry(kept engine.Totals) {
	t.add(kept)
	t.dead, t.discarded = kept.Dead, kept.Discarded
}

// note counts and logs the end of an attempt.
func (s *System) note(end delivery.End) {
	lane := s.ingressOf(end.Attempt.Key.Event.Journal)
	s.options.Metrics.Attempted(lane.name, end.Attempt.Outcome)
	s.history.Record(end.Attempt)
	if !end.First {
		lane.totals.retried.Add(1)
	}
	switch end.Decision.Kind {
	case engine.Delivered:
		if end.Event != nil {
			s.options.Metrics.Delivered(lane.name, end.Attempt.StartedAt.Add(end.Attempt.Duration).Sub(end.Event.AcceptedAt))
		}
	case engine.Dead:
		if end.Again {
			return // it still is delivered
		}
		s.totals.dead.Add(1)
		s.options.Metrics.DeadEnded(lane.name, end.Decision.Reason)
	case engine.Later, engine.Unchanged:
	}
}

// noteInsert takes a delivery that is made once more off the count of its end.
func (s *System) noteInsert(record engine.RetryRecord) {
	if !record.Delivered {
		s.totals.dead.Add(-1)
	}
}

// kept are the totals that go with a lane's watermark.
func (s *System) kept(lane *ingress) engine.Totals {
	kept := lane.totals.toFrontier()
	if lane.name == engine.SharedLane {
		kept.Dead, kept.Discarded = s.totals.dead.Load(), s.totals.discarded.Load()
	}
	return kept
}

// restoreTotals continues the counts of the earlier boots: dead are the dead letters that
// are still kept, which is less than there were once some are too old. In a cluster the counts
// are in the accounts of the journals and come with adoption.
func (s *System) restoreTotals(marks []engine.Watermark, dead int64) {
	if s.cluster != nil {
		return
	}
	for _, mark := range marks {
		dead = max(dead, mark.Totals.Dead)
		s.totals.discarded.Add(mark.Totals.Discarded)
	}
	s.totals.dead.Store(dead)
}

// Undischarged counts what this member's journals wait for, and the attempts under way.
func (s *System) Undischarged() uint64 {
	pending := s.totalsHere().Pending
	return pending - min(pending, uint64(s.RetryRecords())) + uint64(max(0, s.totals.out.Load())) //nolint:gosec // not negative
}

// Ended counts the dead letters, and the deliveries whose subscriptions were deleted. In a cluster
// only the sums over all members mean something: one may take off what another has counted.
func (s *System) Ended() (dead, discarded int64) {
	dead, discarded = s.totals.dead.Load(), s.totals.discarded.Load()
	for _, lane := range s.lanes.all() {
		dead += lane.totals.dead
		discarded += lane.totals.discarded
	}
	return dead, discarded
}

// Stats implements engine.Deliveries.
func (s *System) Stats(context.Context) engine.StatsView { return s.totalsHere() }

func (s *System) totalsHere() engine.StatsView {
	dead, discarded := s.Ended()
	view := engine.StatsView{Dead: uint64(max(0, dead))}
	for _, lane := range s.lanes.all() {
		view.Accepted += lane.totals.accepted.Load()
		view.Matched += lane.totals.matched.Load()
		view.Retried += lane.totals.retried.Load()
	}
	waiting := int64(0)
	for _, e := range s.registry.all() {
		waiting += e.waitingRecords()
		for _, slot := range e.allSlots() {
			queued, behind := slot.counts()
			waiting += int64(queued) + int64(behind) //nolint:gosec // far below 2^63
		}
	}
	view.Waiting = uint64(waiting)
	view.Attempting = uint64(max(0, s.totals.flights.Load()))
	view.Pending = view.Waiting + view.Attempting
	others := view.Pending + view.Dead + uint64(max(0, discarded))
	view.Delivered = view.Matched - min(view.Matched, others)
	return view
}
