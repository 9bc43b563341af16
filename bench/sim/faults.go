package main

import (
	"slices"
	"time"

	"pannier/cluster/placement"
)

// fault is something that goes wrong; it tells whether it could.
type fault struct {
	name string
	do   func(w *world) bool
}

// faults are what is drawn from.
var faults = []fault{
	{"kill", (*world).killOne},
	{"kill all", (*world).killAll},
	{"pause", (*world).pauseOne},
	{"halves", (*world).halves},
	{"isolate", (*world).isolate},
	{"one way", (*world).oneWay},
	{"ring", (*world).ring},
	{"swizzle", (*world).swizzle},
	{"bad link", (*world).badLink},
	{"disk lost", (*world).loseDisk},
	{"disk damaged", (*world).damageDisk},
	{diskStale, (*world).backUp},
	{"drain", (*world).drainOne},
}

// misfortune draws a fault now and then.
func (w *world) misfortune() {
	if w.judge.quiet {
		return
	}
	f := faults[w.random.IntN(len(faults))]
	if wanted := w.options.fault; wanted != "" {
		f = faults[slices.Index(faultNames(), wanted)]
	}
	if f.do(w) {
		w.happened(f.name)
	}
	w.after(w.between(500*time.Millisecond, 15*time.Second), w.misfortune)
}

// happened counts a fault.
func (w *world) happened(name string) {
	w.note("fault: %s", name)
	w.judge.faults[name]++
	w.judge.last = name
}

// noFault stands for the time before the first fault.
const noFault = "(none)"

func faultNames() (names []string) {
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

func (w *world) one() *member { return w.members[w.random.IntN(len(w.members))] }

func (w *world) killOne() bool {
	m := w.one()
	if m.life == nil {
		return false
	}
	m.kill()
	w.startLater(m, w.between(100*time.Millisecond, 30*time.Second))
	return true
}

// startLater starts the process again, unless something else has.
func (w *world) startLater(m *member, d time.Duration) {
	w.after(d, func() {
		if m.life == nil {
			m.start()
			m.life.perform()
		}
	})
}

func (w *world) killAll() bool {
	for _, m := range w.members {
		m.kill()
		w.startLater(m, w.between(100*time.Millisecond, 40*time.Second))
	}
	return true
}

func (w *world) pauseOne() bool {
	m := w.one()
	if m.life == nil || m.stopped {
		return false
	}
	m.pause(w.between(100*time.Millisecond, time.Minute))
	return true
}

// cut cuts links for a while, and tells whether there were any to cut.
func (w *world) cut(d time.Duration, when func(from, to int) bool) (some bool) {
	for from := range w.links {
		for to := range w.links[from] {
			if from != to && when(from, to) {
				w.cutLink(from, to, d)
				some = true
			}
		}
	}
	return some
}

func (w *world) cutLink(from, to int, d time.Duration) {
	l := &w.links[from][to]
	l.cut, l.until = true, w.now.Add(d)
	w.after(d, func() {
		if !w.now.Before(l.until) {
			l.cut = false
		}
	})
}

func (w *world) outage() time.Duration { return w.between(200*time.Millisecond, 20*time.Second) }

func (w *world) halves() bool {
	side := make([]bool, len(w.members))
	for n := range side {
		side[n] = w.chance(0.5)
	}
	return w.cut(w.outage(), func(from, to int) bool { return side[from] != side[to] })
}

func (w *world) isolate() bool {
	alone := w.random.IntN(len(w.members))
	return w.cut(w.outage(), func(from, to int) bool { return from == alone || to == alone })
}

func (w *world) oneWay() bool {
	a, b := w.random.IntN(len(w.members)), w.random.IntN(len(w.members))
	return a != b && w.cut(w.outage(), func(from, to int) bool { return from == a && to == b })
}

func (w *world) ring() bool {
	n := len(w.members)
	return w.cut(w.outage(), func(from, to int) bool { return (from+1)%n != to && (to+1)%n != from })
}

// swizzle cuts a member's links one after the other and heals them in another order.
func (w *world) swizzle() bool {
	m := w.random.IntN(len(w.members))
	for to := range w.members {
		if to != m {
			w.after(w.between(0, 3*time.Second), func() { w.cutLink(m, to, w.between(time.Second, 10*time.Second)) })
			w.after(w.between(0, 3*time.Second), func() { w.cutLink(to, m, w.between(time.Second, 10*time.Second)) })
		}
	}
	return true
}

func (w *world) badLink() bool {
	from, to := w.random.IntN(len(w.members)), w.random.IntN(len(w.members))
	l := &w.links[from][to]
	l.loss, l.slow = w.random.Float64()/2, w.between(0, 300*time.Millisecond)
	w.after(w.outage(), func() { l.loss, l.slow = 0, 0 })
	return from != to
}

// whole tells whether the cluster has what it needs to lose disks: every member active and seen
// by all, and nothing under-replicated.
func (w *world) whole() bool {
	for _, m := range w.members {
		if m.life == nil || m.stopped || m.life.self.State != placement.Active || len(m.life.seen) != len(w.members) ||
			m.life.core.UnderReplicated() > 0 {
			return false
		}
		for _, other := range w.members {
			if m != other && (!w.hears(m, other) || !m.life.sees(other)) {
				return false
			}
		}
	}
	return true
}

// loseDisk ends up to one member fewer than the replication asks for, with their disks.
func (w *world) loseDisk() bool {
	if w.options.replication < 2 || !w.whole() {
		return false
	}
	for _, n := range w.random.Perm(len(w.members))[:1+w.random.IntN(w.options.replication-1)] {
		m := w.members[n]
		m.kill()
		m.disk = &disk{world: w, index: n, content: newContent()}
		m.known = make(map[placement.MemberID]bool)
		w.judge.disksLost = append(w.judge.disksLost, w.now)
		w.startLater(m, w.between(100*time.Millisecond, 40*time.Second))
	}
	return true
}

// damageDisk ends a member, and some records of the journals on its disk cannot be read after.
func (w *world) damageDisk() bool {
	if w.options.replication < 2 || !w.whole() {
		return false
	}
	m := w.one()
	m.kill()
	for _, id := range sortedJournals(m.disk.content.journals) {
		j := m.disk.content.journals[id]
		j.records = slices.Clone(j.records) // other disks may share them
		for n := range j.records {
			j.records[n].damaged = j.records[n].damaged || w.chance(0.1)
		}
	}
	w.judge.disksLost = append(w.judge.disksLost, w.now)
	w.startLater(m, w.between(100*time.Millisecond, 20*time.Second))
	return true
}

// diskStale is the fault that a backup leads to.
const diskStale = "disk stale"

// backUp copies a disk, and has its member come back with that disk a while later, if nothing
// else is wrong then. The copying itself is no fault.
func (w *world) backUp() bool {
	if w.options.replication < 2 || !w.whole() {
		return false
	}
	m := w.one()
	before := m.disk.content.clone()
	w.after(w.between(time.Second, 20*time.Second), func() {
		if w.judge.quiet || m.life == nil || !w.whole() {
			return
		}
		w.happened(diskStale)
		m.kill()
		m.disk = &disk{world: w, index: m.index, content: before}
		w.judge.disksLost = append(w.judge.disksLost, w.now)
		w.startLater(m, w.between(100*time.Millisecond, 20*time.Second))
	})
	return false
}

// drainOne stops a member as SIGTERM does, and starts it again.
func (w *world) drainOne() bool {
	m := w.one()
	if m.life == nil || m.stopped || m.life.draining || m.life.self.State != placement.Active {
		return false
	}
	m.life.drain()
	return true
}

// drain hands everything on, waits until nothing is left or 20 s have passed, and ends.
func (l *life) drain() {
	w := l.world
	l.draining = true
	l.become(placement.Draining)
	l.perform()
	deadline := w.now.Add(20 * time.Second)
	w.every(100*time.Millisecond, l.while(func() {
		if l.member.life != l {
			return
		}
		a := l.accounts[l.journal]
		if w.now.Before(deadline) && (len(l.subs) > 0 || (a != nil && a.ledger.Watermark() < l.next) || l.core.OwesAnswers()) {
			return
		}
		l.checkpoint()
		l.disk.do(func(*content) {}, func() {
			if l.member.life == l {
				l.member.kill()
				w.startLater(l.member, w.between(100*time.Millisecond, 5*time.Second))
			}
		})
	}))
}

// heal ends every fault and starts every process.
func (w *world) heal() {
	w.judge.quiet, w.judge.quietAt = true, w.now
	for from := range w.links {
		for to := range w.links[from] {
			w.links[from][to] = link{}
		}
	}
	for _, m := range w.members {
		if m.life == nil {
			w.startLater(m, w.between(0, time.Second))
		}
	}
}
