package actors

import (
	"context"
	"time"

	"pannier/engine"
)

// firstEventSearch bounds the records that are looked at for the first event behind a
// cursor: those of requests lie between events.
const firstEventSearch = 64

// Views implements engine.Lanes.
func (s *System) Views(context.Context) []engine.LaneView {
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
	due := make(oldestDue)
	for _, e := range s.registry.all() {
		s.addWaiting(e, views, due)
	}
	for lane, oldest := range due {
		if view := views[lane]; view != nil {
			view.OldestAge = oldest.age(lane, now)
		}
	}
	return result
}

// oldestDue is what is due for longest in each lane.
type oldestDue map[*ingress]oldest

type oldest struct {
	at     time.Time // in memory; zero: nothing
	cursor uint64    // the lowest with something behind it; 0: none
}

func (d oldestDue) note(lane *ingress, at time.Time) {
	o := d[lane]
	if o.at.IsZero() || at.Before(o.at) {
		o.at = at
	}
	d[lane] = o
}

func (d oldestDue) noteCursor(lane *ingress, low uint64) {
	o := d[lane]
	if low > 0 && (o.cursor == 0 || low < o.cursor) {
		o.cursor = low
	}
	d[lane] = o
}

// age is how long the oldest delivery waits. What lies behind a cursor waits since its
// event was accepted.
func (o oldest) age(lane *ingress, now time.Time) time.Duration {
	at := o.at
	if o.cursor > 0 {
		if accepted, found := lane.acceptedFrom(o.cursor, firstEventSearch); found && (at.IsZero() || accepted.Before(at)) {
			at = accepted
		}
	}
	if at.IsZero() {
		return 0
	}
	return max(0, now.Sub(at))
}

// addWaiting adds what waits of a subscription to the views, and to due what waits though
// nothing but room is missing: that of a disabled subscription or of an open circuit is
// not due.
func (s *System) addWaiting(e *entry, views map[*ingress]*engine.LaneView, due oldestDue) {
	attempted := s.attempted(e)
	for _, slot := range e.allSlots() {
		queued, behind := slot.counts()
		if view := views[slot.ingress]; view != nil { // nil: the lane came or went since
			view.Backlog += uint64(queued) + behind //nolint:gosec // not negative
		}
		if !attempted {
			continue
		}
		if at, waits := slot.oldest(); waits {
			due.note(slot.ingress, at)
		}
		if behind > 0 {
			due.noteCursor(slot.ingress, slot.cursorLow())
		}
	}
	if at, journal := e.oldestDueRecord(); attempted && !at.IsZero() {
		due.note(s.ingressOf(journal), at)
	}
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

// cursorLow is the lowest sequence behind the cursor; 0 when there is none.
func (s *slot) cursorLow() (low uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.ranges {
		if low == 0 || r.From < low {
			low = r.From
		}
	}
	return low
}

// acceptedFrom is the accept time of the first event from a sequence on, if it is among so
// many records.
func (i *ingress) acceptedFrom(sequence uint64, records int) (at time.Time, found bool) {
	_, err := i.journal.Read(sequence, records, func(_ uint64, record engine.Record) bool {
		if record.Event != nil {
			at, found = record.Event.AcceptedAt, true
		}
		return !found
	})
	if err != nil {
		i.system.logger.Error("journal read failed", "lane", i.name, "sequence", sequence, "error", err)
	}
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
func (s *System) RetryRecords() (n int64) {
	for _, e := range s.registry.all() {
		n += e.waitingRecords()
	}
	return n
}
