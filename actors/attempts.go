package actors

import (
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
// and their ends come back as messages. A lane that is at its cap makes its attempts wait
// here, in order, without holding a worker. Safe for concurrent use.
type attempts struct {
	system *System
	work   chan attemptJob

	mu      sync.Mutex
	running int // over all lanes
	waiting []attemptJob
	workers sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
}

type attemptJob struct {
	entry   *entry
	lane    *ingress // of the event
	attempt delivery.Attempt
}

// attemptEnded comes back to the subscription actor.
type attemptEnded struct {
	key    engine.DeliveryKey
	event  *engine.Event
	result engine.Result
}

func newAttempts(s *System) *attempts {
	ctx, cancel := context.WithCancel(context.Background())
	return &attempts{system: s, work: make(chan attemptJob), ctx: ctx, cancel: cancel}
}

// submit starts an attempt, or keeps it until its lane has room.
func (p *attempts) submit(job attemptJob) {
	p.mu.Lock()
	if p.running >= maxAttempts {
		p.waiting = append(p.waiting, job)
		p.mu.Unlock()
		return
	}
	if job.lane.attempting >= job.lane.maxInFlight {
		job.lane.delayed = append(job.lane.delayed, job)
		p.mu.Unlock()
		return
	}
	p.beginLocked(job)
	p.mu.Unlock()
	p.start(job)
}

func (p *attempts) beginLocked(job attemptJob) {
	p.running++
	job.lane.attempting++
}

func (p *attempts) start(job attemptJob) {
	select {
	case p.work <- job:
	default:
		p.workers.Add(1)
		go p.worker(job)
	}
}

// worker runs attempts until it has been idle for a while: a kept goroutine keeps its
// grown stack.
func (p *attempts) worker(job attemptJob) {
	defer p.workers.Done()
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		p.run(job)
		if next, more := p.next(job); more {
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

// next ends a job's share of the caps and takes a job that waited for it.
func (p *attempts) next(ended attemptJob) (attemptJob, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	lane := ended.lane
	lane.attempting--
	if len(lane.delayed) > 0 && lane.attempting < lane.maxInFlight {
		job := lane.delayed[0]
		lane.delayed[0] = attemptJob{}
		lane.delayed = lane.delayed[1:]
		p.beginLocked(job)
		return job, true
	}
	for i, job := range p.waiting {
		if job.lane.attempting < job.lane.maxInFlight {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			p.beginLocked(job)
			return job, true
		}
	}
	return attemptJob{}, false
}

func (p *attempts) run(job attemptJob) {
	ended := attemptEnded{key: job.attempt.Key, event: job.attempt.Event}
	defer func() { job.entry.send(ended) }()
	ended.result = engine.Result{Outcome: engine.OutcomeInterrupted}
	if p.ctx.Err() != nil {
		return
	}
	version := p.system.table.Latest(job.entry.handle)
	if version.Deleted {
		return // no attempt starts after the deletion was answered
	}
	if ended.event == nil {
		ended.event = p.system.fetch(p.ctx, job.attempt.Record)
		if ended.event == nil {
			ended.result = engine.Result{Outcome: engine.OutcomeFailure, Error: "the event's body is gone"}
			return
		}
	}
	ended.result = p.system.sender.Send(p.ctx, &engine.SendRequest{
		Event: ended.event, Subscription: version, Number: job.attempt.Number, Lane: job.lane.name,
	})
}

// inLane counts the attempts under way of a lane.
func (p *attempts) inLane(lane *ingress) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return lane.attempting
}

// interrupt cuts off what is under way and waits for the workers.
func (p *attempts) interrupt() {
	p.cancel()
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	for _, lane := range p.system.lanes.all() {
		waiting = append(waiting, lane.delayed...)
		lane.delayed = nil
	}
	p.mu.Unlock()
	for _, job := range waiting {
		job.entry.send(attemptEnded{
			key: job.attempt.Key, event: job.attempt.Event, result: engine.Result{Outcome: engine.OutcomeInterrupted},
		})
	}
	p.workers.Wait()
}
