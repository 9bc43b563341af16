package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"pannier/engine"
	"pannier/engine/delivery"
)

// Fourth hop of the straight path: before it actors/ingress.go put an event into the
// mailbox of its lane; after it engine/egress/send.go makes the attempt, whose end comes
// back here to be settled.

// The messages of a subscription actor, beside wakeUp, retire and attemptEnded.
type (
	// committed tells that writes of this actor are durable.
	committed struct{ pairs []delivery.Pair }
	// loaded is a page of the retry records.
	loaded struct {
		records []engine.RetryRecord
		last    bool
	}
	// changed tells that a new version is in force.
	changed struct{ done chan<- struct{} }
	// insert adds a retry record of a manual retry or a replay.
	insert struct {
		record engine.RetryRecord
		with   []engine.Write
		done   chan<- error
	}
	// look asks for a description.
	look struct {
		answer chan<- engine.SubscriptionWork
	}
	// expire gives up what left a lane's retention; done is closed when the mailbox knows.
	expire struct {
		journal engine.JournalID
		through uint64
		done    chan<- struct{}
	}
	// embed puts events into their retry records: the journal is about to lose them. done is
	// closed when that is durable.
	embed struct {
		events []*engine.Event
		done   chan<- struct{}
	}
	// settled and returned end hand-outs to the member that owns the subscription.
	settled  struct{ refs []engine.EventRef }
	returned struct {
		refs []engine.EventRef
		busy bool
	}
	// merged takes in a delivery's retry record that another member wrote, or its end.
	merged struct {
		key    engine.DeliveryKey
		record *engine.RetryRecord
	}
	// dropLane forgets a journal that another member keeps.
	dropLane struct{ journal engine.JournalID }
	// moved tells that the subscription may have another owner.
	moved struct{}
	// stopWork begins the shutdown: no attempt is started any more.
	stopWork struct{}
)

// subscriptionActor drives the machine of one subscription: it takes what happened to it
// and does what it says. It never waits for a disk or a network.
type subscriptionActor struct {
	system  *System
	entry   *entry
	mailbox *batchMailbox
	machine *delivery.Machine
	self    *actor.PID

	pending  int     // writes, reads and loads under way
	leaving  leaving // the subscription has another owner
	embeds   []embed // wait for the records to be loaded
	lastWork time.Time
	reported time.Time // when the cursors were
}

func newSubscriptionActor(s *System, e *entry, m *batchMailbox) *subscriptionActor {
	return &subscriptionActor{system: s, entry: e, mailbox: m}
}

// Receive implements actor.Actor.
func (a *subscriptionActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.self = ctx.Self()
		a.start()
	case endOfBatch:
		a.turn()
	case wakeUp:
		a.entry.heard()
	case attemptEnded:
		switch {
		case m.over:
			a.machine.Over(m.key)
		case a.machine.Forwards():
			a.endedAfter(m)
		default:
			a.machine.Ended(m.key, m.event, m.result, a.system.clock())
		}
	case committed:
		a.pending--
		a.machine.Committed(m.pairs)
	case readDone:
		a.pending--
		a.machine.ReadDone(m.read, m.events, m.next, m.end)
	case loaded:
		if m.last {
			a.pending--
		}
		a.machine.Load(m.records, m.last, a.system.clock())
	case changed:
		a.change()
		close(m.done)
	case insert:
		a.insert(m)
	case look:
		m.answer <- a.describe()
	case expire:
		a.expire(m)
	case embed:
		a.embeds = append(a.embeds, m)
	case settled, returned, merged, moved, dropLane:
		a.hearCluster(m)
	case stopWork:
		a.machine.Stop()
	case retire:
		a.retire(ctx)
	case *actor.Stopped:
		a.mailbox.release()
	}
}

// start builds the machine from what is durable, and from what a crashed one left.
func (a *subscriptionActor) start() {
	e, now := a.entry, a.system.clock()
	a.lastWork = now
	e.mu.Lock()
	before := e.machine
	queue := e.queue
	e.mu.Unlock()
	if before != nil {
		a.salvage(before, now)
		queue.Records = max(queue.Records, 1) // whatever there is, it is loaded again
		queue.Circuit = before.View(now).Circuit
	}
	forward := !a.system.owns(e.id)
	if a.system.cluster != nil && !forward {
		queue.Records = max(queue.Records, 1) // others may have written some
	}
	a.machine = delivery.New(delivery.Options{
		Subscription: a.system.table.Latest(e.handle), Mailbox: e, Random: a.system.random,
		Watermark: a.system.watermark, Queue: queue, Quarantined: e.quarantined(),
		Carry: a.system.cluster != nil, Forward: forward,
	}, now)
	if a.system.stopping.Load() {
		a.machine.Stop()
	}
	e.mu.Lock()
	e.machine = a.machine
	e.mu.Unlock()
	if queue.Records > 0 && !forward {
		a.load()
	}
}

// salvage does what a crashed machine had decided and puts back what it held.
func (a *subscriptionActor) salvage(before *delivery.Machine, now time.Time) {
	effects := before.Flush()
	effects.Attempts, effects.Reads = nil, nil
	a.perform(effects)
	for _, s := range a.entry.allSlots() {
		if events := before.Outstanding(s.journal); len(events) > 0 {
			s.putBack(events, now)
		}
	}
}

// load reads the retry records behind everything that was written before.
func (a *subscriptionActor) load() {
	a.pending++
	e, s := a.entry, a.system
	s.background(func() { s.loadRecords(e) })
}

// change puts the latest version in force.
func (a *subscriptionActor) change() {
	latest := a.system.table.Latest(a.entry.handle)
	if latest.Deleted {
		a.turn() // what has ended is not discarded
	}
	a.machine.Change(latest, a.system.clock())
	a.turn()
}

// turn does what the messages of a batch made possible.
func (a *subscriptionActor) turn() {
	now := a.system.clock()
	discards, before := a.machine.Discards(), int64(0)
	if discards {
		before = a.entry.pending()
	}
	a.takeChanges()
	embedded := a.embedAll()
	wake := a.machine.Step(now)
	effects := a.machine.Flush()
	a.performThen(effects, embedded)
	if len(effects.Attempts) > 0 || len(effects.Discharged) > 0 || a.machine.InFlight() > 0 {
		a.lastWork = now
	}
	wake = soonest(wake, a.reportCursors(now))
	a.reportCounts(now)
	if discards {
		a.system.totals.discarded.Add(before - a.entry.pending())
	}
	wake = soonest(wake, a.leave(now))
	a.system.timers.set(a.entry, wake)
	a.entry.noteWork(a.lastWork)
}

// embedAll carries out the embeds, once the records are there; embedded is to be called when
// that is durable.
func (a *subscriptionActor) embedAll() (embedded func()) {
	if len(a.embeds) == 0 || !a.machine.Loaded() {
		return func() {} // nearly always: it costs a turn nothing
	}
	embeds := a.embeds
	a.embeds = nil
	for _, m := range embeds {
		for _, event := range m.events {
			a.machine.Embed(event)
		}
	}
	return func() {
		for _, m := range embeds {
			close(m.done)
		}
	}
}

// takeChanges lets the machine know what the ingress actors decided, lanes it has not seen
// included.
func (a *subscriptionActor) takeChanges() {
	for _, s := range a.entry.allSlots() {
		if s.foreign() && a.machine.Forwards() {
			// It waits for the actor of an owner; where there will be none it is given back, or two
			// members that own the subscription in turns may wait for each other.
			if !a.system.owns(a.entry.id) {
				a.giveBack(s, false)
			}
			continue
		}
		if !a.machine.HasLane(s.journal) {
			// The slot's ranges hold the changes already.
			a.machine.Lane(s.journal, s.ingress.windowShare, s.show())
			continue
		}
		for _, c := range s.takeChanges() {
			if c.open != nil {
				a.machine.Lagging(s.journal, *c.open)
			} else {
				a.machine.Flipped(s.journal, c.end)
			}
		}
	}
}

// perform carries out the machine's effects.
func (a *subscriptionActor) perform(effects delivery.Effects) {
	a.performThen(effects, func() {})
}

// performThen calls durable once the writes are, which is at once where there are none.
func (a *subscriptionActor) performThen(effects delivery.Effects, durable func()) {
	s, e := a.system, a.entry
	if len(effects.Writes) > 0 {
		a.pending++
		s.noteDoneMarks(effects.Writes)
		s.write(effects.Writes, func() {
			durable()
			e.send(committed{effects.AfterWrites})
		})
	} else {
		durable()
	}
	s.discharge(e, effects.Discharged)
	for _, attempt := range effects.Attempts {
		if a.machine.Forwards() {
			s.cluster.HandOut(attempt.Event, e.id)
			continue
		}
		s.attempts.submit(attemptJob{shareKey: shareKey{e, e.laneOf(attempt.Key.Event.Journal)}, attempt: attempt})
	}
	for _, read := range effects.Reads {
		a.pending++
		s.readers.submit(e, read)
	}
	for _, journal := range effects.CaughtUp {
		s.ingressOf(journal).send(caughtUp{e})
	}
	for _, journal := range effects.Stale {
		a.stale(journal)
	}
	s.totals.discarded.Add(int64(effects.Discarded))
	for _, end := range effects.Ends {
		s.note(end)
	}
	if effects.Disable {
		s.background(func() { s.disable(e.id) })
	}
	if effects.Purge {
		s.purge(e)
	}
}

// reportEvery is how often the cursors are reported while attempts are under way: they are
// written every 250 ms, and to work one out goes through the whole window.
const reportEvery = 25 * time.Millisecond

// reportCursors gives the ingress actors what a crash would have to read again, or says when
// it is time to.
func (a *subscriptionActor) reportCursors(now time.Time) (next time.Time) {
	if !a.machine.Moved() {
		return time.Time{}
	}
	if since := now.Sub(a.reported); since >= 0 && since < reportEvery && a.machine.InFlight() > 0 {
		return a.reported.Add(reportEvery)
	}
	a.reported = now
	for _, s := range a.entry.allSlots() {
		if ranges, settled, moved := a.machine.Waiting(s.journal); moved && !s.foreign() {
			s.report(ranges, settled)
			s.ingress.noteDirty(a.entry, s)
		}
	}
	return time.Time{}
}

// soonest is the earlier of two moments, of which the zero one is none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func (a *subscriptionActor) reportCounts(now time.Time) {
	health := a.machine.Health()
	records, flights := a.machine.Counts()
	out := 0
	if a.machine.Forwards() {
		flights, out = 0, flights
	}
	for _, s := range a.entry.allSlots() {
		s.reportFlights(a.machine.FlightsBehind(s.journal))
	}
	at, journal := a.machine.OldestDue(now)
	a.entry.reportCounts(
		counts{flights: flights, out: out, records: records, open: health == engine.HealthOpen}, dueRecord{at, journal},
	)
}

func (a *subscriptionActor) expire(m expire) {
	a.takeChanges()
	for _, s := range a.entry.allSlots() {
		if s.journal == m.journal && !s.foreign() {
			s.giveUp(a.machine.Expire(m.journal, m.through, a.system.clock()))
		}
	}
	a.reported = time.Time{} // who asked writes the cursors
	a.turn()                 // what it wrote comes before the writes of who asked
	close(m.done)
}

func (a *subscriptionActor) insert(m insert) {
	if a.machine.Forwards() {
		m.done <- unavailable("another member owns the subscription")
		return
	}
	if !a.machine.Insert(m.record, m.with) {
		m.done <- engine.Errorf(engine.CodeConflict, "the delivery is still under way")
		return
	}
	a.system.noteInsert(m.record)
	a.performThen(a.machine.Flush(), func() { m.done <- nil })
}

func (a *subscriptionActor) describe() engine.SubscriptionWork {
	view := a.machine.View(a.system.clock())
	work := engine.SubscriptionWork{
		Standing: engine.Standing{Health: view.Health}, Attempting: make(map[engine.EventRef]int, len(view.InFlight)), Due: view.Due,
	}
	if a.machine.Forwards() {
		work.Mailbox = make(map[engine.EventRef]bool, len(view.InFlight))
	}
	for ref, record := range view.InFlight {
		if a.machine.Forwards() {
			work.Mailbox[ref] = true // the owner may have begun, and says so
		} else {
			work.Attempting[ref] = record.Attempts
		}
		work.NoteOldest(record.Key)
	}
	for key := range view.Due {
		work.NoteOldest(key)
	}
	return work
}

// retire answers the supervisor: an actor with nothing in memory stops. It does first what
// the messages before this one made necessary, its next wake included.
func (a *subscriptionActor) retire(ctx actor.Context) {
	a.turn()
	if a.leaving.done {
		a.entry.parkWake()
	} else if a.pending > 0 || !a.machine.Idle() {
		a.entry.stay()
		return
	}
	if !a.machine.Forwards() {
		a.entry.keepQueue(a.machine.Queue())
	}
	ctx.Stop(ctx.Self())
}
