package main

import (
	"encoding/binary"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/engine/delivery"
)

// subscription is a subscription that this process owns and that has work: the real machine of
// its deliveries, and a mailbox.
type subscription struct {
	life    *life
	id      engine.SubscriptionID
	machine *delivery.Machine
	mailbox map[engine.JournalID][]waiting
	wakeAt  time.Time
	leaving bool // the shard has another owner: what is under way ends
}

type waiting struct {
	event *engine.Event
	at    time.Time
}

// Take implements delivery.Mailbox.
func (s *subscription) Take(id engine.JournalID) (*engine.Event, bool) {
	queue := s.mailbox[id]
	if len(queue) == 0 {
		return nil, false
	}
	s.mailbox[id] = queue[1:]
	return queue[0].event, true
}

// Oldest implements delivery.Mailbox.
func (s *subscription) Oldest(id engine.JournalID) (time.Time, bool) {
	if queue := s.mailbox[id]; len(queue) > 0 {
		return queue[0].at, true
	}
	return time.Time{}, false
}

// owned finds or makes the machine of a subscription.
func (l *life) owned(id engine.SubscriptionID) *subscription {
	if s := l.subs[id]; s != nil {
		return s
	}
	handle, known := l.table.Known(id)
	if !known {
		return nil
	}
	s := &subscription{life: l, id: id, mailbox: make(map[engine.JournalID][]waiting)}
	s.machine = delivery.New(delivery.Options{
		Subscription: l.table.Latest(handle), Mailbox: s, Random: l.world.random.Float64, Carry: true,
		Watermark: func(engine.JournalID) uint64 { return 0 },
	}, l.world.now)
	l.subs[id] = s
	return s
}

// deliver puts an event into the mailboxes of subscriptions.
func (l *life) deliver(e protocol.Deliver) {
	r := decodeRecord(e.Event)
	for _, id := range e.Subscriptions {
		s := l.owned(id)
		l.world.note("%s gets %x/%d for %s", l.member.id, e.Journal, e.Sequence, id)
		if s == nil || s.leaving {
			l.core.Returned(l.world.now, e.Journal, id, []uint64{e.Sequence}, false)
			continue
		}
		event := *l.world.events[r.event]
		event.Ref = engine.EventRef{Journal: e.Journal, Sequence: e.Sequence}
		if !s.machine.HasLane(e.Journal) {
			s.machine.Lane(e.Journal, 1, nil)
		}
		s.mailbox[e.Journal] = append(s.mailbox[e.Journal], waiting{&event, l.world.now})
		s.turn()
	}
}

// turn lets the machine do what may be done now, and performs it.
func (s *subscription) turn() {
	l := s.life
	wake := s.machine.Step(l.world.now)
	out := s.machine.Flush()
	for _, attempt := range out.Attempts {
		l.world.note("%s attempts %x/%d for %s, number %d", l.member.id, attempt.Key.Event.Journal, attempt.Key.Event.Sequence, s.id, attempt.Number)
		s.attempt(attempt)
	}
	if entries := s.entries(out.Writes); len(entries) > 0 {
		pairs := out.AfterWrites
		for _, e := range entries {
			at := decodeKey(e.Key).Event
			l.world.note("%s stores %x/%d for %s: %.1q", l.member.id, at.Journal, at.Sequence, s.id, e.Value)
		}
		token := l.core.Store(l.world.now, engine.ShardOf(s.id), entries)
		l.durable[token] = func() {
			l.world.judge.stored(entries)
			s.machine.Committed(pairs)
			s.turn()
		}
	}
	s.discharge(out.Discharged)
	for _, id := range out.Stale {
		s.giveBack(id)
	}
	if out.Purge {
		s.purge()
	}
	if !wake.IsZero() && (s.wakeAt.IsZero() || wake.Before(s.wakeAt) || !s.wakeAt.After(l.world.now)) {
		s.wakeAt = wake
		l.world.after(wake.Sub(l.world.now), l.guard(func() {
			if s.wakeAt.Equal(wake) {
				s.wakeAt = time.Time{}
				s.turn()
			}
		}))
	}
}

func (s *subscription) discharge(refs []engine.EventRef) {
	for _, ref := range refs {
		s.life.world.note("%s has discharged %x/%d for %s", s.life.member.id, ref.Journal, ref.Sequence, s.id)
		s.life.world.judge.discharged(s.life, s.id, ref)
		s.life.core.Discharged(s.life.world.now, ref.Journal, s.id, []uint64{ref.Sequence})
	}
}

// giveBack returns what waits in the mailbox of a journal.
func (s *subscription) giveBack(id engine.JournalID) {
	var sequences []uint64
	for _, w := range s.mailbox[id] {
		sequences = append(sequences, w.event.Ref.Sequence)
	}
	delete(s.mailbox, id)
	if len(sequences) > 0 {
		s.life.core.Returned(s.life.world.now, id, s.id, sequences, !s.leaving)
	}
}

// attempt makes one attempt: the endpoint has the event after a moment, and the member the
// answer after another.
func (s *subscription) attempt(a delivery.Attempt) {
	l := s.life
	event := a.Event
	if event == nil {
		event = a.Record.Body
	}
	if event == nil {
		event = s.stored(a.Key)
	}
	ok, takes := l.world.endpoint(s.id)
	attempt := track{onAttempt, int(l.world.number(event)), l.member.index}
	l.world.on(attempt, takes/2, func() {
		if ok && !l.dead {
			l.world.judge.received(s.id, event)
		}
	})
	l.world.on(attempt, takes, l.guard(func() {
		result := engine.Result{Outcome: engine.OutcomeFailure, Status: 500, RetryAfter: -1}
		if ok {
			result = engine.Result{Outcome: engine.OutcomeSuccess, Status: 200, RetryAfter: -1}
		}
		s.machine.Ended(a.Key, event, result, l.world.now)
		s.turn()
	}))
}

// stored reads the event that a retry record carries.
func (s *subscription) stored(key engine.DeliveryKey) *engine.Event {
	for _, e := range s.life.disk.content.entries[engine.ShardOf(s.id)] {
		if e.Kind == engine.EntryDelivery && e.Subscription == s.id && e.Key == encodeKey(key) && len(e.Value) > 1 {
			event := *s.life.world.events[binary.BigEndian.Uint32(e.Value[1:])]
			event.Ref = key.Event
			return &event
		}
	}
	return nil
}

// gained loads the retry records of shards that this member owns now.
func (l *life) gained(shards []int) {
	for _, shard := range shards {
		if len(l.disk.content.entries[shard]) == 0 && len(l.disk.pending) == 0 {
			continue
		}
		var entries []engine.Entry
		l.disk.do(func(c *content) { entries = c.list(shard) }, l.guard(func() { l.merged(entries) }))
	}
}

// merged takes in retry records that came from elsewhere.
func (l *life) merged(entries []engine.Entry) {
	for _, e := range entries {
		if e.Kind != engine.EntryDelivery {
			continue
		}
		now, known := l.disk.content.entries[engine.ShardOf(e.Subscription)][e.EntryKey]
		if known && now.Wins(&e) {
			continue // it was changed here meanwhile
		}
		s := l.owned(e.Subscription)
		if s == nil {
			continue // its version comes later; see changed
		}
		if s.leaving {
			continue
		}
		key := decodeKey(e.Key)
		if retry, waits := decodeRetry(s.id, key, e.Value, l.world); waits {
			s.machine.Merge(retry, l.world.now)
		} else {
			s.machine.Forget(key)
		}
		s.turn()
	}
}

// lost ends the work of subscriptions that another member owns now: what has not begun goes
// back to its keepers.
func (l *life) lost(shards []int) {
	gone := make(map[int]bool, len(shards))
	for _, shard := range shards {
		gone[shard] = true
	}
	for _, id := range sortedSubs(l.subs) {
		s := l.subs[id]
		if !gone[engine.ShardOf(id)] {
			continue
		}
		s.leaving = true
		s.machine.Stop()
		for _, journal := range sortedJournals(s.mailbox) {
			s.giveBack(journal)
		}
		s.leave()
	}
}

// leave forgets the subscription once nothing of it is under way.
func (s *subscription) leave() {
	s.life.world.after(50*time.Millisecond, s.life.guard(func() {
		switch {
		case s.machine.InFlight() > 0:
			s.leave()
		case s.life.subs[s.id] == s:
			delete(s.life.subs, s.id)
			if s.life.owns(s.id) { // it came back meanwhile
				s.life.gained([]int{engine.ShardOf(s.id)})
			}
		}
	}))
}

// changed puts the version in force of a subscription into its machine. The retry records of
// one that was not known may have come before it.
func (l *life) changed(v *engine.Subscription) {
	handle, _ := l.table.Known(v.ID)
	if s := l.subs[v.ID]; s != nil {
		s.machine.Change(l.table.Latest(handle), l.world.now)
		s.turn()
	} else if l.owns(v.ID) {
		l.gained([]int{engine.ShardOf(v.ID)})
	}
}
