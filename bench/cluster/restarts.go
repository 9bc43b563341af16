package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// restartWithin bounds the wait for a member that was restarted.
const restartWithin = 60 * time.Second

// disturbedWithin is as long as it is waited for a whole cluster while another fault keeps it from
// being whole.
const disturbedWithin = 5 * time.Second

// patience is how long to wait for the cluster after doing a step.
func (n *nemesis) patience(a *applied) time.Duration {
	for _, other := range n.applied {
		if other != a && other.begun && !other.ended {
			return disturbedWithin
		}
	}
	return restartWithin
}

// restartAll ends every member with SIGTERM and starts it again, the next when the cluster is
// whole.
func (n *nemesis) restartAll(ctx context.Context, a *applied) {
	gone := 0
	for _, target := range a.targets {
		p := n.group.members[target]
		if !p.answering() || ctx.Err() != nil {
			continue
		}
		did, code, err := p.end(syscall.SIGTERM, stopWithin)
		if n.check(did, err) {
			gone++
		}
		if code != 0 {
			n.problem("member %d ended with status %d after SIGTERM; see %s", target, code, p.log)
		}
		n.check(true, p.start())
		if err := n.group.awaitWhole(ctx, n.client, n.patience(a)); err != nil {
			n.say("after a restart: %v", err)
		}
	}
	a.real = gone > 0
	a.evidence = fmt.Sprintf("%d members ended by SIGTERM", gone)
}

// grow starts the extra members with empty disks.
func (n *nemesis) grow(ctx context.Context, a *applied) {
	for _, target := range a.targets {
		n.check(true, n.group.members[target].start())
	}
	if err := n.group.awaitWhole(ctx, n.client, n.patience(a)); err != nil {
		n.say("after joining: %v", err)
	}
	a.real = true
	a.evidence = fmt.Sprintf("%d members joined", len(a.targets))
}

// shrink has the extra members leave, one after the other, each once the cluster is whole:
// their disks are gone afterwards.
func (n *nemesis) shrink(ctx context.Context) {
	for _, p := range n.group.members[n.group.size:] {
		if !p.running() {
			continue
		}
		if err := n.group.awaitWhole(ctx, n.client, wholeWithin); err != nil {
			n.problem("before member %d leaves: %v", p.number, err)
			return
		}
		_, code, err := p.end(syscall.SIGTERM, stopWithin)
		n.check(true, err)
		if code != 0 {
			n.problem("member %d ended with status %d after SIGTERM; see %s", p.number, code, p.log)
		}
		if err := n.group.awaitWhole(ctx, n.client, wholeWithin); err != nil {
			n.problem("after member %d left: %v", p.number, err)
			return
		}
		n.check(p.lose())
	}
}
