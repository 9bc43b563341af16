package actors

import (
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"pannier/engine"
	"pannier/engine/delivery"
)

// entry is a subscription that has work on this member. It outlives its actor: the
// mailboxes of its lanes, its cursors and what is parked for the next actor are here.
//
//	            send                    Started
//	asleep ──────────► waking ──────────────────► awake ──┐ idle for a while: the
//	   ▲                                            ▲      │ supervisor asks it to retire
//	   │             nothing is parked              │      ▼
//	   └───────────────── Terminated ◄── stopped ◄──┴── retiring
//	                          │       (idle still)  (not idle any more)
//	                          └─ something is parked: waking
type entry struct {
	id     engine.SubscriptionID
	handle engine.Handle
	system *System
	group  *actor.PID // its supervisor

	mu     sync.Mutex
	phase  phase
	pid    *actor.PID
	parked []any // for the next actor
	woken  bool  // a wakeUp is on its way

	slots     []*slot
	queue     engine.Queue // what the state held at start; then kept by the actor
	crashes   map[engine.EventRef]int
	machine   *delivery.Machine // of the present actor, read by the next one after a crash
	counts    counts            // as last reported by the actor
	lastWork  time.Time
	oldestDue dueRecord // as last reported by the actor
}

type phase int

const (
	asleep phase = iota
	waking
	awake
	retiring
)

// dueRecord is since when a retry record is due and waits, and the journal of its event; the
// zero value is none.
type dueRecord struct {
	at      time.Time
	journal engine.JournalID
}

// counts are an actor's share of the totals.
type counts struct {
	flights int
	out     int // hand-outs to the member that owns the subscription
	records int // retry records that are not under way
	open    bool
}

// send gives the actor a message, waking it if it sleeps.
func (e *entry) send(message any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.phase {
	case awake:
		e.system.root.Send(e.pid, message)
	case asleep:
		e.phase = waking
		e.parked = append(e.parked, message)
		e.system.root.Send(e.group, activate{e})
	case waking, retiring:
		e.parked = append(e.parked, message)
	}
}

// wakeUp tells an actor that something may be done; one on its way is enough.
type wakeUp struct{}

func (e *entry) wake() {
	e.mu.Lock()
	already := e.woken
	e.woken = true
	e.mu.Unlock()
	if !already {
		e.send(wakeUp{})
	}
}

// heard lets the next wake send a message again.
func (e *entry) heard() {
	e.mu.Lock()
	e.woken = false
	e.mu.Unlock()
}

// started makes pid the entry's actor and gives it what was parked.
func (e *entry) started(pid *actor.PID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid, e.phase = pid, awake
	for _, message := range e.parked {
		e.system.root.Send(pid, message)
	}
	e.parked = nil
}

// retire begins the handshake of passivation.
func (e *entry) retire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.phase == awake {
		e.phase = retiring
		e.system.root.Send(e.pid, retire{})
	}
}

// stay ends the handshake: the actor has work.
func (e *entry) stay() {
	e.mu.Lock()
	pid := e.pid
	e.mu.Unlock()
	e.started(pid)
}

// stopped notes the end of the actor; again tells that it must be started anew.
func (e *entry) stopped() (again bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid, e.machine = nil, nil
	if len(e.parked) > 0 {
		e.phase = waking
		return true
	}
	e.phase = asleep
	for _, s := range e.slots {
		s.shrink()
	}
	return false
}

// slot finds or makes the mailbox of a lane.
func (e *entry) slot(lane *ingress) *slot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.slotLocked(lane)
}

// restoreSlot makes the mailbox of a lane with its cursor: an actor that is at work sees it with
// the whole of it or not at all.
func (e *entry) restoreSlot(lane *ingress, c engine.Cursor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.slotLocked(lane).restore(c)
}

func (e *entry) slotLocked(lane *ingress) *slot {
	return e.slotFor(lane.id, lane)
}

// slotFor finds or makes the mailbox of a journal, whose events have the places of a lane.
func (e *entry) slotFor(journal engine.JournalID, lane *ingress) *slot {
	for _, s := range e.slots {
		if s.journal == journal {
			return s
		}
	}
	s := &slot{journal: journal, ingress: lane}
	e.slots = append(e.slots, s)
	return s
}

func (e *entry) allSlots() []*slot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clip(e.slots)
}

// Take implements delivery.Mailbox.
func (e *entry) Take(journal engine.JournalID) (*engine.Event, bool) {
	for _, s := range e.allSlots() {
		if s.journal == journal {
			return s.take()
		}
	}
	return nil, false
}

// Oldest implements delivery.Mailbox.
func (e *entry) Oldest(journal engine.JournalID) (time.Time, bool) {
	for _, s := range e.allSlots() {
		if s.journal == journal {
			return s.oldest()
		}
	}
	return time.Time{}, false
}

// noteWork notes when the actor last had something to do.
func (e *entry) noteWork(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastWork = at
}

func (e *entry) idleSince(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Sub(e.lastWork)
}

// keepQueue keeps what the next actor starts from.
func (e *entry) keepQueue(q engine.Queue) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = q
}

// reportCounts notes the actor's share of the totals.
func (e *entry) reportCounts(c counts, oldestDue dueRecord) {
	e.mu.Lock()
	before := e.counts
	e.counts = c
	e.oldestDue = oldestDue
	e.mu.Unlock()
	e.system.totals.flights.Add(int64(c.flights - before.flights))
	e.system.totals.out.Add(int64(c.out - before.out))
}
