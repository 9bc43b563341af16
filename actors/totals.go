package actors

import (
	"sync/atomic"

	"pannier/engine"
	"pannier/engine/delivery"
)

// totals count what happened since the data folder was made, and what is pending now.
type totals struct {
	acceptedEvents atomic.Uint64
	matched        atomic.Uint64
	delivered      atomic.Uint64
	retried        atomic.Uint64
	dead           atomic.Int64
	records        atomic.Int64 // retry records that are not under way
	flights        atomic.Int64
}

// of gives the totals to be kept with a lane's watermark: the shared lane keeps them.
func (t *totals) of(i *ingress) engine.Totals {
	if i.name != engine.SharedLane {
		return engine.Totals{}
	}
	return engine.Totals{
		Accepted: t.acceptedEvents.Load(), Matched: t.matched.Load(), Delivered: t.delivered.Load(),
		Retried: t.retried.Load(), Dead: uint64(max(0, t.dead.Load())), //nolint:gosec // not negative
	}
}

// restore continues the counts of an earlier boot.
func (t *totals) restore(kept engine.Totals) {
	t.acceptedEvents.Store(kept.Accepted)
	t.matched.Store(kept.Matched)
	t.delivered.Store(kept.Delivered)
	t.retried.Store(kept.Retried)
}

func (s *System) accepted(lane *ingress, events []*engine.Event) {
	s.totals.acceptedEvents.Add(uint64(len(events)))
	s.options.Metrics.Accepted(lane.name, len(events))
}

// note counts and logs the end of an attempt.
func (s *System) note(end delivery.End) {
	lane := s.ingressOf(end.Attempt.Key.Event.Journal)
	s.options.Metrics.Attempted(lane.name, end.Attempt.Outcome)
	s.history.Record(end.Attempt)
	if !end.First {
		s.totals.retried.Add(1)
	}
	switch end.Decision.Kind {
	case engine.Delivered:
		s.totals.delivered.Add(1)
		if end.Event != nil {
			s.options.Metrics.Delivered(lane.name, end.Attempt.StartedAt.Add(end.Attempt.Duration).Sub(end.Event.AcceptedAt))
		}
	case engine.Dead:
		if end.Again {
			s.totals.delivered.Add(1) // it still is
			return
		}
		s.totals.dead.Add(1)
		s.options.Metrics.DeadEnded(lane.name, end.Decision.Reason)
	case engine.Later, engine.Unchanged:
	}
}

// noteInsert takes a delivery that is made once more off the count of its end.
func (s *System) noteInsert(record engine.RetryRecord) {
	if record.Delivered {
		s.totals.delivered.Add(^uint64(0))
		return
	}
	s.totals.dead.Add(-1)
}

// Stats implements engine.Deliveries.
func (s *System) Stats() engine.StatsView {
	view := engine.StatsView{
		Accepted: s.totals.acceptedEvents.Load(), Matched: s.totals.matched.Load(),
		Delivered: s.totals.delivered.Load(), Retried: s.totals.retried.Load(),
		Dead: uint64(max(0, s.totals.dead.Load())), //nolint:gosec // not negative
	}
	waiting := max(0, s.totals.records.Load())
	for _, e := range s.registry.all() {
		for _, slot := range e.allSlots() {
			queued, behind := slot.counts()
			waiting += int64(queued) + int64(behind) //nolint:gosec // far below 2^63
		}
	}
	view.Waiting = uint64(waiting)                            //nolint:gosec // not negative
	view.Attempting = uint64(max(0, s.totals.flights.Load())) //nolint:gosec // not negative
	view.Pending = view.Waiting + view.Attempting
	return view
}
