package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"pannier/engine"
	"pannier/engine/ledger"
	"pannier/engine/match"
)

// Third hop of the straight path: before it engine/accept.go built the events of a
// request; this actor matches them, has storage/journal.go append and sync them, answers,
// and puts them into the mailboxes of their subscriptions, which actors/subscription.go
// empties.

// maxSubmitted bounds the bytes of the requests that wait for one lane's journal.
const maxSubmitted = 64 << 20

// The messages of an ingress actor.
type (
	// submission is a part of a request.
	submission struct {
		part    *engine.Part
		matched [][]uint32 // handles, by event
		first   uint64     // sequence
		bytes   int64
		done    chan error
		// routed tells that it was durable and handed out, givenUp that it was answered before.
		routed, givenUp bool
	}
	// synced tells that submissions are durable.
	synced struct{ submissions []*submission }
	// release lets a held part go; abandon gives one up whose batch did not become whole.
	release struct{ part *engine.Part }
	abandon struct{ part *engine.Part }
	// discharged takes the pairs of a subscription off the ledger.
	discharged struct {
		handle    engine.Handle
		sequences []uint64
	}
	// caughtUp asks for the end of a subscription's open stretch.
	caughtUp struct{ entry *entry }
	// giveUp answers a submission whose copies take too long.
	giveUp struct{ submission *submission }
	// stale asks for a subscription's mailbox to be turned into a stretch.
	stale struct{ entry *entry }
	// checkpoint asks for the watermark and the cursors to be written; done may be nil.
	checkpoint struct{ done chan<- struct{} }
	// absorb has the shared lane go on with the totals of a drained one; gone are the writes
	// that remove that one.
	absorb struct {
		totals engine.Totals
		gone   []engine.Write
		done   chan<- struct{}
	}
)

// ingress is the ingress actor of one lane and what others may read of it.
type ingress struct {
	system      *System
	id          engine.JournalID
	name        string
	adopted     bool // its writer is another life, of this member or of another
	config      engine.LaneConfig
	promoted    atomic.Pointer[string]          // the topic of a promoted lane
	topics      atomic.Pointer[[]match.Pattern] // what it takes
	quietSince  time.Time                       // of a promoted lane
	windowShare float64
	maxInFlight int
	journal     engine.Journal
	pid         atomic.Pointer[actor.PID]
	earlyMu     sync.Mutex
	early       []any // came before the actor was started

	frontier  atomic.Uint64                      // last sequence that may be read at a cursor
	durable   atomic.Uint64                      // the watermark on disk
	submitted atomic.Int64                       // bytes that wait
	recovered uint64                             // last sequence that was there at start
	settled   map[engine.SubscriptionID][]uint64 // see Adoption
	accepted  atomic.Uint64
	totals    laneTotals
	rate      rateMeter
	topicRate topicMeter // of the shared lane

	dirtyMu sync.Mutex
	dirty   []dirtySlot

	// Guarded by the sender pool.
	attempting int
	line       line

	// Owned by the actor.
	ledger    *ledger.Ledger
	batch     []*submission
	flips     []*entry // caught up, while a part is held
	doneMarks []engine.DoneMark
	releases  []*releasedPart
	written   engine.Watermark // as last queued
	marksMu   sync.Mutex
}

type dirtySlot struct {
	entry *entry
	slot  *slot
}

// send gives the actor a message.
func (i *ingress) send(message any) {
	if pid := i.pid.Load(); pid != nil {
		i.system.root.Send(pid, message)
		return
	}
	i.earlyMu.Lock()
	defer i.earlyMu.Unlock()
	if pid := i.pid.Load(); pid != nil {
		i.system.root.Send(pid, message)
		return
	}
	i.early = append(i.early, message)
}

// begin gives the started actor what came before.
func (i *ingress) begin(pid *actor.PID) {
	i.earlyMu.Lock()
	defer i.earlyMu.Unlock()
	for _, message := range i.early {
		i.system.root.Send(pid, message)
	}
	i.early = nil
	i.pid.Store(pid)
}

// noteDirty has a cursor written with the next watermark.
func (i *ingress) noteDirty(e *entry, s *slot) {
	i.dirtyMu.Lock() // a checkpoint finds what is listed in the list
	defer i.dirtyMu.Unlock()
	if s.needsCheckpoint() {
		i.dirty = append(i.dirty, dirtySlot{e, s})
	}
}

// Receive implements actor.Actor.
func (i *ingress) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *submission:
		i.batch = append(i.batch, m)
	case endOfBatch:
		i.append()
	case synced:
		i.routeAll(m.submissions)
	case giveUp:
		if !m.submission.routed {
			m.submission.givenUp = true
			m.submission.done <- unavailable("too few members have a copy yet; the event may still be delivered")
		}
	case release:
		i.release(m.part)
	case abandon:
		i.abandon(m.part)
	case discharged:
		i.discharge(m)
	case caughtUp:
		i.flips = append(i.flips, m.entry)
		i.flip()
	case stale:
		i.reclaim(m.entry)
	case checkpoint:
		i.checkpoint(nil, m.done)
	case absorb:
		i.totals.add(m.totals)
		i.system.totals.dead.Add(m.totals.Dead)
		i.system.totals.discarded.Add(m.totals.Discarded)
		i.checkpoint(m.gone, m.done)
	}
}

// discharge takes pairs off the ledger. In a cluster a pair may end twice: with its owner, and
// with the one before.
func (i *ingress) discharge(m discharged) {
	for _, sequence := range m.sequences {
		if i.system.cluster == nil || i.ledger.Waits(sequence, uint32(m.handle)) {
			i.ledger.Discharge(sequence, uint32(m.handle))
		}
	}
}

// append matches the waiting submissions and hands them to the journal as one group.
func (i *ingress) append() {
	if len(i.batch) == 0 {
		return
	}
	group := i.batch
	i.batch = nil
	records := make([]engine.Record, 0, len(group))
	for _, s := range group {
		i.match(s)
		for _, event := range s.part.Events {
			records = append(records, engine.Record{Event: event})
		}
		if s.part.Request != nil {
			records = append(records, engine.Record{Request: s.part.Request})
		}
	}
	first, err := i.journal.Append(records, func() { i.send(synced{group}) })
	if err != nil {
		for _, s := range group {
			i.submitted.Add(-s.bytes)
			if !s.givenUp {
				s.done <- err
			}
		}
		return
	}
	for _, s := range group {
		s.first = first
		first += uint64(len(s.part.Events))
		if s.part.Request != nil {
			first++
		}
	}
}

// match finds whom each event is for, by the versions in force now.
func (i *ingress) match(s *submission) {
	s.matched = make([][]uint32, len(s.part.Events))
	for n, event := range s.part.Events {
		if event.Directed != "" {
			event.Revision = i.system.table.Revision()
			if handle, known := i.system.table.Handle(event.Directed); known {
				s.matched[n] = []uint32{uint32(handle)}
			}
			continue
		}
		s.matched[n], event.Revision = i.system.table.Match(event.Topic, event.Tenant, nil)
	}
}

// routeAll answers durable submissions and hands their events out.
func (i *ingress) routeAll(submissions []*submission) {
	now := i.system.clock()
	for _, s := range submissions {
		s.routed = true
		// What was refused in the end is the answer to no key.
		if !s.part.Held && (!s.givenUp || len(s.part.Events) > 0) {
			i.index(s.part)
		}
		for n, event := range s.part.Events {
			if s.part.Held {
				i.ledger.Hold(event.Ref.Sequence)
				continue
			}
			i.totals.count(event.Ref.Sequence, len(s.matched[n]))
			i.ledger.Route(event.Ref.Sequence, i.route(event, s.matched[n], now))
		}
		if s.part.Request != nil {
			i.ledger.Route(s.first+uint64(len(s.part.Events)), nil)
		}
		if s.part.Held {
			i.holdMatched(s)
		}
		i.accepted.Add(uint64(len(s.part.Events)))
		i.rate.add(len(s.part.Events), now)
		i.countTopics(s.part.Events)
		i.system.options.Metrics.Accepted(i.name, len(s.part.Events))
		i.submitted.Add(-s.bytes)
		switch {
		case !s.givenUp:
			s.done <- nil
		case s.part.Held: // nobody releases it any more
			i.abandon(s.part)
		}
	}
	i.publish()
}

// publish lets cursors read as far as events were handed out.
func (i *ingress) publish() {
	frontier := i.ledger.Frontier()
	i.frontier.Store(frontier)
	i.totals.passed(frontier)
}

// route puts an event into the mailboxes of its subscriptions and gives those that took it,
// in the place of handles: for them the ledger must wait.
func (i *ingress) route(event *engine.Event, handles []uint32, now time.Time) (taking []uint32) {
	taking = handles[:0]
	if i.system.options.Tracer != nil {
		defer i.system.startRoute(event, i.name, len(handles)).End()
	}
	for _, handle := range handles {
		e := i.system.registry.get(engine.Handle(handle))
		s := e.slot(i)
		taken, full := s.offer(event, now)
		switch {
		case taken:
			taking = append(taking, handle)
			e.wake()
		case full:
			// What does not fit waits in the journal: nothing is dropped, and memory is bounded.
			s.overflow(event.Ref.Sequence)
			i.noteDirty(e, s)
			e.wake()
		}
	}
	return taking
}

// release hands out a part whose batch is durable in every lane.
func (i *ingress) release(part *engine.Part) {
	now := i.system.clock()
	i.noteReleased(part)
	for _, event := range part.Events {
		handles := i.takeHeld(event)
		i.totals.count(event.Ref.Sequence, len(handles))
		i.ledger.Release(event.Ref.Sequence, i.route(event, handles, now))
	}
	i.publish()
	i.flip()
}

// abandon gives up a part whose batch did not become whole: the request was refused, so its
// events are shown and delivered to nobody.
func (i *ingress) abandon(part *engine.Part) {
	batch := part.Events[0].Batch.ID
	i.system.drop(batch)
	for _, event := range part.Events {
		i.takeHeld(event)
		i.ledger.Release(event.Ref.Sequence, nil)
	}
	i.system.held.forget(batch)
	i.publish()
	i.flip()
}

// drop has the events of a batch ignored for ever; it tells whether they were not before.
func (s *System) drop(batch uint64) (dropped bool) {
	if !s.dropped.Add(batch) {
		return false
	}
	s.write([]engine.Write{engine.PutDropped{Batch: batch}}, func() {})
	return true
}

// flip ends the open stretches of subscriptions that have read everything: from the next
// sequence on they get events by mailbox again. While a part is held the end is not known.
func (i *ingress) flip() {
	last := i.ledger.Next() - 1
	if i.ledger.Frontier() != last {
		return
	}
	for _, e := range i.flips {
		s := e.slot(i)
		s.flip(last)
		i.noteDirty(e, s)
		e.wake()
	}
	i.flips = i.flips[:0]
}

// reclaim takes back what waited too long in a mailbox: it lies behind the cursor from now
// on, so the watermark need not wait for it.
func (i *ingress) reclaim(e *entry) {
	s := e.slot(i)
	events := s.reclaim(i.ledger.Next())
	if len(events) == 0 {
		return
	}
	for _, event := range events {
		i.discharge(discharged{e.handle, []uint64{event.Ref.Sequence}})
	}
	i.noteDirty(e, s)
	e.wake()
}
