package actors_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
)

// plan is a random history of one member, drawn before it is lived through.
type plan struct {
	windows []int // max_in_flight by subscription
	steps   []step
}

type step struct {
	kind   string
	sub    int
	events int
	lane   bool // the events go to the dedicated lane
	wait   time.Duration
}

func drawPlan(t *rapid.T) plan {
	p := plan{windows: rapid.SliceOfN(rapid.SampledFrom([]int{1, 4, 64}), 1, 3).Draw(t, "windows")}
	kinds := []string{"publish", "publish", "wait", "fail", "hang", "slow", "recover", "kill", "stop", "disable", "enable"}
	for range rapid.IntRange(5, 25).Draw(t, "length") {
		p.steps = append(p.steps, step{
			kind: rapid.SampledFrom(kinds).Draw(t, "kind"), sub: rapid.IntRange(0, len(p.windows)-1).Draw(t, "sub"),
			events: rapid.IntRange(1, 400).Draw(t, "events"), lane: rapid.Bool().Draw(t, "lane"),
			wait: time.Duration(rapid.IntRange(0, 20_000).Draw(t, "wait")) * time.Millisecond,
		})
	}
	return p
}

// trial lives through a plan and keeps account of what must arrive.
type trial struct {
	*world
	receivers

	life    *life
	enabled []bool
	must    map[pair]bool
	next    int
	killed  bool
}

func newTrial(t *testing.T, p plan) *trial {
	t.Helper()
	x := &trial{world: newWorld(t), must: make(map[pair]bool)}
	x.lanes = positionsLane(72 * time.Hour)
	x.life = x.boot()
	for _, window := range p.windows {
		x.add(x.life.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight, s.MaxRetries = window, 20 }))
		x.enabled = append(x.enabled, true)
	}
	x.answer(x.receive)
	return x
}

func (x *trial) do(s step) {
	switch s.kind {
	case "publish":
		x.post(s)
	case "wait":
		time.Sleep(s.wait)
	case "kill":
		x.killed = true
		x.life.kill()
		x.life = x.boot()
	case "stop":
		x.life.stop()
		x.life = x.boot()
	case "disable", "enable":
		x.enable(s.sub, s.kind == "enable")
	default:
		x.modes[s.sub].Store(s.kind)
	}
}

func (x *trial) post(s step) {
	topic := "trip.created"
	if s.lane {
		topic = "vehicle.position"
	}
	ids := make([]string, s.events)
	for n := range ids {
		ids[n] = fmt.Sprintf("e%d", x.next)
		x.next++
		for i, sub := range x.subs {
			if x.enabled[i] {
				x.must[pair{sub, ids[n]}] = true
			}
		}
	}
	x.life.publish(topic, ids...)
}

func (x *trial) enable(sub int, enabled bool) {
	x.t.Helper()
	x.life.setEnabled(x.subs[sub], enabled)
	x.enabled[sub] = enabled
}

// finish lets every receiver recover and every delivery end, and says what is wrong.
func (x *trial) finish() error {
	for n := range x.subs {
		x.enable(n, true)
		x.modes[n].Store("recover")
	}
	time.Sleep(3 * time.Hour)
	stats := x.life.engine.Stats(context.Background())
	x.life.stop()
	for p := range x.must {
		switch got := x.count(p.sub, p.event); {
		case got == 0:
			return fmt.Errorf("%s never reached %s; %+v", p.event, p.sub, stats)
		case got > 1 && !x.killed:
			return fmt.Errorf("%s reached %s %d times without a crash", p.event, p.sub, got)
		}
	}
	if len(x.received) != len(x.must) {
		return fmt.Errorf("%d pairs arrived, want %d", len(x.received), len(x.must))
	}
	if stats.Pending != 0 || (!x.killed && stats.Delivered != uint64(len(x.must))) {
		return fmt.Errorf("stats = %+v, want nothing pending and %d delivered", stats, len(x.must))
	}
	return nil
}

// Whatever receivers do and however often the member dies, every event reaches every
// subscription that was enabled when it was accepted, and without a crash exactly once:
// live, lagging and caught up, on retry, over restarts.
func TestNothingIsLostWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		p := drawPlan(r)
		var failure error
		synctest.Test(t, func(t *testing.T) {
			x := newTrial(t, p)
			for _, s := range p.steps {
				x.do(s)
			}
			failure = x.finish()
		})
		if failure != nil {
			r.Fatal(failure)
		}
	})
}
