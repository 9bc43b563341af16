package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// settleFor bounds how long deliveries may take to end after the last event.
	settleFor = 90 * time.Second
	// settlePoll is how often it is looked whether they have.
	settlePoll = 250 * time.Millisecond
)

// errTwice is that somebody did not want to wait for the end.
var errTwice = errors.New("interrupted twice: what became of the events was not found out")

// untilTwice gives the context of what goes on after the signal that ends ctx, until another
// one: by default that would end this process, and leave the members.
func untilTwice(ctx context.Context) (whole context.Context, stop func()) {
	whole, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-whole.Done():
				return
			}
		}
		giveUp(errTwice)
	}()
	return whole, func() {
		signal.Stop(signals)
		giveUp(nil)
	}
}

// play posts, strikes, waits until every delivery has ended, and judges. What was accepted is
// accounted for when ctx has ended, too, as long as whole has not.
func (d *clusterDemo) play(ctx, whole context.Context) error {
	err := d.disturbed(ctx, whole)
	if err == nil {
		err = d.fault.bringBack(whole)
	}
	var settled bool
	if err == nil {
		settled, err = d.settle(whole)
	}
	if cause := context.Cause(whole); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return d.account(whole, settled)
}

// disturbed posts events and has the fault happen until the duration is over or ctx ends, and
// what is under way then has ended.
func (d *clusterDemo) disturbed(ctx, whole context.Context) error {
	whole, fail := context.WithCancelCause(whole)
	defer fail(nil)
	running, stop := context.WithTimeout(whole, d.options.Duration)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	var work sync.WaitGroup
	for _, part := range []func() error{
		func() error { return d.produce(running, whole) },
		func() error { return d.fault.strike(running, whole, d.options.Duration/3) },
	} {
		work.Go(func() {
			if err := part(); err != nil {
				fail(err)
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		work.Wait()
		close(ended)
	}()
	d.watch(whole, func() bool {
		if err := d.membersFail(); err != nil {
			fail(err)
		}
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	<-ended
	return context.Cause(whole)
}

// membersFail notices a member that ended by itself.
func (d *clusterDemo) membersFail() error {
	for _, m := range d.members {
		if err := m.failure(); err != nil {
			return err
		}
	}
	return nil
}

// produce posts what the fleet does. The last request is waited for: an event is either
// answered or not, and only what was answered is accounted for.
func (d *clusterDemo) produce(ctx, whole context.Context) error {
	steps := time.NewTicker(demoStep)
	defer steps.Stop()
	for {
		select {
		case <-ctx.Done():
			d.fault.tell("the last event is posted: what waits is delivered")
			return nil
		case <-steps.C:
			if err := d.producer.post(whole, d.fleet.Step(d.fleetTime.Add(demoSpeed*time.Since(d.started)))); err != nil {
				return err
			}
		}
	}
}

// watch draws figures and looks for the end, until it has come or ctx ends.
func (d *clusterDemo) watch(ctx context.Context, ended func() bool) (came bool) {
	looks, frames := time.NewTicker(settlePoll), time.NewTicker(demoFrame)
	defer looks.Stop()
	defer frames.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-looks.C:
			if ended() {
				return true
			}
		case <-frames.C:
			d.board.draw(ctx)
		}
	}
}

// settle waits until every receiver has every event, or has it as a dead letter, and the
// members say that nothing waits and everything has its copies.
func (d *clusterDemo) settle(whole context.Context) (settled bool, err error) {
	ctx, cancel := context.WithTimeout(whole, settleFor)
	defer cancel()
	settled = d.watch(ctx, func() bool {
		if err = d.membersFail(); err != nil {
			return true
		}
		accounts, failed := d.accounts(ctx)
		if failed != nil {
			return false // a member may be on its way: it is asked again
		}
		for _, a := range accounts {
			if len(a.missing) > a.dead || a.pending > 0 {
				return false
			}
		}
		return d.whole(ctx)
	})
	d.board.draw(whole)
	return settled, err
}
