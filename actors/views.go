package actors

import (
	"time"

	"pannier/engine"
)

// firstEventSearch bounds the records that are looked at for the first event behind a
// cursor: those of requests lie between events.
const firstEventSearch = 64

// Views implements engine.Lanes.
func (s *System) Views() []engine.LaneView {
	now := s.clock()
	views := make(map[*ingress]*engine.LaneView)
	lanes := s.lanes.all()
	result := make([]engine.LaneView, len(lanes))
	for n, lane := range lanes {
		topics := make([]string, 0, len(*lane.topics.Load()))
		for _, p := range *lane.topics.Load() {
			topics = append(topics, string(p))
		}
		result[n] = engine.LaneView{
			Name: lane.name, Topics: topics, Promoted: lane.promotedTopic() != "", EventsPerSecond: lane.rate.perSecond(now),
			InFlight: s.attempts.inLane(lane), Retention: lane.config.Retention,
		}
		views[lane] = &result[n]
	}
	due := s.oldestDue(views)
	for lane, at := range due {
		if view := views[lane]; view != nil {
			view.OldestAge = max(0, now.Sub(at))
		}
	}
	return result
}

// oldestDue adds the backlogs to the views and finds since when the oldest delivery of
// each lane waits though nothing but room is missing: that of a disabled subscription or
// of an open circuit is not due.
func (s *System) oldestDue(views map[*ingress]*engine.LaneView) map[*ingress]time.Time {
	due := make(map[*ingress]time.Time, len(views))
	note := func(lane *ingress, at time.Time) {
		if before, found := due[lane]; !found || at.Before(before) {
			due[lane] = at
		}
	}
	cursors := make(map[*ingress]uint64) // the lowest of each lane with something behind it
	for _, e := range s.registry.all() {
		attempted := s.attempted(e)
		for _, slot := range e.allSlots() {
			view := views[slot.ingress]
			if view == nil {
				continue // the lane came or went since
			}
			queued, behind := slot.counts()
			view.Backlog += uint64(queued) + behind //nolint:gosec // not negative
			if !attempted {
				continue
			}
			if at, waits := slot.oldest(); waits {
				note(slot.ingress, at)
			}
			if low := slot.cursorLow(); behind > 0 && low > 0 && (cursors[slot.ingress] == 0 || low < cursors[slot.ingress]) {
				cursors[slot.ingress] = low
			}
		}
		if at, journal := e.oldestDueRecord(); attempted && !at.IsZero() {
			note(s.ingressOf(journal), at)
		}
	}
	for lane, low := range cursors {
		if at, found := lane.acceptedFrom(low); found {
			note(lane, at)
		}
	}
	return due
}

// attempted tells whether attempts of a subscription are made when they are due.
func (s *System) attempted(e *entry) bool {
	return s.table.Latest(e.handle).Enabled && !e.circuitOpen()
}

// circuitOpen tells what the actor said last, or what it left when it went to sleep.
func (e *entry) circuitOpen() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine == nil {
		return e.queue.Circuit.Open
	}
	return e.counts.open
}

// oldestDueRecord is since when the first retry record is due and waits, and the journal of
// its event.
func (e *entry) oldestDueRecord() (time.Time, engine.JournalID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.oldestDue.at, e.oldestDue.journal
}

// cursorLow is the lowest sequence behind the cursor, 0 when there is none.
func (s *slot) cursorLow() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	low := uint64(0)
	for _, r := range s.ranges {
		if low == 0 || r.From < low {
			low = r.From
		}
	}
	return low
}

// acceptedFrom is the accept time of the first event from a sequence on.
func (i *ingress) acceptedFrom(sequence uint64) (at time.Time, found bool) {
	_, err := i.journal.Read(sequence, firstEventSearch, func(_ uint64, record engine.Record) bool {
		if record.Event != nil {
			at, found = record.Event.AcceptedAt, true
		}
		return !found
	})
	return at, found && err == nil
}

// OpenCircuits counts the subscriptions whose circuit is open.
func (s *System) OpenCircuits() int {
	n := 0
	for _, e := range s.registry.all() {
		if e.circuitOpen() {
			n++
		}
	}
	return n
}

// RetryRecords counts the deliveries that wait for another attempt.
func (s *System) RetryRecords() int64 { return max(0, s.totals.records.Load()) }
