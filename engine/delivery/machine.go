// Package delivery decides what happens to the deliveries of one subscription: which is
// attempted next, what follows from each end, when the subscription lags and when it has
// caught up. It is a state machine without I/O, clocks or goroutines: time comes in with
// every call and what is to be done goes out as Effects, so the same code runs under the
// server's actors, under a cluster and under a simulator.
//
// A delivery is in exactly one of these places:
//
//	mailbox ──► flight ──► discharged
//	              │  ▲
//	   (failed,   ▼  │ (due)
//	   or slow)  retries ──► dead letter
//	              ▲
//	stretch ──► buffer ──► flight …          (behind the cursor of a lagging subscription)
//
// Invariant I2: a pair of event and subscription that came by mailbox is reported in
// Discharged only when it is delivered, when its retry record or dead letter is durable,
// when it lies behind a durable cursor, or when the subscription is deleted.
package delivery

import (
	"cmp"
	"slices"
	"time"

	"pannier/engine"
)

// Mailbox is where live events come from: one bounded queue per lane, in order of sequence.
type Mailbox interface {
	// Take gives the oldest event of the lane.
	Take(journal engine.JournalID) (*engine.Event, bool)
	// Oldest is when the oldest event of the lane was put in.
	Oldest(journal engine.JournalID) (time.Time, bool)
}

// Options are what a Machine is made from.
type Options struct {
	Subscription *engine.Subscription
	Mailbox      Mailbox
	// Random gives jitter in [0, 1).
	Random func() float64
	// Watermark is the durable watermark of a journal: a retry record that is settled above it
	// leaves a done mark.
	Watermark func(engine.JournalID) uint64
	// Queue is the durable state of a subscription that had retry records; the zero value
	// otherwise.
	Queue engine.Queue
	// Carry has every retry record carry its event, because the journal it came from is not on
	// every member that may attempt it.
	Carry bool
	// Forward makes the machine of a subscription that another member owns (see forward.go).
	Forward bool
	// Quarantined are the events that keep crashing the subscription's actor.
	Quarantined map[engine.EventRef]bool
}

// Machine is the delivery state of one subscription. Not safe for concurrent use.
type Machine struct {
	sub         *engine.Subscription
	mailbox     Mailbox
	random      func() float64
	watermark   func(engine.JournalID) uint64
	carry       bool
	forward     *forward
	quarantined map[engine.EventRef]bool

	lanes   []*lane
	turn    int // whose turn it is to start work: 0 the retries, then the lanes
	flights map[engine.EventRef]*flight
	retries retries
	// arrived are first attempts that outlived their lane and were successful: the next keeper of
	// the journal may hand their events out again. No more at each change than the window has;
	// nil: none.
	arrived map[engine.EventRef]bool
	// retryFlights counts the flights that came from the retries, keptFlights those that have a
	// retry record.
	retryFlights, keptFlights int
	// slowAt is not later than the moment from which a first attempt under way takes too long;
	// zero: there is none.
	slowAt time.Time
	// records counts the retry records on disk, those in flight included.
	records     int
	oldestMilli int64
	loaded      bool
	stopping    bool
	purged      bool

	handling *flight

	circuit Circuit
	probing bool
	rate    rateLimit
	out     Effects
}

// lane is the machine's side of one lane.
type lane struct {
	journal   engine.JournalID
	share     float64 // of the window
	inFlight  int     // first attempts
	behind    int     // those of them that lie behind the cursor and have no retry record
	stretches []*stretch
	buffer    []*engine.Event // read from a stretch, not attempted yet
	again     []*engine.Event // handed out and given back: before the buffer, and open
	reading   bool
	flipping  bool // the ingress actor was asked for the end of the last stretch
	stale     bool // the ingress actor was asked to turn the mailbox into a stretch
	changed   bool // what a crash would read again is not what Waiting last gave
	// settledCount counts the events behind the cursor that were settled since then.
	settledCount uint64
}

// flight is a delivery whose attempt is under way.
type flight struct {
	key    engine.DeliveryKey
	event  *engine.Event // nil: the driver fetches it
	record engine.RetryRecord
	lane   *lane // of a first attempt; nil for a retry
	live   bool  // came by mailbox
	kept   bool  // its retry record is on disk or on its way
	probe  bool
	// outlived tells that its lane was dropped since it began.
	outlived bool
	// rewritten tells that its retry record was written again since it began.
	rewritten bool
	since     time.Time // in memory: the wait in the mailbox counts for SpillAfter
	started   time.Time
}

// Effects is what a driver must do after a call. Writes form one atomic group.
type Effects struct {
	Attempts []Attempt
	Writes   []engine.Write
	// AfterWrites is to be given to Committed once Writes are durable.
	AfterWrites []Pair
	// Discharged are pairs that came by mailbox and that the lane's ledger need not wait for.
	Discharged []engine.EventRef
	Reads      []Read
	// CaughtUp names lanes of which everything was read that was handed out: the ingress actor
	// is asked to name its last sequence.
	CaughtUp []engine.JournalID
	// Stale names lanes whose mailbox holds events for too long: the ingress actor is asked to
	// turn them into a stretch.
	Stale []engine.JournalID
	// Ends are the attempts that ended, for history and metrics.
	Ends []End
	// Disable asks for the subscription to be disabled (410 with disable_on_gone).
	Disable bool
	// Discarded counts attempts under way that failed after the subscription was deleted.
	Discarded int
	// Purge asks for everything of a deleted subscription to be removed from the state.
	Purge bool
}

// Attempt is an attempt to be made. Event is nil when the driver must fetch it, from the
// journal or from the record's body.
type Attempt struct {
	Key    engine.DeliveryKey
	Event  *engine.Event
	Record engine.RetryRecord
	Number int
}

// Pair names a delivery of this subscription whose event a lane waits for.
type Pair struct {
	Event engine.EventRef
	Live  bool
}

// Read asks for the matching events of a lane's journal from a sequence on.
type Read struct {
	Journal engine.JournalID
	From    uint64
	Through uint64 // 0: as far as events were handed out
}

// End is an attempt that ended.
type End struct {
	Attempt  engine.Attempt
	Event    *engine.Event
	Decision engine.Decision
	First    bool // the delivery's first attempt
	Again    bool // it was delivered before: a replay or a manual retry
}

// New makes the machine of a subscription. Records must be given with Load when
// o.Queue.Records is above zero.
func New(o Options, now time.Time) *Machine {
	m := &Machine{
		sub: o.Subscription, mailbox: o.Mailbox, random: o.Random, watermark: o.Watermark,
		quarantined: o.Quarantined, carry: o.Carry,
		flights: make(map[engine.EventRef]*flight),
		records: o.Queue.Records, oldestMilli: o.Queue.OldestMilli,
		loaded:  o.Queue.Records == 0,
		circuit: Circuit{CircuitState: clampCircuit(o.Queue.Circuit, now)},
	}
	m.rate.set(o.Subscription.RatePerSecond, now)
	if o.Forward {
		m.beForward()
	}
	return m
}

// clampCircuit keeps a wall clock that went back from holding a circuit open for longer
// than its probes allow.
func clampCircuit(c engine.CircuitState, now time.Time) engine.CircuitState {
	if c.Open {
		c.ProbeAt = earliest(c.ProbeAt, now.Add(c.ProbeInterval))
		c.OpenedAt = earliest(c.OpenedAt, now)
	}
	return c
}

// Lane makes a lane known, with its share of the window and what waits behind the cursor.
func (m *Machine) Lane(journal engine.JournalID, share float64, waiting []engine.Range) {
	l := &lane{journal: journal, share: share}
	for _, r := range waiting {
		l.stretches = append(l.stretches, newStretch(r))
	}
	m.lanes = append(m.lanes, l)
}

// DropLane forgets a lane: its journal has another keeper, who hears how hand-outs end.
func (m *Machine) DropLane(journal engine.JournalID) {
	for ref, f := range m.flights {
		switch {
		case ref.Journal != journal:
		case m.forward != nil:
			m.land(f)
		default:
			f.outlived = true
		}
	}
	m.lanes = slices.DeleteFunc(m.lanes, func(l *lane) bool { return l.journal == journal })
}

// HasLane tells whether the lane is known.
func (m *Machine) HasLane(journal engine.JournalID) bool { return m.lane(journal) != nil }

// Change puts a new version of the subscription in force.
func (m *Machine) Change(sub *engine.Subscription, now time.Time) {
	m.sub = sub
	m.rate.set(sub.RatePerSecond, now)
	if m.forward != nil {
		m.rate.set(0, now)
	}
}

// Stop ends the starting of attempts: what is in flight may still end.
func (m *Machine) Stop() { m.stopping = true }

// InFlight is how many attempts are under way.
func (m *Machine) InFlight() int { return len(m.flights) }

// Outstanding lists the live events that a machine which crashed has taken and not settled,
// in order of sequence: the next machine gets them again.
func (m *Machine) Outstanding(journal engine.JournalID) []*engine.Event {
	var events []*engine.Event
	consider := func(f *flight) {
		if f != nil && f.live && !f.kept && f.key.Event.Journal == journal {
			events = append(events, f.event)
		}
	}
	for _, f := range m.flights {
		consider(f)
	}
	if m.handling != nil && m.flights[m.handling.key.Event] == nil {
		consider(m.handling)
	}
	slices.SortFunc(events, func(a, b *engine.Event) int { return cmp.Compare(a.Ref.Sequence, b.Ref.Sequence) })
	return events
}

// Handling is the delivery whose end is being settled: after a crash, the one that caused
// it.
func (m *Machine) Handling() (engine.DeliveryKey, bool) {
	if m.handling == nil {
		return engine.DeliveryKey{}, false
	}
	return m.handling.key, true
}

// Idle tells whether the machine could be rebuilt at any time from what is durable.
func (m *Machine) Idle() bool {
	if len(m.flights) > 0 || !m.loaded {
		return false
	}
	for _, l := range m.lanes {
		if l.reading || l.flipping || len(l.buffer) > 0 || len(l.again) > 0 {
			return false
		}
		if _, waits := m.mailbox.Oldest(l.journal); waits {
			return false
		}
		for _, s := range l.stretches {
			if len(s.open) > 0 || (s.unread() && m.mayStart()) {
				return false
			}
		}
	}
	return true
}

// Step starts what may be started at now and says when to call again (zero: when something
// happens). Its Effects are those of the calls since the last Flush too.
func (m *Machine) Step(now time.Time) (wake time.Time) {
	if m.sub.Deleted {
		m.discardAll()
		return time.Time{}
	}
	if m.forward == nil {
		m.spillSlow(now)
	}
	if m.mayStart() {
		m.startWork(now)
	}
	m.noticeStale(now)
	return m.nextWake(now)
}

// Flush hands out the effects since the last call.
func (m *Machine) Flush() Effects {
	out := m.out
	m.out = Effects{}
	return out
}

// mayStart tells whether attempts may start. Until the retry records are there the machine
// does not know what has ended and what waits.
func (m *Machine) mayStart() bool {
	if m.forward != nil {
		return !m.sub.Deleted && !m.stopping
	}
	return m.sub.Enabled && !m.sub.Deleted && !m.stopping && m.loaded
}

// window is how many attempts may be under way.
func (m *Machine) window() int {
	if m.forward != nil {
		return m.forward.window
	}
	return m.sub.MaxInFlight
}

func (m *Machine) lane(journal engine.JournalID) *lane {
	for _, l := range m.lanes {
		if l.journal == journal {
			return l
		}
	}
	return nil
}

// nextWake is the earliest moment at which time alone changes something.
func (m *Machine) nextWake(now time.Time) time.Time {
	var wake time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (wake.IsZero() || t.Before(wake)) {
			wake = t
		}
	}
	if m.forward == nil {
		consider(m.slowAt)
	} else {
		consider(m.forward.heldUntil)
	}
	for _, l := range m.lanes {
		if at, waits := m.mailbox.Oldest(l.journal); waits && !l.stale {
			consider(at.Add(engine.SpillAfter))
		}
	}
	if m.mayStart() && m.forward == nil && len(m.flights) < m.window() {
		m.considerStarts(now, consider)
	}
	return wake
}

// considerStarts names when time alone lets an attempt start that may not start at now.
// What waits for an end or for a read has no such time: the driver calls again then.
func (m *Machine) considerStarts(now time.Time, consider func(time.Time)) {
	token := now
	if !m.rate.allow(now) {
		token = m.rate.next(now)
	}
	if m.circuit.Open {
		if probe := latest(m.circuit.ProbeAt, token); !m.probing && m.mayProbe() && probe.After(now) {
			consider(probe)
		}
		return
	}
	if m.mayStartFirst() && token.After(now) {
		consider(token)
	}
	if due, waits := m.retries.next(); waits && m.mayStartRetry() {
		consider(latest(m.circuit.Wall(due), token))
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
