package actors

import (
	"time"

	"pannier/engine"
	"pannier/engine/delivery"
)

// In a cluster each subscription has one owner, which makes its attempts, and each journal one
// keeper. A member that keeps a journal and does not own a subscription has an actor for it all
// the same: its machine hands the events out to the owner instead of attempting them
// (delivery.Options.Forward), so that mailboxes, cursors and the ledger are the same for all.
//
//	keeper:  ingress ─► slot ─► actor, forwards ── HandOut ──► owner:  Deliver ─► slot ─► actor
//	            ▲                   ▲                                                       │
//	            └──── discharged ───┴──────────── Settled ◄────────── Discharged ───────────┘

// leaveAfter is how long the attempts of a subscription that has another owner may go on before
// they become retry records, which that owner makes unless it hears that they were successful: events
// that this member accepts meanwhile wait for the end of its own attempts.
const leaveAfter = time.Second

// leaving is the end of an actor whose subscription has another owner.
type leaving struct {
	by      time.Time // zero: it stays
	spilled bool
	done    bool
}

// owns tells whether this member makes the attempts of a subscription.
func (s *System) owns(id engine.SubscriptionID) bool { return s.cluster == nil || s.cluster.Owns(id) }

// foreign tells whether another member keeps a journal.
func (s *System) foreign(journal engine.JournalID) bool {
	return s.cluster != nil && s.lanes.byJournal(journal) == nil
}

// laneOf is the lane whose places the attempts for a journal's events take.
func (e *entry) laneOf(journal engine.JournalID) *ingress {
	for _, s := range e.allSlots() {
		if s.journal == journal {
			return s.ingress
		}
	}
	return e.system.ingressOf(journal)
}

// Deliver puts an event of another member's journal into the mailboxes of subscriptions that
// this member owns. What finds no room is given back, and what comes of a journal that this member
// keeps: it hands that out itself, and two keepers are one too many, for a moment. What is a dead
// letter already has ended.
func (s *System) Deliver(event *engine.Event, ids []engine.SubscriptionID) {
	lane, now := s.lanes.of(event.Topic), s.clock()
	ref := event.Ref
	for _, id := range ids {
		e := s.entryOf(id)
		slot := e.foreignSlot(ref.Journal, lane)
		if slot == nil {
			s.cluster.GiveBack(ref.Journal, id, []uint64{ref.Sequence}, false)
			continue
		}
		if s.hasDied(id, event) {
			s.cluster.Discharged(ref.Journal, id, []uint64{ref.Sequence})
			continue
		}
		if taken, _ := slot.offer(event, now); !taken {
			s.cluster.GiveBack(ref.Journal, id, []uint64{ref.Sequence}, true)
			continue
		}
		e.wake()
	}
}

// foreignSlot finds or makes the mailbox of a journal that another member keeps, whose events
// have the places of a lane; nil: there is no such subscription, or this member keeps it.
func (e *entry) foreignSlot(journal engine.JournalID, lane *ingress) *slot {
	if e == nil {
		return nil
	}
	e.mu.Lock() // Adopt makes the lane known before it takes the mailboxes away
	defer e.mu.Unlock()
	if !e.system.foreign(journal) {
		return nil
	}
	return e.slotFor(journal, lane)
}

// Settled tells that the owner of a subscription has discharged pairs of a kept journal.
func (s *System) Settled(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64) {
	if e := s.entryOf(id); e != nil {
		e.send(settled{refsOf(journal, sequences)})
	}
}

// Returned tells that pairs of a kept journal must be handed out again.
func (s *System) Returned(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, busy bool) {
	if e := s.entryOf(id); e != nil {
		e.send(returned{refsOf(journal, sequences), busy})
	}
}

func refsOf(journal engine.JournalID, sequences []uint64) []engine.EventRef {
	refs := make([]engine.EventRef, len(sequences))
	for n, sequence := range sequences {
		refs[n] = engine.EventRef{Journal: journal, Sequence: sequence}
	}
	return refs
}

// Moved tells that the subscriptions of some shards may have another owner.
func (s *System) Moved(shards map[int]bool) {
	for _, e := range s.registry.all() {
		if shards[engine.ShardOf(e.id)] && e.isAwake() {
			e.send(moved{})
		}
	}
}

// Merge takes in the retry record of a delivery that another member wrote; nil: the delivery
// has ended. Only the owner's actor is told: whoever becomes the owner reads the state.
func (s *System) Merge(id engine.SubscriptionID, key engine.DeliveryKey, record *engine.RetryRecord) {
	e := s.entryOf(id)
	if e == nil || !s.owns(id) {
		return
	}
	if e.isAwake() {
		e.send(merged{key: key, record: record})
	} else if record != nil {
		e.wake()
	}
}

// WakeFor starts the actor of a subscription that has retry records, unless it is at work.
func (s *System) WakeFor(id engine.SubscriptionID) {
	if e := s.entryOf(id); e != nil && s.owns(id) && !e.isAwake() {
		e.wake()
	}
}

// MergeQueue takes in the durable timer of a subscription, for when its actor starts.
func (s *System) MergeQueue(queue engine.Queue) {
	if e := s.entryOf(queue.Subscription); e != nil && !e.isAwake() {
		e.keepQueue(queue)
	}
}

// hearCluster takes in what other members did.
func (a *subscriptionActor) hearCluster(message any) {
	switch m := message.(type) {
	case settled:
		if a.machine.Forwards() {
			a.machine.Settled(m.refs)
		}
	case returned:
		a.returned(m)
	case merged:
		if m.record != nil {
			a.machine.Merge(*m.record, a.system.clock())
		} else {
			a.machine.Forget(m.key)
		}
	case dropLane:
		a.machine.DropLane(m.journal)
	case moved:
		if a.machine.Forwards() == a.system.owns(a.entry.id) && a.leaving.by.IsZero() {
			a.beginToLeave()
		}
	}
}

// returned hands pairs out again or, when the owner is busy or is this member now, puts them
// back where they came from.
func (a *subscriptionActor) returned(m returned) {
	if !a.machine.Forwards() {
		return
	}
	if !m.busy && a.leaving.by.IsZero() {
		for _, ref := range m.refs {
			if event := a.machine.Out(ref); event != nil {
				a.system.cluster.HandOut(event, a.entry.id)
			}
		}
		return
	}
	now := a.system.clock()
	live := make(map[engine.JournalID][]*engine.Event)
	for _, event := range a.machine.Returned(m.refs, m.busy, now) {
		live[event.Ref.Journal] = append(live[event.Ref.Journal], event)
	}
	for _, s := range a.entry.allSlots() {
		if events := live[s.journal]; len(events) > 0 {
			s.putBack(events, now)
			if m.busy {
				s.ingress.send(stale{a.entry})
			}
		}
	}
}

// stale has what waits too long in a mailbox taken back by the lane it came from.
func (a *subscriptionActor) stale(journal engine.JournalID) {
	if !a.system.foreign(journal) {
		a.system.ingressOf(journal).send(stale{a.entry})
		return
	}
	for _, s := range a.entry.allSlots() {
		if s.journal == journal {
			a.giveBack(s, true)
		}
	}
}

func (a *subscriptionActor) giveBack(s *slot, busy bool) {
	if sequences := s.takeAll(); len(sequences) > 0 {
		a.system.cluster.GiveBack(s.journal, a.entry.id, sequences, busy)
	}
}

// beginToLeave starts nothing more: the subscription has another owner, and an actor of the
// other kind takes the place of this one.
func (a *subscriptionActor) beginToLeave() {
	a.machine.Stop()
	a.leaving.by = a.system.clock().Add(leaveAfter)
	for _, s := range a.entry.allSlots() {
		if s.foreign() {
			a.giveBack(s, false)
		}
	}
}

// leave ends the actor once nothing of it is under way: attempts that take longer become retry
// records, hand-outs end or are given back by the protocol.
func (a *subscriptionActor) leave(now time.Time) (wake time.Time) {
	if a.leaving.by.IsZero() || a.leaving.done {
		return time.Time{}
	}
	if a.machine.InFlight() > 0 && !a.leaving.spilled {
		if a.machine.Forwards() {
			return time.Time{} // each hand-out ends or comes back
		}
		if now.Before(a.leaving.by) {
			return a.leaving.by
		}
		a.leaving.spilled = true
		a.system.logger.Info("attempts go on with another owner", "subscription", string(a.entry.id), "attempts", a.machine.InFlight())
		a.machine.Leave(now)
		a.perform(a.machine.Flush())
	}
	if a.pending <= 0 { // below: what an actor that crashed had begun has ended since
		a.leaving.done = true
		a.entry.retire()
	}
	return time.Time{}
}

// endedAfter takes in the end of an attempt of the time before the subscription had another owner,
// who has its retry record and does not make it before this one has certainly ended: success takes
// the record away.
func (a *subscriptionActor) endedAfter(m attemptEnded) {
	if m.result.Outcome != engine.OutcomeSuccess {
		return
	}
	a.system.note(delivery.End{
		Attempt: engine.Attempt{
			Subscription: a.entry.id, Key: m.key, Number: m.number, StartedAt: m.started, Duration: a.system.clock().Sub(m.started),
			Outcome: m.result.Outcome, Status: m.result.Status, Excerpt: m.result.Excerpt, TraceID: m.result.TraceID,
		},
		Event: m.event, Decision: engine.Decision{Kind: engine.Delivered}, First: m.number == 1,
	})
	a.pending++
	a.system.write([]engine.Write{engine.DropRetryRecord{Subscription: a.entry.id, Key: m.key}}, func() {
		a.entry.send(committed{})
	})
}

// parkWake has the next actor started although nothing else is parked for it.
func (e *entry) parkWake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parked = append(e.parked, wakeUp{})
}

// accountOf gives the cursors of every subscription that lags in a lane.
func (s *System) accountOf(lane *ingress) (cursors []engine.Cursor) {
	for _, e := range s.registry.all() {
		for _, slot := range e.allSlots() {
			if slot.journal != lane.id {
				continue
			}
			if c := slot.wholeCursor(e.id); len(c.Ranges) > 0 {
				cursors = append(cursors, c)
			}
		}
	}
	return cursors
}
