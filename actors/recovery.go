package actors

import (
	"fmt"
	"slices"

	"pannier/engine"
	"pannier/engine/ledger"
)

// restore puts the durable cursors and queues back into the entries.
func (s *System) restore(snapshot *engine.Snapshot) {
	ending := func(id engine.SubscriptionID) *endings {
		if s.before[id] == nil {
			s.before[id] = &endings{done: make(map[engine.EventRef]bool)}
		}
		return s.before[id]
	}
	for _, q := range snapshot.Queues {
		if e := s.entryOf(q.Subscription); e != nil {
			e.queue = q
			e.counts.records = q.Records
		}
		ending(q.Subscription).records = true
	}
	dead := int64(0)
	for id, n := range snapshot.DeadCount {
		ending(id).dead = n > 0
		dead += int64(n)
	}
	s.restoreTotals(snapshot.Watermarks, dead)
	for _, mark := range snapshot.DoneMarks {
		ending(mark.Subscription).done[mark.Event] = true
		if lane := s.lanes.byJournal(mark.Event.Journal); lane != nil {
			lane.doneMarks = append(lane.doneMarks, mark)
		}
	}
	for _, c := range snapshot.Cursors {
		if lane := s.lanes.byJournal(c.Journal); lane != nil {
			s.restoreCursors(lane, []engine.Cursor{c})
		}
	}
}

// recover routes again what was accepted and is not discharged. Batches that are not whole
// were never answered: they are dropped.
func (s *System) recover(snapshot *engine.Snapshot) error {
	marks := make(map[engine.JournalID]engine.Watermark)
	released := make(map[uint64]bool)
	for _, mark := range snapshot.Watermarks {
		marks[mark.Journal] = mark
		for _, id := range mark.Released {
			released[id] = true
		}
	}
	found, err := countBatches(s.lanes.all(), marks)
	if err != nil {
		return err
	}
	for _, lane := range s.lanes.all() {
		r := newRecovery(s, lane, marks[lane.id])
		r.released, r.found = released, found
		if err := r.run(); err != nil {
			return fmt.Errorf("recover lane %s: %w", lane.name, err)
		}
	}
	return nil
}

// countBatches counts the records of each batch above the watermarks.
func countBatches(lanes []*ingress, marks map[engine.JournalID]engine.Watermark) (map[uint64]uint32, error) {
	found := make(map[uint64]uint32)
	for _, lane := range lanes {
		mark := marks[lane.id]
		err := lane.readAll(max(mark.Sequence, mark.Routed+1), func(_ uint64, record engine.Record) {
			if part := partOf(record); part.ID != 0 {
				found[part.ID]++
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read lane %s: %w", lane.name, err)
		}
	}
	return found, nil
}

func partOf(record engine.Record) engine.BatchPart {
	if record.Request != nil {
		return record.Request.Batch
	}
	return record.Event.Batch
}

// readAll visits every synced record from a sequence on.
func (i *ingress) readAll(from uint64, visit func(sequence uint64, record engine.Record)) error {
	for last := i.journal.Synced(); from <= last; {
		next, err := i.journal.Read(from, readRecords, func(sequence uint64, record engine.Record) bool {
			visit(sequence, record)
			return true
		})
		if err != nil {
			return err
		}
		if next <= from {
			return nil
		}
		from = next
	}
	return nil
}

// recovery routes one lane.
type recovery struct {
	system   *System
	lane     *ingress
	mark     engine.Watermark
	released map[uint64]bool
	open     map[uint64][]uint32 // whom the events through mark.OpenThrough wait for
	found    map[uint64]uint32
	parts    []*engine.Event // of the batch being read, for the answer of its request
	// adopted tells that other parts of a batch may be with other members: none is dropped.
	adopted bool
}

func newRecovery(s *System, lane *ingress, mark engine.Watermark) *recovery {
	r := &recovery{system: s, lane: lane, mark: mark, open: make(map[uint64][]uint32)}
	for _, open := range mark.Open {
		handle, known := s.table.Known(open.Subscription)
		if !known || s.table.Latest(handle).Deleted {
			continue // its pairs went with it
		}
		for _, sequence := range open.Sequences {
			r.open[sequence] = append(r.open[sequence], uint32(handle))
		}
	}
	return r
}

func (r *recovery) run() error {
	first, next := r.lane.journal.Bounds()
	from := max(r.mark.Sequence, first, 1)
	r.lane.ledger = ledger.New(from)
	r.lane.recovered = next - 1
	r.lane.durable.Store(r.mark.Sequence)
	err := r.lane.readAll(from, func(sequence uint64, record engine.Record) {
		r.skipTo(sequence)
		if record.Request != nil {
			r.request(record.Request)
			r.lane.ledger.Route(sequence, nil)
			return
		}
		r.lane.ledger.Route(sequence, r.event(record.Event))
	})
	r.skipTo(next)
	r.lane.publish()
	return err
}

// skipTo passes over damaged sequences: the journal has reported them.
func (r *recovery) skipTo(sequence uint64) {
	for r.lane.ledger.Next() < sequence {
		r.lane.ledger.Route(r.lane.ledger.Next(), nil)
	}
}

// whole tells whether a part's batch was durable in full. What was routed before the crash
// was.
func (r *recovery) whole(sequence uint64, part engine.BatchPart) bool {
	return part.ID == 0 || r.adopted || sequence <= r.mark.Routed || r.released[part.ID] || r.found[part.ID] >= part.Count
}

func (r *recovery) event(event *engine.Event) (taking []uint32) {
	s := r.system
	if !r.whole(event.Ref.Sequence, event.Batch) {
		if s.drop(event.Batch.ID) { // once for a batch, not for each of its events
			s.logger.Warn("incomplete batch dropped: it was never answered", "lane", r.lane.name, "sequence", event.Ref.Sequence)
		}
		return nil
	}
	if s.dropped.Has(event) {
		return nil
	}
	r.remember(event)
	now := s.clock()
	for _, handle := range r.waiting(event) {
		e := s.registry.get(engine.Handle(handle))
		slot := e.slot(r.lane)
		if event.Ref.Sequence <= r.mark.Routed && slot.covers(event.Ref.Sequence) {
			continue // counted behind the cursor before the crash
		}
		if r.lane.endedBefore(e.id, event) {
			continue
		}
		if slot.offerAgain(event, now) {
			taking = append(taking, handle)
		} else {
			r.lane.noteDirty(e, slot)
		}
	}
	return taking
}

// waiting gives, ascending, whom an event may still wait for.
func (r *recovery) waiting(event *engine.Event) []uint32 {
	if event.Ref.Sequence <= r.mark.OpenThrough {
		handles := r.open[event.Ref.Sequence]
		slices.Sort(handles)
		return handles
	}
	handles := r.system.table.MatchAt(event, nil)
	slices.Sort(handles)
	if event.Ref.Sequence > r.mark.Routed {
		r.lane.totals.count(event.Ref.Sequence, len(handles))
	}
	return handles
}

// remember indexes given ids that the state may not know yet.
func (r *recovery) remember(event *engine.Event) {
	if event.Ref.Sequence <= r.mark.Routed {
		return
	}
	if event.Batch.ID != 0 {
		if len(r.parts) > 0 && r.parts[0].Batch.ID != event.Batch.ID {
			r.parts = nil
		}
		r.parts = append(r.parts, event)
	}
	if event.GivenID {
		draft := engine.Draft{Topic: event.Topic, Tenant: event.Tenant, Data: event.Data}
		r.system.keepIndex([]engine.Write{engine.PutIdentity{Identity: engine.Identity{
			ID: event.ID, Event: event.Ref, Digest: draft.Digest(), AcceptedAt: event.AcceptedAt,
		}}})
	}
}

// request brings the answer of an Idempotency-Key back.
func (r *recovery) request(request *engine.Request) {
	if !r.adopted && r.found[request.Batch.ID] < request.Batch.Count && !r.released[request.Batch.ID] && request.Batch.ID != 0 {
		return
	}
	// Of a request over several lanes the record itself names every id.
	var events []*engine.Event
	if n := len(r.parts); n > 0 && r.parts[0].Batch.ID == request.Batch.ID && uint32(n)+1 == request.Batch.Count { //nolint:gosec // bounded by MaxBatchEvents
		events = r.parts
	}
	answer := engine.Answer{Key: request.Key, Digest: request.Digest, AcceptedAt: request.AcceptedAt}
	answer.Complete(request, events)
	r.system.keepIndex([]engine.Write{engine.PutAnswer{Answer: answer}})
}
