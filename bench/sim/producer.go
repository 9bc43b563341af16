package main

import (
	"fmt"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
)

// topics are what the producers post.
var topics = []string{"trip.created", "trip.terminated", "vehicule.position"}

// produce posts events to members drawn at random, until it is told to stop.
func (w *world) produce() bool {
	if w.judge.quiet {
		return false
	}
	if l := w.anyLife(); l != nil && !l.member.stopped && l.ready() {
		w.post(l.member, topics[w.random.IntN(len(topics))])
	}
	return true
}

// post has a member take an event.
func (w *world) post(m *member, topic string) (event uint32) {
	event = uint32(len(w.events)) //nolint:gosec // a run has some thousand events
	w.events = append(w.events, &engine.Event{ID: eventID(len(w.events)), Topic: topic, AcceptedAt: w.now})
	m.life.accept(event)
	m.life.perform()
	return event
}

// ready tells whether a process takes events.
func (l *life) ready() bool {
	return !l.draining && l.accounts[l.journal] != nil && l.core.Ready() == nil
}

func (w *world) anyLife() *life {
	return w.members[w.random.IntN(len(w.members))].life
}

func eventID(number int) string { return fmt.Sprintf("evt_%d", number) }

// number is the number of an event in the world.
func (w *world) number(e *engine.Event) uint32 {
	var n uint32
	if _, err := fmt.Sscanf(e.ID, "evt_%d", &n); err != nil {
		panic(err)
	}
	return n
}

// change is a change of a subscription that somebody waits for.
type change struct{ version *engine.Subscription }

// edit creates a subscription, or changes or deletes one.
func (w *world) edit() bool {
	if w.judge.quiet {
		return false
	}
	l := w.anyLife()
	if l == nil || l.member.stopped || len(l.seen) == 0 {
		return true
	}
	known := l.liveSubscriptions()
	switch {
	case len(known) < w.options.subscriptions:
		l.create([]match.Pattern{"*", "trip.*", "vehicule.position"}[w.random.IntN(3)])
	case w.chance(0.3):
		version := *known[w.random.IntN(len(known))]
		version.Deleted, version.Enabled = true, false
		l.put(&version)
	}
	return true
}

func (l *life) liveSubscriptions() []*engine.Subscription {
	found, _ := l.table.List(nil, 1<<20, func(*engine.Subscription) bool { return true })
	return found
}

// create makes a subscription to topics with a short schedule.
func (l *life) create(topic match.Pattern) {
	w := l.world
	w.judge.created++
	l.put(&engine.Subscription{
		ID:      engine.SubscriptionID(fmt.Sprintf("sub_%04d", w.judge.created)),
		Tenant:  engine.DefaultTenant,
		URL:     "https://city.example/hooks",
		Topics:  []match.Pattern{topic},
		Enabled: true, Timeout: 30 * time.Second, MaxInFlight: 64, Version: 1,
		Retry: retry.Schedule{MaxRetries: 20, MinDelay: time.Second, MaxDelay: 20 * time.Second},
	})
}

// put has a version put in force on every member.
func (l *life) put(version *engine.Subscription) {
	w := l.world
	version.Version++
	if version.Deleted {
		w.judge.deleting(version.ID)
	}
	token := l.core.PutVersion(w.now, version)
	l.changes[token] = &change{version: version}
	l.perform()
}

// propagated answers a change.
func (l *life) propagated(e protocol.Propagated) {
	c := l.changes[e.Token]
	delete(l.changes, e.Token)
	if c == nil {
		return
	}
	l.world.judge.propagated(l, c.version, e)
}

// endpoint draws how a subscription's endpoint answers now.
func (w *world) endpoint(engine.SubscriptionID) (ok bool, takes time.Duration) {
	switch {
	case w.judge.quiet || w.judge.healthy:
		return true, w.between(time.Millisecond, 20*time.Millisecond)
	case w.chance(0.1):
		return false, w.between(time.Millisecond, 20*time.Millisecond)
	case w.chance(0.01):
		return false, 30 * time.Second
	case w.chance(0.03):
		return true, w.between(time.Second, 10*time.Second)
	}
	return true, w.between(time.Millisecond, 50*time.Millisecond)
}

// owns tells whether this process owns a subscription, as it sees the cluster.
func (l *life) owns(id engine.SubscriptionID) bool { return l.core.Owns(id) }
