package actors

import (
	"context"
	"maps"
	"time"

	"pannier/engine"
)

// Changed implements engine.Deliveries.
func (s *System) Changed(ctx context.Context, id engine.SubscriptionID) error {
	e := s.entryOf(id)
	if e == nil {
		return nil
	}
	done := make(chan struct{})
	e.send(changed{done: done})
	return s.await(ctx, done)
}

// Insert implements engine.Deliveries.
func (s *System) Insert(ctx context.Context, record engine.RetryRecord, with []engine.Write) error {
	e := s.entryOf(record.Subscription)
	if e == nil {
		return engine.Errorf(engine.CodeNotFound, "no such subscription")
	}
	done := make(chan error, 1)
	e.send(insert{record: record, with: with, done: done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return unavailable("the request was given up")
	case <-s.stopped:
		return unavailable("the member is shutting down")
	}
}

// Look implements engine.Deliveries.
func (s *System) Look(ctx context.Context, id engine.SubscriptionID) (engine.SubscriptionWork, error) {
	handle, known := s.table.Known(id)
	if !known {
		return engine.SubscriptionWork{}, engine.Errorf(engine.CodeNotFound, "no such subscription")
	}
	e := s.registry.find(handle)
	if e == nil {
		return engine.SubscriptionWork{Standing: engine.Standing{Health: s.restingHealth(handle, nil)}}, nil
	}
	// The mailboxes come before the attempts: an event that moves on meanwhile is seen twice
	// and not taken for delivered.
	var work engine.SubscriptionWork
	e.describe(&work)
	flying := engine.SubscriptionWork{Standing: engine.Standing{Health: s.restingHealth(handle, e)}}
	if e.isAwake() {
		answer := make(chan engine.SubscriptionWork, 1)
		e.send(look{answer: answer})
		select {
		case flying = <-answer:
		case <-ctx.Done():
			return work, unavailable("the request was given up")
		case <-s.stopped:
			return work, unavailable("the member is shutting down")
		}
	}
	e.noteOldestRecord(&flying)
	work.Health, work.Attempting, work.Due = flying.Health, flying.Attempting, flying.Due
	maps.Copy(work.Mailbox, flying.Mailbox)
	work.NoteOldestMilli(flying.OldestMilli)
	e.noteOldestBehind(&work)
	return work, nil
}

// Standings implements engine.Deliveries. Subscriptions that are not known here have nothing.
func (s *System) Standings(ctx context.Context, ids []engine.SubscriptionID) ([]engine.Standing, error) {
	standings := make([]engine.Standing, len(ids))
	for n, id := range ids {
		work, err := s.Look(ctx, id)
		if err != nil && engine.ErrorCode(err) != engine.CodeNotFound {
			return nil, err
		}
		standings[n] = work.Standing
	}
	return standings, nil
}

// noteOldestRecord takes retry records that are not in memory into account for OldestMilli.
func (e *entry) noteOldestRecord(work *engine.SubscriptionWork) {
	if work.OldestMilli != 0 || e.waitingRecords() == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	work.OldestMilli = e.queue.OldestMilli
}

// describe adds what the entry itself knows: the mailboxes and the cursors.
func (e *entry) describe(work *engine.SubscriptionWork) {
	work.Pending = uint64(max(0, e.pending()))
	work.Mailbox = make(map[engine.EventRef]bool)
	work.Behind = make(map[engine.JournalID][]engine.Range)
	for _, s := range e.allSlots() {
		s.describe(work)
	}
}

// waitingRecords counts the retry records that are not under way. They are the owner's: another
// member has the count of a time when it was that, or of the records that it keeps for it.
func (e *entry) waitingRecords() int64 {
	if !e.system.owns(e.id) {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return int64(max(0, e.counts.records))
}

// pending counts the deliveries that are not settled.
func (e *entry) pending() int64 {
	n := e.waitingRecords()
	e.mu.Lock()
	n += int64(max(0, e.counts.flights))
	e.mu.Unlock()
	for _, s := range e.allSlots() {
		queued, behind := s.counts()
		n += int64(queued) + int64(behind) //nolint:gosec // far below 2^63
	}
	return n
}

func (s *slot) describe(work *engine.SubscriptionWork) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.count {
		event := s.queue[(s.head+n)%len(s.queue)].event
		work.Mailbox[event.Ref] = true
		work.NoteOldest(event.Key())
	}
	if behind := s.behindLocked(); len(behind) > 0 {
		work.Behind[s.journal] = behind
	}
}

// noteOldestBehind takes what lies behind the cursors into account for OldestMilli. The first
// event there may be another subscription's: then the oldest pending one is a little newer.
func (e *entry) noteOldestBehind(work *engine.SubscriptionWork) {
	for _, s := range e.allSlots() {
		for _, r := range work.Behind[s.journal] {
			if at, found := s.ingress.acceptedFrom(r.From, readRecords); found {
				work.NoteOldestMilli(at.UnixMilli())
			}
		}
	}
}

func (e *entry) isAwake() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.phase != asleep
}

// restingHealth is the health of a subscription whose actor sleeps.
func (s *System) restingHealth(handle engine.Handle, e *entry) engine.Health {
	if !s.table.Latest(handle).Enabled {
		return engine.HealthDisabled
	}
	if e == nil {
		return engine.HealthHealthy
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.queue.Circuit.Open:
		return engine.HealthOpen
	case e.queue.Records > 0:
		return engine.HealthRetrying
	}
	return engine.HealthHealthy
}

func (s *System) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return unavailable("the request was given up")
	case <-s.stopped:
		return unavailable("the member is shutting down")
	}
}

// disable is the end of a subscription whose endpoint is gone.
func (s *System) disable(id engine.SubscriptionID) { s.options.Disable(id) }

// purgePage is how much of a deleted subscription is removed at once.
const purgePage = 500

// purge removes what the state holds of a deleted subscription, page by page.
func (s *System) purge(e *entry) {
	s.background(func() {
		if s.writeAndWait() != nil { // what the actor wrote is found
			return
		}
		s.write([]engine.Write{engine.DropQueue{Subscription: e.id}}, func() {})
		for _, next := range []func(*entry, engine.DeliveryKey) ([]engine.Write, engine.DeliveryKey){s.purgeRecords, s.purgeExpired, s.purgeDead} {
			drops, last := next(e, engine.DeliveryKey{})
			for len(drops) > 0 {
				s.write(drops, func() {})
				drops, last = next(e, last)
			}
			if s.writeAndWait() != nil { // what expired is no dead letter any more
				return
			}
		}
	})
}

func (s *System) purgeRecords(e *entry, after engine.DeliveryKey) (drops []engine.Write, last engine.DeliveryKey) {
	records, _ := s.state.RetryRecords(context.Background(), e.id, after, purgePage)
	for n := range records {
		last = records[n].Key
		drops = append(drops, engine.DropRetryRecord{Subscription: e.id, Key: last})
	}
	return drops, last
}

func (s *System) purgeExpired(e *entry, after engine.DeliveryKey) (drops []engine.Write, last engine.DeliveryKey) {
	expired, _ := s.state.Expired(context.Background(), e.id, after, purgePage)
	for n := range expired {
		last = expired[n].Key
		drops = append(drops, engine.DropExpired{Subscription: e.id, Key: last})
		s.discardDead(e, len(expired[n].Deliveries))
	}
	return drops, last
}

func (s *System) purgeDead(e *entry, after engine.DeliveryKey) (drops []engine.Write, last engine.DeliveryKey) {
	dead, _ := s.state.DeadLetters(context.Background(), e.id, after, purgePage)
	for n := range dead {
		last = dead[n].Key
		drops = append(drops, engine.DropDeadLetter{Subscription: e.id, Key: last})
	}
	s.discardDead(e, len(dead))
	return drops, last
}

// discardDead counts dead letters of a deleted subscription off: every replica removes them, and
// one counts.
func (s *System) discardDead(e *entry, n int) {
	if s.owns(e.id) {
		s.totals.dead.Add(-int64(n))
		s.totals.discarded.Add(int64(n))
	}
}

const (
	// drainFor is how long a stop waits for attempts to end by themselves; interruptFor is how
	// long it then waits for the retry records of those it cuts off. Both stay inside the 20 s
	// of a graceful stop.
	drainFor     = 14 * time.Second
	interruptFor = 4 * time.Second
)

// Stop ends the member's work: what is in flight ends or becomes a retry record, then the
// watermarks are written, so that nothing is repeated after the next start. It waits at
// most drainFor and interruptFor, or until ctx ends.
func (s *System) Stop(ctx context.Context) {
	s.stopping.Store(true)
	for _, e := range s.registry.all() {
		if e.isAwake() {
			e.send(stopWork{})
		}
	}
	s.waitFor(ctx, drainFor, func() bool { return s.totals.flights.Load() <= 0 && s.attempts.idle() })
	s.attempts.interrupt()
	s.waitFor(ctx, interruptFor, func() bool { return s.totals.flights.Load() <= 0 })
	s.hearAll(ctx)       // attempts for subscriptions that have another owner now
	_ = s.writeAndWait() // behind every write of the actors
	s.hearAll(ctx)
	s.settleLanes(ctx)
	close(s.stopped)
	close(s.readers.done)
	s.timers.close()
	s.backgroundMu.Lock()
	s.backgroundOver = true
	s.backgroundMu.Unlock()
	s.backgrounds.Wait()
	s.protoactor.Shutdown()
}

// hearAll waits until the actors have taken in what became durable: their cursors are up to
// date then.
func (s *System) hearAll(ctx context.Context) {
	var heard []chan struct{}
	for _, e := range s.registry.all() {
		if e.isAwake() {
			done := make(chan struct{})
			e.send(changed{done: done})
			heard = append(heard, done)
		}
	}
	for _, done := range heard {
		_ = s.await(ctx, done) // at worst a cursor is written a little too low
	}
}

// settleLanes puts what waits in mailboxes behind cursors, takes the last discharges in and
// writes the last watermarks and cursors: the next start has nothing to hand out again.
func (s *System) settleLanes(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, interruptFor)
	defer cancel()
	for _, e := range s.registry.all() {
		for _, slot := range e.allSlots() {
			slot.ingress.send(stale{e})
			slot.ingress.noteDirty(e, slot)
		}
	}
	for range 2 { // the first lets the discharges through, which the second writes
		for _, lane := range s.lanes.all() {
			done := make(chan struct{})
			lane.send(checkpoint{done: done})
			_ = s.await(ctx, done) // at worst the next start hands more out again
		}
	}
}

// waitFor polls a condition that no single message announces.
func (s *System) waitFor(ctx context.Context, limit time.Duration, condition func() bool) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-poll.C:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
