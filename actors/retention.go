package actors

import (
	"context"
	"slices"
	"time"

	"pannier/engine"
)

const (
	// houseInterval is how often the retention is enforced.
	houseInterval = 30 * time.Second
	// actorTimeout bounds the wait for an actor: one that crashes meanwhile, or whose journal goes
	// to another member, is asked again later.
	actorTimeout = time.Minute
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
	if !s.awaitActor(done) {
		return
	}
	if err := s.writeAndWait(); err != nil { // behind the records that took their events along
		return
	}
	if err := lane.journal.Trim(segment); err != nil {
		s.logger.Error("segment could not be removed", "lane", lane.name, "first", segment.First, "error", err)
	}
}

// awaitActor waits for an actor to be done; it reports false where that does not come.
func (s *System) awaitActor(done <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(context.Background(), actorTimeout)
	defer cancel()
	return s.await(ctx, done) == nil
}

// reaches tells whether something at or below sequence waits behind the entry's cursor.
func (e *entry) reaches(lane *ingress, sequence uint64) bool {
	for _, slot := range e.allSlots() {
		if slot.journal == lane.id && slices.ContainsFunc(slot.wholeCursor(e.id).Ranges, func(r engine.Range) bool { return r.From <= sequence }) {
			return true
		}
	}
	return false
}

// expire gives up what a subscription has waiting up to sequence: it becomes dead letters, and
// lies behind the cursor until they are on disk (I2). It reports false where that is not done
// yet; the next time it goes on.
func (s *System) expire(lane *ingress, e *entry, sequence uint64) bool {
	done := make(chan struct{})
	e.send(expire{journal: lane.id, through: sequence, done: done})
	if !s.awaitActor(done) {
		return false
	}
	slot := e.slot(lane)
	defer lane.noteDirty(e, slot)
	for r, more := slot.givenUp(); more; r, more = slot.givenUp() {
		expired, ended, next, err := s.expireFrom(lane, e, r)
		if s.stopping.Load() {
			return false
		}
		dead := 0
		if err == nil {
			dead, err = s.bury(lane, expired)
		}
		if err != nil {
			s.logger.Error("what expired could not be kept", "lane", lane.name, "subscription", string(e.id), "error", err)
			return false
		}
		if next <= r.From { // nothing more can be read
			next = r.Through + 1
		}
		slot.buried(next, dead+ended)
	}
	return true
}

// expireFrom gathers the subscription's events among the first few of a range, no more than one
// write has room for, and tells where to go on. ended are those of them that need it no more.
func (s *System) expireFrom(lane *ingress, e *entry, r engine.Range) (expired []engine.Expired, ended int, next uint64, err error) {
	x := engine.Expired{Subscription: e.id, ExpiredAt: s.clock()}
	wanted := func(head *engine.Event) bool {
		if !s.waitsFor(e, lane, head) {
			if s.table.WasFor(head, e.id) {
				ended++
			}
			return false
		}
		return true
	}
	limit := int(min(engine.MaxExpired, r.Through-r.From+1))
	next, err = lane.journal.Search(r.From, limit, wanted, func(event *engine.Event) bool {
		if event.Ref.Sequence <= r.Through && !x.Add(event) {
			expired = append(expired, x)
			x = engine.Expired{Subscription: e.id, ExpiredAt: x.ExpiredAt}
			x.Add(event)
		}
		return true
	})
	if len(x.Deliveries) > 0 {
		expired = append(expired, x)
	}
	return expired, ended, next, err
}

// bury makes dead letters durable and counts them.
func (s *System) bury(lane *ingress, expired []engine.Expired) (dead int, err error) {
	writes := make([]engine.Write, len(expired))
	for n, x := range expired {
		writes[n] = engine.PutExpired{Expired: x}
		dead += len(x.Deliveries)
	}
	if dead == 0 {
		return 0, nil
	}
	if err := s.writeAndWait(writes...); err != nil {
		return 0, err
	}
	s.totals.dead.Add(int64(dead))
	for range dead {
		s.options.Metrics.DeadEnded(lane.name, engine.ReasonExpired)
	}
	return dead, nil
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
		if !s.awaitActor(done) {
			return false
		}
		if len(records) < page || after.AcceptedMilli > segment.LastAt.UnixMilli() {
			return true
		}
	}
}

// versionsFor is how long a cluster keeps a superseded version beyond the longest retention: a
// member that was cut off may have matched events with it for as long.
const versionsFor = 24 * time.Hour

// forgetVersions drops the versions of subscriptions that no retained event was matched with. In
// a cluster the events of other members count, whose journals this one may come to keep or list.
func (s *System) forgetVersions() {
	oldest := s.table.Revision()
	if s.cluster != nil {
		oldest = uint64(engine.StampAt(s.clock().Add(-s.longestRetention() - versionsFor).UnixMilli()))
	}
	for _, lane := range s.lanes.all() {
		for _, segment := range lane.journal.Segments() {
			if segment.FirstRevision > 0 {
				oldest = min(oldest, segment.FirstRevision)
			}
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

func (s *System) longestRetention() time.Duration {
	longest := s.options.Retention
	for _, lane := range s.options.Lanes {
		longest = max(longest, lane.Retention)
	}
	return longest
}
