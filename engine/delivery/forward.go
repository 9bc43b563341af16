package delivery

import (
	"time"

	"pannier/engine"
)

// A subscription that another member of a cluster owns has a machine here too, for the events
// of the journals that this member keeps. Its attempts are hand-outs to the owner: they end when
// the owner has discharged the pair, which leaves no trace here, or gives it back. The retry
// schedule, the circuit and the rate are the owner's; what lags is this member's, beside the
// journal.
//
//	mailbox, stretch ──► out ──► Settled
//	        ▲             │
//	        └── Returned ─┘  busy: one at a time, after a while, until the owner keeps up
const (
	// ForwardWindow bounds the events of one subscription that its owner has from one member,
	// over all lanes.
	ForwardWindow = 256
	// firstHold and maxHold bound how long a busy owner is left alone before it is offered one
	// event more.
	firstHold = 500 * time.Millisecond
	maxHold   = 5 * time.Second
)

type forward struct {
	window    int
	hold      time.Duration
	heldUntil time.Time
}

func (m *Machine) beForward() {
	m.forward = &forward{window: ForwardWindow}
	m.loaded, m.records = true, 0
	m.circuit = Circuit{}
	m.rate = rateLimit{}
}

// Forwards tells whether another member owns the subscription.
func (m *Machine) Forwards() bool { return m.forward != nil }

// holds tells whether the owner is left alone now.
func (f *forward) holds(now time.Time) bool {
	if now.Before(f.heldUntil) {
		return true
	}
	f.heldUntil = time.Time{}
	return false
}

// Settled ends hand-outs that the owner has discharged.
func (m *Machine) Settled(refs []engine.EventRef) {
	for _, ref := range refs {
		f, out := m.flights[ref]
		if !out {
			continue
		}
		m.land(f)
		m.discharge(f)
	}
	m.forward.hold = 0
	m.forward.window = min(ForwardWindow, m.forward.window*2)
}

// Returned takes hand-outs back, busy ones because the owner cannot keep up. Those that came
// from the journal are read from there again; those that came by mailbox are given to the
// caller, who puts them into it again.
func (m *Machine) Returned(refs []engine.EventRef, busy bool, now time.Time) (live []*engine.Event) {
	for _, ref := range refs {
		f, out := m.flights[ref]
		if !out {
			continue
		}
		m.land(f)
		if f.live {
			live = append(live, f.event)
			continue
		}
		f.lane.again = append(f.lane.again, f.event)
	}
	if busy {
		m.forward.window = 1
		m.forward.hold = min(max(firstHold, 2*m.forward.hold), maxHold)
		m.forward.heldUntil = now.Add(m.forward.hold)
	}
	return live
}

// Out gives the event of a hand-out that is under way, nil for any other.
func (m *Machine) Out(ref engine.EventRef) *engine.Event {
	if f, out := m.flights[ref]; out {
		return f.event
	}
	return nil
}

// Leave writes retry records for first attempts that are under way, due when they have
// certainly ended: another member owns the subscription from now on, and may attempt them then.
func (m *Machine) Leave(now time.Time) {
	for _, f := range m.inOrder() {
		if !f.kept {
			m.keep(f, engine.Result{}, m.circuit.Own(now.Add(m.sub.Timeout)))
		}
	}
}
