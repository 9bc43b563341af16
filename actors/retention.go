package actors

import (
	"context"
	"time"

	"pannier/engine"
)

const (
	// houseInterval is how often the retention is enforced.
	houseInterval = 30 * time.Second
	// embedTimeout bounds the wait for a subscription to write events into its retry records;
	// an actor that crashes meanwhile is asked again later.
	embedTimeout = time.Minute
)

// keepHouse removes what left the retention, until the member stops.
func (s *System) keepHouse() {
	ticker := time.NewTicker(houseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.retain()
		case <-s.stopped:
			return
		}
	}
}

// retain runs the retention once over every lane.
func (s *System) retain() {
	now := s.clock()
	for _, lane := range s.lanes.all() {
		for _, segment := range lane.journal.Segments() {
			if s.stopping.Load() {
				return
			}
			if now.Sub(segment.LastAt) >= lane.config.Retention && segment.Last < lane.durable.Load() {
				s.dropSegment(lane, segment)
			}
		}
	}
	s.removeDrained()
	s.forgetVersions()
	for more := true; more && !s.stopping.Load(); {
		var err error
		if more, err = s.state.Sweep(context.Background(), now); err != nil {
			s.logger.Error("state could not be swept", "error", err)
			return
		}
	}
}

// dropSegment removes a segment that is discharged and past its retention. What still lies
// behind a cursor there becomes dead letters (expired), and the retry records that refer to
// it take their events along, so that one record cannot pin a segment for ever.
func (s *System) dropSegment(lane *ingress, segment engine.Segment) {
	for _, e := range s.registry.all() {
		if e.reaches(lane, segment.Last) && !s.expire(lane, e, segment.Last) {
			return // the segment stays until everything in it has come to its end
		}
		if e.recordsSince(segment.LastAt) && !s.embedRecords(lane, e, segment) {
			return // the segment stays until the records are independent of it
		}
	}
	done := make(chan struct{})
	lane.send(checkpoint{done: done}) // the cursors beyond the segment
	select {
	case <-done:
	case <-s.stopped:
		return
	}
	if err := s.writeAndWait(); err != nil { // behind the records that took their events along
		return
	}
	if err := lane.journal.Trim(segment); err != nil {
		s.logger.Error("segment could not be removed", "lane", lane.name, "first", segment.First, "error", err)
	}
}

// reaches tells whether something at or below sequence waits behind the entry's cursor.
func (e *entry) reaches(lane *ingress, sequence uint64) bool {
	for _, slot := range e.allSlots() {
		if slot.journal != lane.id {
			continue
		}
		slot.mu.Lock()
		defer slot.mu.Unlock()
		for _, r := range slot.ranges {
			if r.From <= sequence {
				return true
			}
		}
	}
	return false
}

// expire gives up what a subscription has waiting up to sequence; it reports false where that
// could not be made durable.
func (s *System) expire(lane *ingress, e *entry, sequence uint64) bool {
	gone := make(chan []engine.Range, 1)
	e.send(expire{journal: lane.id, through: sequence, gone: gone})
	var ranges []engine.Range
	select {
	case ranges = <-gone:
	case <-s.stopped:
		return false
	}
	for _, r := range ranges {
		for from := r.From; from <= r.Through; {
			expired, next := s.expireFrom(lane, e, from, r.Through)
			for _, x := range expired {
				if err := s.writeAndWait(engine.PutExpired{Expired: x}); err != nil {
					return false
				}
				s.noteExpired(lane, e, len(x.Deliveries))
			}
			if next <= from {
				break
			}
			from = next
		}
	}
	return true
}

// expireFrom gathers the subscription's events among the next few of a journal, and tells where
// to go on.
func (s *System) expireFrom(lane *ingress, e *entry, from, through uint64) (expired []engine.Expired, next uint64) {
	x := engine.Expired{Subscription: e.id, ExpiredAt: s.clock()}
	wanted := func(head *engine.Event) bool { return s.waitsFor(e, lane, head) }
	limit := int(min(readRecords, through-from+1))
	next, err := lane.journal.Search(from, limit, wanted, func(event *engine.Event) bool {
		if event.Ref.Sequence <= through && !x.Add(event) {
			expired = append(expired, x)
			x = engine.Expired{Subscription: e.id, ExpiredAt: x.ExpiredAt}
			x.Add(event)
		}
		return true
	})
	if err != nil {
		s.logger.Error("journal could not be read", "lane", lane.name, "from", from, "error", err)
	}
	if len(x.Deliveries) > 0 {
		expired = append(expired, x)
	}
	return expired, next
}

func (s *System) noteExpired(lane *ingress, e *entry, n int) {
	s.totals.dead.Add(int64(n))
	slot := e.slot(lane)
	slot.forgive(uint64(n)) //nolint:gosec // not negative
	lane.noteDirty(e, slot)
	for range n {
		s.options.Metrics.DeadEnded(lane.name, engine.ReasonExpired)
	}
}

// forgive takes expired events off the count of what waits. The cursor may have been written
// since the subscription gave them up, with a count that has them still.
func (s *slot) forgive(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting -= min(n, s.waiting)
	s.dirty = true
}

// recordsSince tells whether the entry may have retry records of events accepted up to t.
func (e *entry) recordsSince(t time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts.records+e.counts.flights > 0 || (e.queue.Records > 0 && e.queue.OldestMilli <= t.UnixMilli())
}

// embedRecords makes the retry records that refer to a segment independent of it; it reports
// false where that failed.
func (s *System) embedRecords(lane *ingress, e *entry, segment engine.Segment) bool {
	const page = 200
	for after := (engine.DeliveryKey{}); ; {
		records, err := s.state.RetryRecords(context.Background(), e.id, after, page)
		if err != nil {
			s.logger.Error("retry records could not be read", "subscription", string(e.id), "error", err)
			return false
		}
		events := make([]*engine.Event, 0, len(records))
		for _, record := range records {
			after = record.Key
			ref := record.Key.Event
			if record.Body != nil || ref.Journal != lane.id || ref.Sequence > segment.Last {
				continue
			}
			if found, err := lane.journal.Get(ref.Sequence); err == nil && found.Event != nil {
				events = append(events, found.Event)
			}
		}
		done := make(chan struct{})
		e.send(embed{events: events, done: done})
		ctx, cancel := context.WithTimeout(context.Background(), embedTimeout)
		err = s.await(ctx, done)
		cancel()
		if err != nil {
			return false
		}
		if len(records) < page || after.AcceptedMilli > segment.LastAt.UnixMilli() {
			return true
		}
	}
}

// forgetVersions drops the versions of subscriptions that no retained event was matched
// with.
func (s *System) forgetVersions() {
	oldest := s.table.Revision()
	for _, lane := range s.lanes.all() {
		for _, segment := range lane.journal.Segments() {
			oldest = min(oldest, segment.FirstRevision)
		}
		first, next := lane.journal.Bounds()
		if first >= next {
			continue
		}
		found, err := lane.journal.Get(first)
		if err != nil || found.Event == nil {
			return // a request or a damaged record: look again later
		}
		oldest = min(oldest, found.Event.Revision)
	}
	var writes []engine.Write
	for _, version := range s.table.Forget(oldest) {
		writes = append(writes, engine.DropVersion{Version: version})
	}
	if len(writes) > 0 {
		s.write(writes, func() {})
	}
}
