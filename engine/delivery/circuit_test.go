package delivery_test

import (
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/delivery"
)

func TestCircuitOpens(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		failures int
		every    time.Duration
		want     bool
	}{
		{"20 failures in 57 s", 20, 3 * time.Second, false},
		{"20 failures over 60.8 s", 20, 3200 * time.Millisecond, true},
		{"19 failures over 10 min", 19, 30 * time.Second, false},
		{"1000 failures in a second", 1000, time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c delivery.Circuit
			for n := range tt.failures {
				c.Failed(start.Add(time.Duration(n)*tt.every), false)
			}
			if c.Open != tt.want {
				t.Errorf("open = %v, want %v", c.Open, tt.want)
			}
		})
	}
}

func TestSuccessStartsTheCountAnew(t *testing.T) {
	t.Parallel()
	var c delivery.Circuit
	for n := range 19 {
		c.Failed(start.Add(time.Duration(n)*10*time.Second), false)
	}
	c.Succeeded(start.Add(200 * time.Second))
	c.Failed(start.Add(210*time.Second), false)
	if c.Open || c.Failures != 1 {
		t.Errorf("open = %v after %d failures, want closed after 1", c.Open, c.Failures)
	}
}

func TestProbesDouble(t *testing.T) {
	t.Parallel()
	c := openCircuit()
	now := c.OpenedAt
	for _, seconds := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
		want := time.Duration(seconds) * time.Second
		if got := c.ProbeAt.Sub(now); got != want {
			t.Fatalf("probe after %v, want %v", got, want)
		}
		now = c.ProbeAt
		c.Failed(now, true)
	}
}

func TestOwnClockStandsStillWhileOpen(t *testing.T) {
	t.Parallel()
	c := openCircuit()
	before := c.Own(c.OpenedAt)
	later := c.OpenedAt.Add(3 * time.Hour)
	if got := c.Own(later); !got.Equal(before) {
		t.Errorf("own clock went on by %v", got.Sub(before))
	}
	c.Succeeded(later)
	if got := c.Own(later.Add(time.Minute)).Sub(before); got != time.Minute {
		t.Errorf("own clock went on by %v after closing, want 1m", got)
	}
	if got := c.Wall(c.Own(later)); !got.Equal(later) {
		t.Errorf("Wall(Own(t)) = %v, want %v", got, later)
	}
}

func openCircuit() *delivery.Circuit {
	c := &delivery.Circuit{}
	for n := range 21 {
		c.Failed(start.Add(time.Duration(n)*4*time.Second), false)
	}
	if !c.Open {
		panic("the circuit did not open")
	}
	return c
}

// An endpoint that is down for six hours uses up no schedule while other deliveries can
// carry the probes.
func TestOutageUsesNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	for sequence := range uint64(200) {
		r.inbox.put(r.now.Add(24*time.Hour), sequence+1) // never stale in this test
	}
	dead := 0
	for end := r.now.Add(6 * time.Hour); r.now.Before(end); {
		out := r.step()
		for len(out.Attempts) > 0 {
			r.now = r.now.Add(2 * time.Second)
			out = r.end(engine.OutcomeFailure, 503)
			n, _ := count[engine.PutDeadLetter](out.Writes)
			dead += n
		}
		if r.wake.After(r.now) {
			r.now = r.wake
		} else {
			r.now = r.now.Add(time.Second)
		}
	}
	if dead != 0 {
		t.Errorf("%d dead letters, want none", dead)
	}
	if got := r.Health(); got != engine.HealthOpen {
		t.Fatalf("health = %s, want open", got)
	}
	// It is back: the next probe closes the circuit and everything goes out.
	for back := r.now; r.now.Sub(back) < 2*time.Hour; r.now = r.now.Add(time.Second) {
		for out := r.step(); len(out.Attempts) > 0; {
			out = r.end(engine.OutcomeSuccess, 200)
		}
	}
	if got := r.Health(); got != engine.HealthHealthy {
		t.Errorf("health = %s after the endpoint came back, want healthy", got)
	}
}
