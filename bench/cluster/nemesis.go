package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"pannier/bench/history"
)

// happened is a fault that was seen to happen.
type happened struct {
	kind     kind
	from, to time.Duration // of the round
	evidence string
	// streams are the names of the steady subscriptions that the member owned which was killed.
	streams []string
}

// nemesis does what a plan says. It runs in one goroutine; unsure and faults may be called by
// others.
type nemesis struct {
	*round
	random  *rand.Rand
	applied []*applied

	doubt atomic.Bool
	mu    sync.Mutex
	done  []happened
}

// applied is a step that has begun.
type applied struct {
	step
	id    string
	begun bool // there is something to end
	ended bool
	real  bool // it was seen to happen
	happened
}

// unsure tells whether members may not have heard each other since the cluster was whole: what
// one answers another may not know yet.
func (n *nemesis) unsure() bool { return n.doubt.Load() }

// sure is called when the cluster is whole.
func (n *nemesis) sure() { n.doubt.Store(false) }

// faults are those that happened so far.
func (n *nemesis) faults() []happened {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.done)
}

// action is the beginning or the end of a step.
type action struct {
	at  time.Duration
	end bool
	*applied
}

// strike does every step of a plan, and ends what it began even when ctx ends.
func (n *nemesis) strike(ctx context.Context, p plan) {
	var actions []action
	for i := range p.steps {
		a := &applied{step: p.steps[i], id: fmt.Sprintf("r%ds%d", p.round, i)}
		a.happened.kind = a.step.kind
		n.applied = append(n.applied, a)
		actions = append(actions, action{a.at, false, a}, action{a.end(), true, a})
	}
	slices.SortStableFunc(actions, func(a, b action) int { return cmp.Compare(a.at, b.at) })
	began := time.Now()
	for _, next := range actions {
		pause(ctx, time.Until(began.Add(next.at)))
		if next.end {
			if next.begun {
				n.finish(next.applied)
				next.ended = true
			}
		} else if ctx.Err() == nil {
			n.begin(ctx, next.applied)
		}
	}
	n.conclude()
}

// conclude writes down what happened, the parts of one fault together.
func (n *nemesis) conclude() {
	byFault := make(map[int]*happened)
	var order []int
	for _, a := range n.applied {
		if !a.real {
			continue
		}
		h := byFault[a.fault]
		if h == nil {
			byFault[a.fault] = &a.happened
			order = append(order, a.fault)
			continue
		}
		h.from, h.to = min(h.from, a.from), max(h.to, a.to)
		h.evidence += ", " + a.evidence
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, fault := range order {
		h := byFault[fault]
		n.done = append(n.done, *h)
		n.log.Add(history.Record{
			At: n.log.Now(), Role: "fault", Proc: "nemesis", Type: history.Caused, Op: history.OpKill,
			Fault: &history.Fault{Target: string(h.kind) + ": " + h.evidence, From: h.from, To: h.to},
		})
	}
}

func (n *nemesis) begin(ctx context.Context, a *applied) {
	a.from = n.log.Now()
	a.to = a.from
	a.begun = true
	switch a.step.kind {
	case killOne:
		a.streams = n.ownedBy(ctx, a.targets[0])
		a.from = n.log.Now()
		n.killed(a, a.targets)
	case killAll:
		n.killed(a, a.targets)
	case diskLost:
		n.loseDisk(a)
	case diskDamaged:
		n.damageDisk(a)
	case diskStale:
		a.begun = n.check(n.group.members[a.targets[0]].copyDisk())
	case stopped:
		n.doubt.Store(true)
		a.real = n.group.members[a.targets[0]].freeze()
		n.admin.hurry.Store(true)
		a.evidence = fmt.Sprintf("member %d in state T", a.targets[0])
	case rolling:
		n.restartAll(ctx, a)
	case scale:
		n.grow(ctx, a)
	default:
		n.doubt.Store(true)
		if err := n.group.net.cut(ctx, a.id, a.links); err != nil {
			n.problem("cut links: %v", err)
			return
		}
		a.real = true // until its counters say otherwise
	}
	a.to = n.log.Now()
	n.say("%v: %s begins %v", a.from.Round(time.Millisecond), a.step.kind, a.targets)
}

// finish ends a step; it does not look at any context: what was cut is restored.
func (n *nemesis) finish(a *applied) {
	switch a.step.kind {
	case killOne, killAll, diskLost, diskDamaged:
		targets := slices.Clone(a.targets)
		n.random.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		for _, target := range targets {
			n.check(true, n.group.members[target].start())
		}
		a.to = n.log.Now()
	case diskStale:
		n.swapDisk(a)
	case cutLost:
		n.loseDisk(a)
		lost := a.evidence
		n.restore(a)
		a.evidence = lost + ", " + a.evidence
		n.check(true, n.group.members[a.targets[0]].start())
	case stopped:
		n.group.members[a.targets[0]].thaw()
		a.to = n.log.Now()
		a.evidence += " for " + (a.to - a.from).Round(time.Millisecond).String()
	case rolling, scale: // whoever joined leaves when the cluster is whole
	default:
		n.restore(a)
	}
	n.say("%v: %s ends", n.log.Now().Round(time.Millisecond), a.step.kind)
}

// check notes an error and passes the fact on.
func (n *nemesis) check(did bool, err error) bool {
	if err != nil {
		n.problem("%v", err)
	}
	return did && err == nil
}

// killed ends members with SIGKILL; at once where they are several.
func (n *nemesis) killed(a *applied, targets []int) {
	var gone atomic.Int64
	var ending sync.WaitGroup
	for _, target := range targets {
		ending.Go(func() {
			if n.check(n.group.members[target].kill()) {
				gone.Add(1)
			}
		})
	}
	ending.Wait()
	a.real = gone.Load() > 0
	a.evidence = fmt.Sprintf("%d of %v gone by SIGKILL", gone.Load(), targets)
}

func (n *nemesis) loseDisk(a *applied) {
	p := n.group.members[a.targets[0]]
	n.check(p.kill())
	a.real = n.check(p.lose())
	a.evidence = fmt.Sprintf("member %d killed, its folder removed", p.number)
}

func (n *nemesis) damageDisk(a *applied) {
	p := n.group.members[a.targets[0]]
	n.check(p.kill())
	spoiled, err := p.spoil(n.random)
	a.real = n.check(spoiled > 0, err)
	a.evidence = fmt.Sprintf("member %d killed, %d bytes of its journals spoiled", p.number, spoiled)
}

// swapDisk is the end of a disk that became stale: the process ends, the older copy takes its
// place.
func (n *nemesis) swapDisk(a *applied) {
	p := n.group.members[a.targets[0]]
	age := n.log.Now() - a.from
	a.from = n.log.Now()
	n.check(p.kill())
	if a.real = n.check(true, p.swapDisk()); a.real {
		a.evidence = fmt.Sprintf("member %d killed, back with a disk %v old", p.number, age.Round(time.Second))
	}
	n.check(true, p.start())
	a.to = n.log.Now()
}

func (n *nemesis) restore(a *applied) {
	if !a.real {
		return
	}
	ctx := context.Background() // what was cut is restored when a run is interrupted, too
	dropped, err := n.group.net.restore(ctx, a.id, a.links)
	a.to = n.log.Now()
	a.real = n.check(dropped > 0, err)
	a.evidence = strconv.Itoa(dropped) + " packets dropped on " + strconv.Itoa(len(a.links)) + " links"
}

// ownedBy lists the steady subscriptions that a member owns.
func (n *nemesis) ownedBy(ctx context.Context, member int) (names []string) {
	var v view
	if !n.group.members[member].answering() || n.client.get(ctx, n.group.net.host(member), "/v1/cluster", &v) != nil {
		return nil
	}
	id := v.at(n.group.net.host(member))
	for _, s := range n.admin.standing {
		var row struct{ Owner string }
		if n.client.get(ctx, n.group.net.host(member), subscriptionsPath+"/"+s.id, &row) == nil && row.Owner == id {
			names = append(names, s.name)
		}
	}
	return names
}
