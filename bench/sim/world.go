package main

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"pannier/engine"
)

// epoch is when every run begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is one run: virtual time, what happens next, and everything in it. One seed gives one
// run.
type world struct {
	options options
	seed    uint64
	random  *rand.Rand
	now     time.Time
	queue   eventQueue
	order   uint64
	steps   int

	members []*member
	links   [][]link // from, to
	events  []*engine.Event
	placed  map[engine.EventRef]uint32 // the event at each place of a journal
	judge   *judge
	trace   []string // of the last events, when asked for
	// exploring is set while the order of what happens is chosen (exhaustive.go).
	exploring *exploration
}

// link is one direction between two members.
type link struct {
	cut   bool
	slow  time.Duration
	loss  float64
	until time.Time // of the fault
}

func newWorld(o options, seed uint64) *world {
	w := &world{options: o, seed: seed, random: rand.New(rand.NewPCG(seed, 0x70616e6e696572)), now: epoch, placed: make(map[engine.EventRef]uint32)} //nolint:gosec // repeatable, not secret
	w.judge = newJudge(w)
	for n := range o.members {
		w.members = append(w.members, newMember(w, n))
	}
	w.links = make([][]link, o.members)
	for n := range w.links {
		w.links[n] = make([]link, o.members)
	}
	return w
}

// track is what keeps occurrences in order that may otherwise come at any time: a link, the disk
// of a member, one attempt. The zero track is the clock.
type track struct {
	kind trackKind
	from int
	to   int // the member to which it happens
}

type trackKind uint8

const (
	onLink trackKind = iota + 1
	onDisk
	onReading
	onAttempt
)

// after has something happen later, by the clock.
func (w *world) after(d time.Duration, do func()) { w.on(track{}, d, do) }

// on has something happen later, on a track.
func (w *world) on(t track, d time.Duration, do func()) {
	w.order++
	o := occurrence{at: w.now.Add(d), order: w.order, track: t, do: do}
	if w.exploring != nil {
		o.name = w.exploring.nameNext()
	}
	heap.Push(&w.queue, o)
}

// every has something happen again and again until it says no.
func (w *world) every(d time.Duration, do func() bool) {
	w.after(d, func() {
		if do() {
			w.every(d, do)
		}
	})
}

// between draws a duration.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.random.Int64N(int64(high-low)+1))
}

// chance is true with a probability.
func (w *world) chance(p float64) bool { return w.random.Float64() < p }

// runFor lets time pass; it ends early when the judge has found something.
func (w *world) runFor(d time.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) && w.judge.verdict == nil {
		o, _ := heap.Pop(&w.queue).(occurrence)
		w.perform(o)
	}
	if w.judge.verdict == nil {
		w.now = end
	}
}

// perform has something happen. The clock never goes back: what was late happens now.
func (w *world) perform(o occurrence) {
	if o.at.After(w.now) {
		w.now = o.at
	}
	w.steps++
	o.do()
}

// note keeps a line of what happened, when a trace was asked for.
func (w *world) note(format string, args ...any) {
	if w.options.trace {
		w.trace = append(w.trace, fmt.Sprintf("%10.3f ", w.now.Sub(epoch).Seconds())+fmt.Sprintf(format, args...)+"\n")
	}
}

// occurrence is something that happens.
type occurrence struct {
	at    time.Time
	order uint64
	track track
	name  uint64 // while exploring
	do    func()
}

// eventQueue is a container/heap by time, then by the order in which things were decided.
type eventQueue []occurrence

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].order < q[j].order
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *eventQueue) Push(x any) {
	o, _ := x.(occurrence)
	*q = append(*q, o)
}

func (q *eventQueue) Pop() any {
	old := *q
	o := old[len(old)-1]
	old[len(old)-1] = occurrence{}
	*q = old[:len(old)-1]
	return o
}
