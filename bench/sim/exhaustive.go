package main

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// The explorer goes through the orders in which the messages, writes and attempts of two events
// can happen on three members with two copies, with a crash and a partition at any moment. What
// it drives is what the seeds drive; only that the next thing to happen is chosen, not drawn.
//
// Members are deterministic, so a state is known by what happened to each member, in order
// (exploration.histories). Orders that differ only in things of different members lead to the
// same state, which is visited once. A member cannot be copied, so a state is reached by doing
// again what led there.
//
// The bound is on delays: the oldest of what may happen next is free, and each time something
// is chosen before it costs one. A crash, a partition and the passing of time cost nothing; time
// passes by one tick, and what is on its way may take longer than that. Links lose nothing but
// what a crash or a partition takes away.

// exploration is the state of one run whose order is chosen.
type exploration struct {
	histories [explored]uint64 // by member: what happened to it
	acting    uint64           // names what is being done
	made      uint64           // occurrences that it led to
	crashed   bool
	cut       bool
	passed    int // times that the clock went on
}

// nameNext names an occurrence by what led to it.
func (x *exploration) nameNext() uint64 {
	x.made++
	return mix(x.acting, x.made)
}

func mix(a, b uint64) uint64 {
	x := (a ^ b*0x9e3779b97f4a7c15) + 0x7f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// explored is how many members are explored.
const explored = 3

// choice is what happens next.
type choice struct {
	kind    choiceKind
	track   track
	name    uint64 // of what happens on the track
	written int    // of a crash: so many of the pending writes are on the disk
}

type choiceKind uint8

const (
	goOn choiceKind = iota // with the first of a track
	crash
	partition
	passTime
)

// scenario is what is explored: who crashes, who is cut off, and the bounds.
type scenario struct {
	crashes, alone int // members; -1: none
	bounds
}

// start makes a cluster that has settled and has just been given two events.
func (s scenario) start() *world {
	w := newWorld(options{members: explored, replication: 2}, 1)
	w.judge.healthy = true
	for _, m := range w.members {
		m.start()
		m.life.perform()
	}
	w.every(gossipEvery, w.gossip)
	w.runFor(1800 * time.Millisecond)
	w.members[0].life.create("trip.*")
	w.runFor(220 * time.Millisecond)
	w.exploring = &exploration{histories: [explored]uint64{1, 2, 3}}
	for _, m := range w.members[:2] {
		w.exploring.acting = w.exploring.histories[m.index]
		w.post(m, "trip.created")
	}
	return w
}

// choices lists what may happen next, the oldest first, then what may go wrong.
func (s scenario) choices(w *world) (choices []choice) {
	waiting := slices.Clone(w.queue)
	slices.SortFunc(waiting, func(a, b occurrence) int { return cmp.Compare(a.order, b.order) })
	seen := make(map[track]bool)
	for _, o := range waiting {
		if o.track.kind == 0 || seen[o.track] || w.members[o.track.to].life == nil {
			continue
		}
		if o.track.kind == onLink && w.links[o.track.from][o.track.to].cut {
			continue
		}
		seen[o.track] = true
		choices = append(choices, choice{kind: goOn, track: o.track, name: o.name})
	}
	x := w.exploring
	if x.passed < s.passes {
		choices = append(choices, choice{kind: passTime})
	}
	if s.crashes >= 0 && !x.crashed {
		choices = append(choices, choice{kind: crash})
		if pending := len(w.members[s.crashes].disk.pending); pending > 0 {
			choices = append(choices, choice{kind: crash, written: pending})
		}
	}
	if s.alone >= 0 && !x.cut {
		choices = append(choices, choice{kind: partition})
	}
	return choices
}

// note changes the histories as a choice does.
func (s scenario) note(x *exploration, c choice) {
	x.made = 0
	switch c.kind {
	case goOn:
		x.happened(c.track.to, c.name)
	case passTime:
		x.passed++
		x.everybody(1)
	case crash:
		x.crashed = true
		x.happened(s.crashes, 2+uint64(c.written)) //nolint:gosec // small
	case partition:
		x.cut = true
		x.everybody(2)
	}
}

// choose has a choice happen.
func (s scenario) choose(w *world, c choice) {
	s.note(w.exploring, c)
	w.draw(w.exploring.acting)
	switch c.kind {
	case goOn:
		o := w.queue.take(c.track)
		o.at = w.now
		w.perform(o)
	case passTime:
		w.passTime(tickEvery)
	case crash:
		w.members[s.crashes].killWith(c.written)
		w.queue = slices.DeleteFunc(w.queue, func(o occurrence) bool { // what it sent and has not arrived
			return o.track.kind == onLink && o.track.from == s.crashes
		})
		heap.Init(&w.queue)
	case partition:
		for n := range w.members {
			w.links[n][s.alone].cut, w.links[s.alone][n].cut = true, true
		}
	}
}

// happened notes something that happens to one member.
func (x *exploration) happened(member int, what uint64) {
	x.histories[member] = mix(x.histories[member], what)
	x.acting = x.histories[member]
}

// everybody notes something that happens to all members.
func (x *exploration) everybody(what uint64) {
	x.acting = what
	for _, h := range x.histories {
		x.acting = mix(x.acting, h)
	}
	for n := range x.histories {
		x.histories[n] = mix(x.acting, uint64(n))
	}
}

// draw makes what is drawn from now on follow from what happened, whatever the path.
func (w *world) draw(history uint64) { w.random = rand.New(rand.NewPCG(history, 0)) } //nolint:gosec // repeatable, not secret

// passTime has what the clock brings in a while happen; what is on tracks waits.
func (w *world) passTime(d time.Duration) {
	end := w.now.Add(d)
	for {
		n := w.queue.first(func(o *occurrence) bool { return o.track.kind == 0 && !o.at.After(end) },
			func(a, b *occurrence) bool { return a.at.Before(b.at) || (a.at.Equal(b.at) && a.order < b.order) })
		if n < 0 {
			break
		}
		w.perform(w.queue.remove(n))
	}
	w.now = end
}

// take removes the oldest occurrence of a track.
func (q *eventQueue) take(t track) occurrence {
	return q.remove(q.first(func(o *occurrence) bool { return o.track == t }, func(a, b *occurrence) bool { return a.order < b.order }))
}

// first finds an occurrence.
func (q *eventQueue) first(fits func(*occurrence) bool, before func(a, b *occurrence) bool) int {
	found := -1
	for n := range *q {
		if o := &(*q)[n]; fits(o) && (found < 0 || before(o, &(*q)[found])) {
			found = n
		}
	}
	return found
}

func (q *eventQueue) remove(n int) occurrence {
	o, _ := heap.Remove(q, n).(occurrence)
	return o
}
