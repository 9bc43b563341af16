package actors_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
)

// crossing is a random history of two members, drawn before it is lived through.
type crossing struct {
	windows []int // max_in_flight by subscription
	slow    bool  // journals are adopted a few records at a time
	steps   []crossingStep
}

type crossingStep struct {
	kind   string
	side   int
	sub    int
	events int
	wait   time.Duration
}

func drawCrossing(t *rapid.T) crossing {
	c := crossing{
		windows: rapid.SliceOfN(rapid.SampledFrom([]int{1, 4, 64}), 1, 3).Draw(t, "windows"),
		slow:    rapid.Bool().Draw(t, "slow"),
	}
	kinds := []string{
		"publish", "publish", "publish", "wait", "wait", "fail", "hang", "slow", "recover", "give", "give",
		"kill", "adopt", "start", "start", "exchange", "overlap",
	}
	for range rapid.IntRange(5, 30).Draw(t, "length") {
		c.steps = append(c.steps, crossingStep{
			kind: rapid.SampledFrom(kinds).Draw(t, "kind"), side: rapid.IntRange(0, 1).Draw(t, "side"),
			sub: rapid.IntRange(0, len(c.windows)-1).Draw(t, "sub"), events: rapid.IntRange(1, 600).Draw(t, "events"),
			wait: time.Duration(rapid.IntRange(0, 5_000).Draw(t, "wait")) * time.Millisecond,
		})
	}
	return c
}

// crossingTrial lives through a crossing and keeps account of what must arrive.
type crossingTrial struct {
	*duo
	receivers

	must []string
	// repeats tells that some may arrive twice: a member died, or an attempt took so long that
	// the next owner of its subscription did not wait for it.
	repeats bool
}

func newCrossingTrial(t *testing.T, c crossing) *crossingTrial {
	t.Helper()
	x := &crossingTrial{duo: newDuo(t), receivers: receivers{takes: time.Millisecond}}
	x.slow = c.slow
	for n, window := range c.windows {
		x.add(x.subscribe(n%2, func(s *engine.SubscriptionSpec) { s.MaxInFlight, s.MaxRetries = window, 20 }))
	}
	for _, s := range x.sides {
		s.world.answer(x.receive)
	}
	return x
}

func (x *crossingTrial) lives(side int) bool { return !x.sides[side].port.over }

func (x *crossingTrial) do(s crossingStep) {
	switch s.kind {
	case "publish":
		if x.lives(s.side) {
			x.post(s)
		}
	case "wait":
		time.Sleep(s.wait)
	case "give":
		if x.lives(s.side) {
			x.give(x.subs[s.sub], s.side)
		}
	case "kill":
		if x.lives(0) && x.lives(1) {
			x.repeats = true
			x.kill(s.side)
		}
	case "start":
		x.startAgain(s.side)
	case "adopt":
		if x.lives(s.side) {
			x.adopt(s.side)
		}
	case "exchange", "overlap":
		x.exchange(s.sub, s.kind == "overlap")
	default:
		x.repeats = x.repeats || s.kind == "hang"
		x.modes[s.sub].Store(s.kind)
	}
}

func (x *crossingTrial) startAgain(side int) {
	if !x.lives(side) {
		x.start(side)
	}
}

func (x *crossingTrial) post(s crossingStep) {
	ids := make([]string, s.events)
	for n := range ids {
		ids[n] = fmt.Sprintf("e%d", len(x.must)+n)
	}
	x.must = append(x.must, ids...)
	x.sides[s.side].life.publish("trip.created", ids...)
}

// exchange has the other member keep the adopted journals; with overlap both do for a while.
func (x *crossingTrial) exchange(n int, overlap bool) {
	if !x.lives(0) || !x.lives(1) {
		return
	}
	for _, k := range x.journals {
		keeper := k.keeper
		if keeper.over || keeper.system != keeper.side.life.system || x.isLive(k) {
			continue
		}
		if !overlap {
			x.relinquish(keeper, k.journal.ID())
			time.Sleep(time.Duration(n) * 100 * time.Millisecond)
		}
		x.adoptOne(1-keeper.side.index, k)
		if overlap {
			time.Sleep(time.Duration(n) * 100 * time.Millisecond)
			x.relinquish(keeper, k.journal.ID())
		}
	}
}

// isLive tells whether the life that writes a journal goes on.
func (x *crossingTrial) isLive(k *kept) bool {
	return k.keeper.side.world.journals[engine.SharedLane] == k.journal
}

// finish lets every receiver recover and every delivery end, and says what is wrong.
func (x *crossingTrial) finish() error {
	x.startAgain(0)
	x.startAgain(1)
	x.adopt(0)
	for n := range x.subs {
		x.modes[n].Store("recover")
	}
	time.Sleep(time.Hour)
	var sum engine.StatsView
	undischarged := uint64(0)
	for _, side := range x.sides {
		stats := side.life.system.Stats()
		sum.Accepted += stats.Accepted
		sum.Matched += stats.Matched
		sum.Pending += stats.Pending
		sum.Dead += stats.Dead
		undischarged += side.life.system.Undischarged()
	}
	x.stop()
	for _, event := range x.must {
		for _, sub := range x.subs {
			switch got := x.count(sub, event); {
			case got == 0:
				return fmt.Errorf("%s never reached %s", event, sub)
			case got > 1 && !x.repeats:
				return fmt.Errorf("%s reached %s %d times although nobody died", event, sub, got)
			}
		}
	}
	want := engine.StatsView{Accepted: uint64(len(x.must)), Matched: uint64(len(x.must) * len(x.subs))}
	if sum != want || undischarged != 0 {
		return fmt.Errorf("totals = %+v, %d undischarged, want %+v and none", sum, undischarged, want)
	}
	return nil
}

// Whatever two members go through, every event reaches every subscription, and nobody waits for
// one in the end: over moves of subscriptions, deaths, adoptions while actors are at work, and
// journals that two keep for a while.
func TestNothingIsLostBetweenTwo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := drawCrossing(r)
		var failure error
		synctest.Test(t, func(t *testing.T) {
			x := newCrossingTrial(t, c)
			for _, s := range c.steps {
				x.do(s)
			}
			failure = x.finish()
		})
		if failure != nil {
			r.Fatal(failure)
		}
	})
}
