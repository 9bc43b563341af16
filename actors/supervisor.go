package actors

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"pannier/engine"
)

const (
	// sweepInterval is how often a supervisor looks for idle subscriptions.
	sweepInterval = 10 * time.Second
	// crashesToQuarantine is how often one delivery may crash its subscription's actor before
	// it becomes a dead letter with reason quarantined.
	crashesToQuarantine = 3
	firstRestartDelay   = 100 * time.Millisecond
	maxRestartDelay     = 30 * time.Second
)

type (
	// activate asks a supervisor for the actor of an entry.
	activate struct{ entry *entry }
	sweep    struct{}
	// retire asks an idle actor to stop itself.
	retire struct{}
)

// supervisor starts, restarts and retires the actors of a share of the subscriptions.
type supervisor struct {
	system   *System
	children map[string]*entry // by PID
	failures map[string]int    // in a row, by PID
	spawned  int
}

func newSupervisor(s *System) *supervisor {
	return &supervisor{system: s, children: make(map[string]*entry), failures: make(map[string]int)}
}

// Receive implements actor.Actor.
func (s *supervisor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case activate:
		s.spawn(ctx, m.entry)
	case *actor.Terminated:
		e := s.children[m.Who.Id]
		delete(s.children, m.Who.Id)
		delete(s.failures, m.Who.Id)
		if e != nil && e.stopped() {
			s.spawn(ctx, e)
		}
	case sweep:
		for _, e := range s.children {
			e.system.root.Send(ctx.Self(), sweepOne{e})
		}
	case sweepOne:
		if m.entry.idleSince(s.system.clock()) >= sweepInterval {
			m.entry.retire()
		}
	}
}

// sweepOne spreads a sweep over the supervisor's other messages.
type sweepOne struct{ entry *entry }

func (s *supervisor) spawn(ctx actor.Context, e *entry) {
	mailbox := &batchMailbox{}
	props := actor.PropsFromProducer(
		func() actor.Actor { return newSubscriptionActor(s.system, e, mailbox) },
		actor.WithMailbox(func() actor.Mailbox { return mailbox }),
	)
	s.spawned++
	pid, err := ctx.SpawnNamed(props, string(e.id)+"-"+strconv.Itoa(s.spawned))
	if err != nil {
		panic(fmt.Errorf("start the actor of %s: %w", e.id, err)) // the name is ours alone
	}
	s.children[pid.Id] = e
	e.started(pid)
}

// HandleFailure implements actor.SupervisorStrategy: the actor starts anew from what is
// durable, after a delay that grows; a delivery that crashes it again and again is
// quarantined, the subscription never is.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	e := s.children[child.Id]
	if e == nil {
		return
	}
	s.failures[child.Id]++
	delay := min(firstRestartDelay<<min(s.failures[child.Id]-1, 16), maxRestartDelay)
	attrs := []any{
		slog.String("subscription", string(e.id)), slog.Duration("delay", delay),
		slog.Any("reason", reason), slog.String("stack", string(debug.Stack())),
	}
	if key, known := e.blame(); known {
		attrs = append(attrs, slog.String("event", engine.EventID(key.Event)))
	}
	s.system.logger.Error("subscription actor crashed and will be restarted", attrs...)
	time.AfterFunc(delay, func() { sup.RestartChildren(child) })
}

// blame counts the crash for the delivery that was being settled.
func (e *entry) blame() (engine.DeliveryKey, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine == nil {
		return engine.DeliveryKey{}, false
	}
	key, known := e.machine.Handling()
	if known {
		if e.crashes == nil {
			e.crashes = make(map[engine.EventRef]int)
		}
		e.crashes[key.Event]++
	}
	return key, known
}

// quarantined are the events that crashed the actor too often.
func (e *entry) quarantined() map[engine.EventRef]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	var events map[engine.EventRef]bool
	for ref, n := range e.crashes {
		if n >= crashesToQuarantine {
			if events == nil {
				events = make(map[engine.EventRef]bool)
			}
			events[ref] = true
		}
	}
	return events
}
