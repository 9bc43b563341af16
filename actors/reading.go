package actors

import (
	"context"
	"slices"

	"pannier/engine"
	"pannier/engine/delivery"
)

const (
	readWorkers = 2
	// readRecords bounds the records one read looks at, readEvents and readBytes what it keeps:
	// a lagging subscription holds no more than this in memory.
	readRecords = 4096
	readEvents  = 128
	readBytes   = 1 << 20
)

// readDone comes back to the subscription actor.
type readDone struct {
	read   delivery.Read
	events []*engine.Event
	next   uint64
	end    bool
}

// readers reads journals at the cursors of lagging subscriptions, a few at a time, in the
// order they asked.
type readers struct {
	system *System
	work   chan readJob
	done   chan struct{}
}

type readJob struct {
	entry *entry
	read  delivery.Read
}

func newReaders(s *System) *readers {
	r := &readers{system: s, work: make(chan readJob), done: make(chan struct{})}
	return r
}

func (r *readers) start() {
	for range readWorkers {
		r.system.background(func() {
			for {
				select {
				case job := <-r.work:
					job.entry.send(r.system.readAt(job))
				case <-r.done:
					return
				}
			}
		})
	}
}

// submit never blocks the actor: each subscription has at most one read under way for each
// lane, which bounds what waits.
func (r *readers) submit(e *entry, read delivery.Read) {
	r.system.background(func() {
		select {
		case r.work <- readJob{e, read}:
		case <-r.done:
		}
	})
}

// readAt gathers the subscription's events from a sequence on.
func (s *System) readAt(job readJob) readDone {
	lane := s.lanes.byJournal(job.read.Journal)
	if lane == nil {
		return readDone{read: job.read, next: job.read.From} // another member keeps it now
	}
	through := lane.frontier.Load()
	closed := job.read.Through != 0 && job.read.Through <= through
	if closed {
		through = job.read.Through
	}
	result := readDone{read: job.read, next: job.read.From}
	bytes := 0
	wanted := func(head *engine.Event) bool { return s.waitsFor(job.entry, lane, head) }
	for result.next <= through && len(result.events) < readEvents && bytes < readBytes {
		limit := int(min(readRecords, through-result.next+1))
		next, err := lane.journal.Search(result.next, limit, wanted, func(event *engine.Event) bool {
			result.events = append(result.events, event)
			bytes += len(event.Data)
			return len(result.events) < readEvents && bytes < readBytes
		})
		if err != nil || next == result.next {
			if err != nil {
				s.logger.Error("journal read failed", "lane", lane.name, "sequence", result.next, "error", err)
			}
			break
		}
		result.next = next
	}
	result.end = result.next > through && !closed
	return result
}

// waitsFor tells whether an event read at a cursor is one of the subscription's that has
// not ended yet.
func (s *System) waitsFor(e *entry, lane *ingress, event *engine.Event) bool {
	if s.dropped.Has(event) || !s.table.WasFor(event, e.id) {
		return false
	}
	return event.Ref.Sequence > lane.recovered || !lane.endedBefore(e.id, event)
}

// endedBefore tells whether a delivery had come to an end, or to a retry record, before the lane
// was gone on with.
func (i *ingress) endedBefore(id engine.SubscriptionID, event *engine.Event) bool {
	_, settled := slices.BinarySearch(i.settled[id], event.Ref.Sequence)
	return settled || i.system.endedBefore(id, event) || (i.adopted && i.system.hasDied(id, event))
}

// hasDied tells whether a delivery is a dead letter already, which its keeper made, or heard of,
// too late to say so in the journal's account. Only what may have left the retention is looked at.
func (s *System) hasDied(id engine.SubscriptionID, event *engine.Event) bool {
	if s.clock().Sub(event.AcceptedAt) < engine.MinRetention {
		return false
	}
	_, found, err := s.state.DeadLetter(context.Background(), id, event.Key())
	return err == nil && found
}

// endedBefore tells whether a delivery had come to an end, or to a retry record, before the
// member was started: the cursor or the watermark that a crash left may lie behind it.
func (s *System) endedBefore(id engine.SubscriptionID, event *engine.Event) bool {
	before := s.before[id]
	if before == nil {
		return false
	}
	if before.done[event.Ref] {
		return true
	}
	ctx := context.Background()
	if before.records {
		if _, found, err := s.state.RetryRecord(ctx, id, event.Key()); err == nil && found {
			return true
		}
	}
	if before.dead {
		if _, found, err := s.state.DeadLetter(ctx, id, event.Key()); err == nil && found {
			return true
		}
	}
	return false
}

// fetch finds the event of a retry record: in the record, or in the journal. over tells that the
// record is on disk no more. In a cluster that is looked at each time: word of a record that
// another member wrote may come behind the end of its delivery.
func (s *System) fetch(ctx context.Context, record engine.RetryRecord) (event *engine.Event, over bool) {
	if s.cluster == nil {
		if event := s.fromJournal(record.Key.Event); event != nil {
			return event, false
		}
	}
	stored, found, err := s.state.RetryRecord(ctx, record.Subscription, record.Key)
	if err == nil && !found {
		// It may be on its way to the disk: it is there behind what was written before.
		if err = s.writeAndWait(); err == nil {
			stored, found, err = s.state.RetryRecord(ctx, record.Subscription, record.Key)
		}
	}
	if err != nil || !found {
		return nil, err == nil
	}
	if stored.Body != nil {
		return stored.Body, false
	}
	return s.fromJournal(record.Key.Event), false
}

// fromJournal reads an event from a journal that this member keeps; nil: it is not there, or
// without its body.
func (s *System) fromJournal(ref engine.EventRef) *engine.Event {
	lane := s.lanes.byJournal(ref.Journal)
	if lane == nil {
		return nil
	}
	if found, err := lane.journal.Get(ref.Sequence); err == nil && found.Event != nil && found.Event.Data != nil {
		return found.Event
	}
	return nil
}
