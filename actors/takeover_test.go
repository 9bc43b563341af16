package actors_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	topics []string // of the events, in turn
}

// crossingTopics go to one lane, the other, or to both in one request.
var crossingTopics = [][]string{{"trip.created"}, {"vehicle.position"}, {"trip.created", "vehicle.position"}}

func drawCrossing(t *rapid.T) crossing {
	c := crossing{
		windows: rapid.SliceOfN(rapid.SampledFrom([]int{1, 4, 64}), 1, 3).Draw(t, "windows"),
		slow:    rapid.Bool().Draw(t, "slow"),
	}
	kinds := []string{
		"publish", "publish", "publish", "wait", "wait", "fail", "hang", "slow", "recover", "give", "give",
		"kill", "leave", "adopt", "start", "start", "exchange", "overlap", "disable", "enable", "enable",
	}
	for range rapid.IntRange(5, 30).Draw(t, "length") {
		c.steps = append(c.steps, crossingStep{
			kind: rapid.SampledFrom(kinds).Draw(t, "kind"), side: rapid.IntRange(0, 1).Draw(t, "side"),
			sub: rapid.IntRange(0, len(c.windows)-1).Draw(t, "sub"), events: rapid.IntRange(1, 600).Draw(t, "events"),
			wait:   time.Duration(rapid.IntRange(0, 5_000).Draw(t, "wait")) * time.Millisecond,
			topics: rapid.SampledFrom(crossingTopics).Draw(t, "topics"),
		})
	}
	return c
}

// crossingTrial lives through a crossing and keeps account of what must arrive.
type crossingTrial struct {
	*duo
	receivers

	enabled []bool
	posted  int
	must    map[pair]bool
	// repeats tells that some may arrive twice: a member died, or an attempt took so long that
	// the next owner of its subscription did not wait for it.
	repeats bool
}

func newCrossingTrial(t *testing.T, c crossing) *crossingTrial {
	t.Helper()
	x := &crossingTrial{must: make(map[pair]bool), receivers: receivers{takes: time.Millisecond}}
	x.duo = newDuo(t, func(w *world) { w.lanes = positionsLane(72 * time.Hour) })
	x.slow = c.slow
	for n, window := range c.windows {
		x.add(x.subscribe(n%2, func(s *engine.SubscriptionSpec) { s.MaxInFlight, s.MaxRetries = window, 20 }))
		x.enabled = append(x.enabled, true)
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
	case "leave":
		if x.lives(0) && x.lives(1) {
			x.leave(s.side)
		}
	case "start":
		x.startAgain(s.side)
	case "enable", "disable":
		if x.lives(s.side) {
			x.enable(s.sub, s.kind == "enable")
		}
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
	drafts := make([]engine.Draft, s.events)
	for n := range drafts {
		drafts[n] = engine.Draft{ID: fmt.Sprintf("e%d", x.posted), Topic: s.topics[n%len(s.topics)], Data: []byte(`{}`)}
		x.posted++
		for i, sub := range x.subs {
			if x.enabled[i] {
				x.must[pair{sub, drafts[n].ID}] = true
			}
		}
	}
	x.sides[s.side].life.accept(drafts)
}

// enable has both members hear of it at once.
func (x *crossingTrial) enable(n int, enabled bool) {
	x.enabled[n] = enabled
	x.change(x.subs[n], func(s *engine.Subscription) { s.Enabled = enabled })
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
	return slices.Contains(slices.Collect(maps.Values(k.keeper.side.world.journals)), k.journal)
}

// finish lets every receiver recover and every delivery end, and says what is wrong.
func (x *crossingTrial) finish() error {
	x.startAgain(0)
	x.startAgain(1)
	x.adopt(0)
	for n := range x.subs {
		x.enable(n, true)
		x.modes[n].Store("recover")
	}
	time.Sleep(time.Hour)
	var sum engine.StatsView
	undischarged := uint64(0)
	for _, side := range x.sides {
		stats := side.life.system.Stats(context.Background())
		sum.Accepted += stats.Accepted
		sum.Matched += stats.Matched
		sum.Pending += stats.Pending
		sum.Dead += stats.Dead
		undischarged += side.life.system.Undischarged()
	}
	x.stop()
	for p := range x.must {
		switch got := x.count(p.sub, p.event); {
		case got == 0:
			return fmt.Errorf("%s never reached %s", p.event, p.sub)
		case got > 1 && !x.repeats:
			return fmt.Errorf("%s reached %s %d times although nobody died", p.event, p.sub, got)
		}
	}
	want := engine.StatsView{Accepted: uint64(x.posted), Matched: uint64(len(x.must))}
	if sum != want || undischarged != 0 {
		return fmt.Errorf("totals = %+v, %d undischarged, want %+v and none", sum, undischarged, want)
	}
	return nil
}

// Whatever two members go through, every event reaches every subscription, and nobody waits for
// one in the end: over moves of subscriptions, members that die or leave, adoptions while actors are
// at work, and journals that two keep for a while.
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
