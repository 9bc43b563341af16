package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pannier/bench/load/server"
)

const (
	healthySubscriptions = 20
	// warmUp opens connections and starts actors before the first half.
	warmUp = 2 * time.Second
	// settleIn is how long the trouble goes on before it is measured.
	settleIn = 2 * time.Second
	// arriveWithin is how long after its half a healthy delivery may still arrive; later it
	// counts as missing, which ends the run.
	arriveWithin = 10 * time.Second
	// window is how many deliveries a subscription has under way: so many may be on their way
	// from one place to another while the pending ones are counted.
	window = 64
	// backlogWithin bounds the wait for the black hole's backlog.
	backlogWithin = 30 * time.Second
)

// The topics. The server that bench/load/server starts has a lane for the flooded one.
const (
	healthyTopic = "trip.created"
	floodTopic   = "vehicle.position"
	blackTopic   = "alarm.raised"
)

// run is one server with everything around it.
type run struct {
	options

	child   *server.Child
	client  *client
	healthy []*receiver
	flooded *receiver
	black   *blackHole
}

// runPair measures the healthy load alone and with trouble, on a server of its own.
func runPair(ctx context.Context, o options) (p pair, err error) {
	r := &run{options: o}
	if r.child, err = server.Start(ctx, server.Options{Binary: o.binary}, io.Discard); err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, r.child.Stop()) }()
	r.client = newClient(r.child.URL)
	defer r.client.close()
	defer r.close()
	if err := r.subscribeHealthy(ctx); err != nil {
		return p, err
	}
	if _, err := r.measureHealthy(ctx, warmUp); err != nil {
		return p, err
	}
	if p.alone, err = r.measureHealthy(ctx, o.measure); err != nil {
		return p, err
	}
	flood, err := r.makeTrouble(ctx)
	if err != nil {
		return p, err
	}
	attempted, flooded := r.black.taken.Load(), r.flooded.taken.Load()
	p.trouble, err = r.measureHealthy(ctx, o.measure)
	p.attempted, p.flooded = int(r.black.taken.Load()-attempted), int(r.flooded.taken.Load()-flooded)
	err = errors.Join(err, flood.stop())
	if err != nil {
		return p, err
	}
	if p.pending, err = r.client.pending(ctx, r.black.subscription); err != nil {
		return p, err
	}
	if p.pending < int64(o.backlog-window) {
		return p, fmt.Errorf("only %d of %d deliveries of the black hole are pending", p.pending, o.backlog)
	}
	return p, nil
}

func (r *run) close() {
	for _, receiver := range r.healthy {
		receiver.close()
	}
	if r.flooded != nil {
		r.flooded.close()
	}
	if r.black != nil {
		r.black.close()
	}
}

func (r *run) subscribeHealthy(ctx context.Context) error {
	for range healthySubscriptions {
		receiver, err := startReceiver(ctx)
		if err != nil {
			return err
		}
		r.healthy = append(r.healthy, receiver)
		if _, err := r.client.subscribe(ctx, receiver.url, healthyTopic, ""); err != nil {
			return err
		}
	}
	return nil
}

// measureHealthy posts the healthy load for a while and gives the latencies of its
// deliveries; each must arrive.
func (r *run) measureHealthy(ctx context.Context, d time.Duration) (summary, error) {
	for _, receiver := range r.healthy {
		receiver.reset()
	}
	events, err := postOnSchedule(ctx, r.client, r.rate, d)
	if err != nil {
		return summary{}, err
	}
	limit := time.NewTimer(arriveWithin)
	defer limit.Stop()
	var all []time.Duration
	for n, receiver := range r.healthy {
		select {
		case <-receiver.reached(events):
		case <-limit.C:
			return summary{}, fmt.Errorf("healthy subscription %d has %d of %d events after %v", n+1, len(receiver.latencies()), events, arriveWithin)
		case <-ctx.Done():
			return summary{}, ctx.Err()
		}
		all = append(all, receiver.latencies()...)
	}
	return summarise(all), nil
}

// makeTrouble fills the black hole's backlog and floods the lane; both go on.
func (r *run) makeTrouble(ctx context.Context) (*flood, error) {
	var err error
	if r.black, err = startBlackHole(ctx); err != nil {
		return nil, err
	}
	// The shortest timeout makes the most of the trouble: 64 attempts a second end and are
	// written down.
	if r.black.subscription, err = r.client.subscribe(ctx, r.black.url, blackTopic, "1s"); err != nil {
		return nil, err
	}
	for range r.holes - 1 {
		if _, err = r.client.subscribe(ctx, r.black.url, blackTopic, ""); err != nil {
			return nil, err
		}
	}
	if r.flooded, err = startReceiver(ctx); err != nil {
		return nil, err
	}
	if _, err := r.client.subscribe(ctx, r.flooded.url, floodTopic, ""); err != nil {
		return nil, err
	}
	const batch = 1000
	for posted := 0; posted < r.backlog; posted += batch {
		if err := r.client.postLines(ctx, blackTopic, min(batch, r.backlog-posted)); err != nil {
			return nil, err
		}
	}
	f := startFlood(ctx, r.client, r.flood)
	if err := r.awaitBacklog(ctx); err != nil {
		return nil, errors.Join(err, f.stop())
	}
	return f, nil
}

// awaitBacklog waits until everything is pending, and settleIn longer.
func (r *run) awaitBacklog(ctx context.Context) error {
	poll := time.NewTicker(settleIn)
	defer poll.Stop()
	for deadline := time.Now().Add(backlogWithin); ; {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		pending, err := r.client.pending(ctx, r.black.subscription)
		if err != nil {
			return err
		}
		if pending >= int64(r.backlog-window) && r.black.taken.Load() > 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("only %d of %d deliveries of the black hole are pending", pending, r.backlog)
		}
	}
}
