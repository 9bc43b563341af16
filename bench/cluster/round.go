package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"pannier/bench/history"
)

const (
	// calm is how long a round is under load before its first and after its last fault.
	calm = 4 * time.Second
	// wholeWithin bounds the time from healing until the cluster is whole.
	wholeWithin = 2 * time.Minute
	// settleWithin bounds the wait for the last delivery from when the last one ended, and
	// settleMost the whole of it.
	settleWithin = 40 * time.Second
	settleMost   = 4 * time.Minute
	// quietLooks in a row must find nothing pending.
	quietLooks = 8
)

// round is one round under way: a history of its own, with subscriptions of its own.
type round struct {
	seed       uint64
	prefix     string // of every name in it
	plan       plan
	log        *history.Log
	group      *group
	client     *client
	receivers  *receivers
	nemesis    *nemesis
	admin      *admin
	producer   *producer
	operations int
	progress   io.Writer
	loaded     time.Duration // until when events were posted
	listed     bool          // see claimed

	mu       sync.Mutex
	posted   map[string]accepted
	ids      map[string]string // and as what
	again    map[string]bool   // events that were sent again after a call without an answer
	problems []string          // beside what the judge finds
}

// accepted is an event that a member answered 202.
type accepted struct {
	topic    string
	member   int
	from, to time.Duration // asked, answered
}

// newRound prepares a round whose history is a file in dir.
func (t *trial) newRound(p plan) (*round, error) {
	log, err := history.Create(filepath.Join(t.dir, fmt.Sprintf("round-%d.jsonl", p.round)))
	if err != nil {
		return nil, err
	}
	r := &round{
		seed: t.options.seed, prefix: "r" + strconv.Itoa(p.round) + "-", plan: p, log: log, group: t.group,
		client: t.client, receivers: t.receivers, progress: t.progress, posted: make(map[string]accepted), ids: make(map[string]string), again: make(map[string]bool),
	}
	r.listed = t.options.listed
	r.nemesis = &nemesis{round: r, random: newRandom(r.seed, "nemesis", r.prefix)}
	r.admin = &admin{round: r, random: newRandom(r.seed, "admin", r.prefix)}
	r.producer = &producer{round: r, rate: t.options.rate}
	return r, nil
}

func (r *round) say(format string, args ...any) {
	if r.progress != nil {
		_, _ = fmt.Fprintf(r.progress, "  "+format+"\n", args...)
	}
}

// maxProblems bounds what is remembered of a round that goes wrong.
const maxProblems = 20

// problem notes something that must not happen.
func (r *round) problem(format string, args ...any) {
	words := fmt.Sprintf(format, args...)
	r.say("problem: %s", words)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, words)
	}
}

func (r *round) answered(ref, id string, a accepted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posted[ref], r.ids[ref] = a, id
}

func (r *round) sentAgain(ref string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again[ref] = true
}

// run makes the round and gives what was found; an error means that there is no verdict.
func (r *round) run(ctx context.Context) (*verdict, error) {
	if err := r.group.awaitWhole(ctx, r.client, wholeWithin); err != nil {
		return nil, fmt.Errorf("before round %d: %w", r.plan.round, err)
	}
	r.receivers.begin(r.log, r.prefix)
	if !r.admin.prepare(ctx) {
		return nil, fmt.Errorf("round %d: %s", r.plan.round, r.problems[0])
	}
	r.underLoad(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.admin.enable(ctx)
	pending := r.settle(ctx)
	if pending != "" {
		r.problem("not settled: %s; %s", pending, r.pending(ctx))
	}
	for _, words := range r.group.failures() {
		r.problem("%s", words)
	}
	r.read(ctx)
	v, err := r.judge(ctx)
	if err != nil {
		return nil, err
	}
	if v.ok() {
		r.admin.clear(ctx) // what is broken stays to be looked at
	}
	r.explain(ctx, v.broken)
	return v, nil
}

// underLoad posts and changes while faults happen, and goes on until the cluster is whole again.
func (r *round) underLoad(ctx context.Context) {
	loaded, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() { r.producer.work(loaded) })
	working.Go(func() { r.admin.work(loaded) })
	if pause(ctx, calm) {
		r.nemesis.strike(ctx, r.plan)
		r.heal(ctx)
		pause(ctx, calm)
	}
	r.loaded = r.log.Now()
	stop()
	working.Wait()
	r.admin.settled()
}

// heal brings every member back and waits until they know each other. Links are restored by
// their steps already.
func (r *round) heal(ctx context.Context) {
	if err := r.group.start(); err != nil {
		r.problem("%v", err)
	}
	began := time.Now()
	if err := r.group.awaitWhole(ctx, r.client, wholeWithin); err != nil {
		r.problem("%v", err)
		return
	}
	r.say("%v: whole %v after healing", r.log.Now().Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	r.nemesis.shrink(ctx)
	r.nemesis.sure()
}

// settle waits until nothing is pending anywhere, as long as it becomes less; pending says what
// was left.
func (r *round) settle(ctx context.Context) (pending string) {
	least, quiet := uint64(math.MaxUint64), 0
	end, last := time.Now().Add(settleWithin), time.Now().Add(settleMost)
	for now := time.Now(); now.Before(end) && now.Before(last); now = time.Now() {
		reason, backlog := r.group.whole(ctx, r.client)
		switch {
		case reason != "":
			pending, quiet = reason, 0
		case backlog != 0:
			pending, quiet = fmt.Sprintf("%d deliveries are pending", backlog), 0
			if backlog < least {
				least, end = backlog, now.Add(settleWithin)
			}
		default:
			if quiet++; quiet == quietLooks {
				return ""
			}
		}
		if !pause(ctx, lookEvery) {
			return "interrupted"
		}
	}
	return pending
}
