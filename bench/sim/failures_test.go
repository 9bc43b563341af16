package main

import (
	"testing"
	"time"

	"pannier/cluster/placement"
)

// The failures that the protocol is made for, one test each. Each run is a cluster of three
// members with two copies (five with three where that matters), in virtual time.

// quiet is a cluster that has settled, with four subscriptions to what is posted.
func quiet(t *testing.T, members int) *world {
	t.Helper()
	w := newWorld(options{members: members, replication: (members + 1) / 2, subscriptions: 1, trace: testing.Verbose()}, 1)
	for _, m := range w.members {
		m.start()
		m.life.perform()
	}
	w.every(gossipEvery, w.gossip)
	w.judge.healthy = true
	w.runFor(8 * time.Second)
	for _, m := range w.members {
		if m.life.self.State != placement.Active {
			t.Fatalf("%s is %s, want active", m.id, m.life.self.State)
		}
	}
	for range 4 {
		w.members[0].life.create("trip.*")
		w.runFor(time.Second)
	}
	t.Cleanup(func() {
		for _, line := range w.trace {
			t.Log(line)
		}
	})
	return w
}

// answered tells whether an event was answered with 202.
func (w *world) answered(event uint32) bool { return w.judge.promised[event] != nil }

// settle heals everything and passes judgement.
func (w *world) settle(t *testing.T) {
	t.Helper()
	w.heal()
	w.runFor(3 * time.Minute)
	w.judge.settled()
	if w.judge.verdict != nil {
		t.Fatal(w.judge.verdict)
	}
}

// until lets time pass until something is so.
func (w *world) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 60_000 {
		if so() {
			return
		}
		if w.runFor(time.Millisecond); w.judge.verdict != nil {
			t.Fatal(w.judge.verdict)
		}
	}
	t.Fatalf("after a minute it is still not so: %s", what)
}

// arrivals counts how often an event reached the subscriptions it was for.
func (w *world) arrivals(event uint32) (n int) {
	for a, times := range w.judge.arrived {
		if a.event == event {
			n += times
		}
	}
	return n
}

func TestIngressDiesBefore202(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	event := w.post(w.members[0], "trip.created")
	w.members[0].kill()
	w.settle(t)
	if w.answered(event) {
		t.Error("an event of a member that died at once was answered")
	}
}

func TestIngressDiesAfter202(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	w.members[0].kill()
	w.members[0].disk = &disk{world: w, content: newContent()}
	w.settle(t)
	if w.arrivals(event) == 0 {
		t.Error("the event did not arrive")
	}
}

func TestAdopterDiesWhileAdopting(t *testing.T) {
	t.Parallel()
	w := quiet(t, 5)
	var events []uint32
	for range 20 {
		events = append(events, w.post(w.members[0], "trip.created"))
	}
	w.until(t, "the events are answered", func() bool { return w.answered(events[19]) })
	w.members[0].kill()
	var adopter *member
	w.until(t, "somebody adopts", func() bool {
		for _, m := range w.members {
			if m.life != nil && len(m.life.accounts) > 1 {
				adopter = m
			}
		}
		return adopter != nil
	})
	adopter.kill()
	w.settle(t)
	for _, event := range events {
		if w.arrivals(event) == 0 {
			t.Errorf("event %d did not arrive", event)
		}
	}
}

func TestFollowerDies(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	origin := w.members[0]
	w.post(origin, "trip.created")
	w.runFor(time.Second)
	for _, m := range w.members[1:] {
		if m.disk.content.journals[origin.life.journal] != nil {
			m.kill()
			break
		}
	}
	event := w.post(origin, "trip.created")
	w.until(t, "another member follows and the event is answered", func() bool { return w.answered(event) })
	w.settle(t)
}

func TestOwnerDiesMidDelivery(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	for _, m := range w.members[1:] {
		if len(m.life.subs) > 0 {
			m.kill()
		}
	}
	w.settle(t)
}

func TestOwnerAndOriginDieTogether(t *testing.T) {
	t.Parallel()
	w := quiet(t, 5)
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	w.members[0].kill()
	w.members[1].kill()
	for _, m := range w.members[:2] {
		m.disk = &disk{world: w, content: newContent()}
	}
	w.settle(t)
}

func TestPartitionAndHeal(t *testing.T) {
	t.Parallel()
	w := quiet(t, 5)
	w.cut(10*time.Second, func(from, to int) bool { return (from < 2) != (to < 2) })
	minority, majority := w.post(w.members[0], "trip.created"), w.post(w.members[2], "trip.created")
	w.runFor(8 * time.Second)
	if w.answered(minority) {
		t.Error("two of five members answered an event that asks for three copies")
	}
	if !w.answered(majority) {
		t.Error("three of five members did not answer")
	}
	w.runFor(12 * time.Second)
	for _, m := range w.members {
		if got := len(m.life.seen); got != len(w.members) {
			t.Errorf("after the partition %s sees %d members, want %d", m.id, got, len(w.members))
		}
	}
	w.settle(t)
}

func TestNodeReturnsWithOldDisk(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	for range 10 {
		w.post(w.members[0], "trip.created")
		w.runFor(100 * time.Millisecond)
	}
	w.runFor(2 * time.Second)
	w.members[0].kill()
	w.runFor(20 * time.Second)
	w.members[0].start()
	w.settle(t)
	if w.judge.duplicates > 0 {
		t.Errorf("%d deliveries were repeated that had ended long before", w.judge.duplicates)
	}
}

func TestNodeReturnsWithEmptyDisk(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	w.members[0].kill()
	w.members[0].disk = &disk{world: w, content: newContent()}
	w.members[0].start()
	w.settle(t)
	w.until(t, "everything has its copies", w.whole)
}

func TestNodeReturnsWithDamagedDisk(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	for range 10 {
		w.post(w.members[0], "trip.created")
	}
	w.runFor(20 * time.Millisecond)
	w.members[0].kill()
	for _, j := range w.members[0].disk.content.journals {
		if len(j.records) > 5 {
			j.records = j.records[:5] // what follows cannot be read
		}
	}
	w.members[0].start()
	w.settle(t)
}

func TestFullClusterKill(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	w.killAll()
	w.settle(t)
}

// TestAdopterLearnsOfSubscriptions: a subscription is on one disk only when everything dies, and
// an event that was for it on two. Whoever adopts the journal asks for the subscription first.
func TestAdopterLearnsOfSubscriptions(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	w.cut(10*time.Second, func(from, to int) bool { return (from == 0) != (to == 0) })
	w.runFor(8 * time.Second)
	w.members[0].life.create("trip.*")
	w.runFor(time.Second)
	w.until(t, "the partition ends", w.members[0].life.ready)
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	for _, m := range w.members {
		m.kill()
	}
	w.members[1].start()
	w.members[2].start()
	w.runFor(20 * time.Second)
	w.members[0].start()
	w.settle(t)
}

// TestOneForgetsTheOtherForAMoment: an owner no longer sees a keeper, which sees it all the
// time, and the deliveries end meanwhile.
func TestOneForgetsTheOtherForAMoment(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	keeper := w.members[0]
	event := w.post(keeper, "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	w.runFor(2 * time.Millisecond) // the owners have it, the answers are not there yet
	for _, owner := range w.members[1:] {
		delete(owner.life.seen, keeper.id)
		owner.life.viewChanged()
		owner.life.perform()
	}
	w.runFor(100 * time.Millisecond)
	for _, owner := range w.members[1:] {
		owner.life.meet(keeper.life)
	}
	w.runFor(3 * time.Second)
	if waits := keeper.life.accounts[keeper.life.journal].waits; len(waits) > 0 {
		t.Errorf("the keeper still waits for %v", waits)
	}
	w.settle(t)
}

func TestSlowNode(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	for n := range w.members {
		w.links[n][1].slow, w.links[1][n].slow = 2*time.Second, 2*time.Second
	}
	event := w.post(w.members[0], "trip.created")
	w.until(t, "the event is answered", func() bool { return w.answered(event) })
	w.settle(t)
}

func TestDrainRepeatsNothing(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	w.every(20*time.Millisecond, func() bool {
		if l := w.members[1].life; l != nil && l.ready() && !w.judge.quiet {
			w.post(w.members[1], "trip.created")
		}
		return !w.judge.quiet
	})
	w.runFor(time.Second)
	w.members[0].life.drain()
	w.runFor(20 * time.Second)
	w.members[1].life.drain()
	w.runFor(20 * time.Second)
	w.settle(t)
	if w.judge.duplicates > 0 {
		t.Errorf("%d deliveries were repeated", w.judge.duplicates)
	}
}

func TestDeletionSurvivesAnAbsence(t *testing.T) {
	t.Parallel()
	w := quiet(t, 3)
	w.members[2].kill()
	w.runFor(10 * time.Second)
	version := *w.members[0].life.liveSubscriptions()[0]
	version.Deleted, version.Enabled = true, false
	w.members[0].life.put(&version)
	w.runFor(5 * time.Second)
	w.members[2].start()
	w.settle(t)
	for _, m := range w.members {
		if _, found := m.life.table.Get(version.ID); found {
			t.Errorf("%s is back on %s", version.ID, m.id)
		}
	}
}

// TestSeedsGiveTheSameRun: a seed and a commit give one run, step for step.
func TestSeedsGiveTheSameRun(t *testing.T) {
	t.Parallel()
	play := func() (int, int) {
		w := newWorld(sized(options{
			subscriptions: 4, faultsFor: 20 * time.Second, settleFor: time.Minute, rate: 100 * time.Millisecond, doubles: 0.01,
		}, 3), 3)
		w.play()
		return w.steps, len(w.judge.arrived)
	}
	steps, arrived := play()
	if again, arrivedAgain := play(); again != steps || arrivedAgain != arrived {
		t.Errorf("the second run had %d steps and %d deliveries, the first %d and %d", again, arrivedAgain, steps, arrived)
	}
}
