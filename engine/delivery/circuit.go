package delivery

import (
	"time"

	"pannier/engine"
)

// The circuit of the public contract.
const (
	circuitFailures = 20
	circuitPeriod   = 60 * time.Second
	firstProbe      = 5 * time.Second
	maxProbe        = 5 * time.Minute
)

// Circuit keeps a subscription whose endpoint is down from using up its schedules.
//
//	          the 20th or later consecutive failure,
//	          60 s or more after the first of them
//	closed ─────────────────────────────────────────► open ──┐ probe fails: twice as
//	   ▲                                               │ ◄───┘ long, up to 5 min
//	   └────────────── any attempt succeeds ───────────┘
//
// While it is open the subscription's own clock stands still, so no retry falls due. The
// zero value is closed. Not safe for concurrent use.
type Circuit struct {
	engine.CircuitState
}

// Failed counts a failed attempt that ended at now.
func (c *Circuit) Failed(now time.Time, probe bool) {
	if c.Failures == 0 {
		c.FirstFailure = now
	}
	c.Failures++
	switch {
	case c.Open && probe:
		c.ProbeInterval = min(2*c.ProbeInterval, maxProbe)
		c.ProbeAt = now.Add(c.ProbeInterval)
	case !c.Open && c.Failures >= circuitFailures && now.Sub(c.FirstFailure) >= circuitPeriod:
		c.Open = true
		c.OpenedAt = now
		c.ProbeInterval = firstProbe
		c.ProbeAt = now.Add(firstProbe)
	}
}

// Succeeded counts a success at now: it closes the circuit.
func (c *Circuit) Succeeded(now time.Time) {
	frozen := c.Frozen
	if c.Open {
		frozen += max(0, now.Sub(c.OpenedAt))
	}
	c.CircuitState = engine.CircuitState{Frozen: frozen}
}

// Own is the subscription's own time at wall time now.
func (c *Circuit) Own(now time.Time) time.Time {
	if c.Open && now.After(c.OpenedAt) {
		now = c.OpenedAt
	}
	return now.Add(-c.Frozen)
}

// Wall is when the subscription's own clock will show own, if the circuit is closed.
func (c *Circuit) Wall(own time.Time) time.Time { return own.Add(c.Frozen) }
