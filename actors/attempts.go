package actors

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"pannier/engine"
	"pannier/engine/delivery"
)

const (
	// maxAttempts bounds the attempts under way on this member.
	maxAttempts = 8192
	// workerIdle is how long a worker without work lives on.
	workerIdle = 10 * time.Second
)

// attempts is the sender pool: attempts run on its workers, never on an actor's goroutine,
// and their ends come back as messages. An attempt for which there is no place (see share)
// waits here without holding a worker. Safe for concurrent use.
type attempts struct {
	system *System
	work   chan attemptJob

	mu      sync.Mutex
	running int // over all lanes
	shares  map[shareKey]*share
	turn    uint64
	workers sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
}

type attemptJob struct {
	shareKey

	attempt delivery.Attempt
}

// attemptEnded comes back to the subscription actor.
type attemptEnded struct {
	key     engine.DeliveryKey
	number  int
	started time.Time
	event   *engine.Event
	result  engine.Result
	over    bool // it was not made: its retry record is gone
}

func newAttempts(s *System) *attempts {
	ctx, cancel := context.WithCancel(context.Background())
	return &attempts{system: s, work: make(chan attemptJob), shares: make(map[shareKey]*share), ctx: ctx, cancel: cancel}
}

// submit starts an attempt, or keeps it until there is a place for it.
func (p *attempts) submit(job attemptJob) {
	p.mu.Lock()
	s := p.share(job.shareKey)
	if len(s.delayed) > 0 || !p.mayStart(s) {
		p.delay(s, job)
		p.mu.Unlock()
		return
	}
	p.begin(s)
	p.mu.Unlock()
	p.start(job)
}

func (p *attempts) start(job attemptJob) {
	select {
	case p.work <- job:
	default:
		if !p.hire(job) {
			p.run(job) // it only says that it was interrupted
		}
	}
}

// hire begins a worker, unless interrupt waits for those there are.
func (p *attempts) hire(job attemptJob) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.workers.Add(1)
	go p.worker(job)
	return true
}

// worker runs attempts until it has been idle for a while: a kept goroutine keeps its
// grown stack.
func (p *attempts) worker(job attemptJob) {
	defer p.workers.Done()
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		if next, more := p.next(job, p.run(job)); more {
			job = next
			continue
		}
		idle.Reset(workerIdle)
		select {
		case job = <-p.work:
		case <-idle.C:
			return
		case <-p.ctx.Done():
			return
		}
	}
}

// next gives the place of a job back and takes a job that waited for it; what else may
// start now does so on other workers.
func (p *attempts) next(ended attemptJob, outcome engine.Outcome) (attemptJob, bool) {
	p.mu.Lock()
	full := p.running == maxAttempts
	p.end(ended.shareKey, outcome)
	var jobs []attemptJob
	if full || len(ended.lane.line) > 0 {
		jobs = p.takeAllDelayed(ended.lane, full)
	}
	p.mu.Unlock()
	if len(jobs) == 0 {
		return attemptJob{}, false
	}
	for _, job := range jobs[1:] {
		p.start(job)
	}
	return jobs[0], true
}

// run makes an attempt, if it is still to be made, and tells the subscription how it ended.
func (p *attempts) run(job attemptJob) engine.Outcome {
	end := p.attempt(job)
	job.entry.send(end)
	return end.result.Outcome
}

func (p *attempts) attempt(job attemptJob) attemptEnded {
	end := attemptEnded{
		key: job.attempt.Key, number: job.attempt.Number, started: p.system.clock(),
		event: job.attempt.Event, result: engine.Result{Outcome: engine.OutcomeInterrupted},
	}
	version := p.system.table.Latest(job.entry.handle)
	if p.ctx.Err() != nil || version.Deleted || !p.system.owns(job.entry.id) {
		return end // no attempt starts after the deletion was answered, nor beside another owner's
	}
	if end.event == nil {
		if end.event, end.over = p.system.fetch(p.ctx, job.attempt.Record); end.over || p.ctx.Err() != nil {
			return end
		}
	}
	if end.event == nil {
		end.result = engine.Result{Outcome: engine.OutcomeFailure, Error: "the event's body is gone"}
		return end
	}
	end.result = p.system.sender.Send(p.ctx, &engine.SendRequest{
		Event: end.event, Subscription: version, Number: job.attempt.Number, Lane: job.lane.name,
	})
	return end
}

// inLane counts the attempts under way of a lane.
func (p *attempts) inLane(lane *ingress) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return lane.attempting
}

// idle tells that no attempt is under way.
func (p *attempts) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running == 0
}

// interrupt cuts off what is under way and waits for the workers.
func (p *attempts) interrupt() {
	p.mu.Lock()
	p.cancel() // under the lock: no worker begins from here on
	var waiting []attemptJob
	for _, s := range p.shares {
		waiting = append(waiting, s.delayed...)
		s.delayed = nil
		if s.place >= 0 {
			heap.Remove(&s.lane.line, s.place)
		}
	}
	p.mu.Unlock()
	for _, job := range waiting {
		job.entry.send(attemptEnded{
			key: job.attempt.Key, event: job.attempt.Event, result: engine.Result{Outcome: engine.OutcomeInterrupted},
		})
	}
	p.workers.Wait()
}
