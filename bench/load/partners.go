package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pannier/bench/load/receiver"
	"pannier/bench/load/server"
	"pannier/bench/load/tally"
)

// taste is what a partner wants.
type taste struct {
	name   string
	topics []string // exact topics, prefix.*, or *
}

// wants tells whether a topic is among those of the taste.
func (t taste) wants(topic string) bool {
	for _, pattern := range t.topics {
		prefix, open := strings.CutSuffix(pattern, "*")
		if pattern == topic || (open && strings.HasPrefix(topic, prefix)) {
			return true
		}
	}
	return false
}

// partner is a subscription and its receiver.
type partner struct {
	subscription server.Subscription
	receiver     *receiver.Receiver
}

// partners are all of them.
type partners struct {
	client *server.Client
	all    []*partner
}

// subscribe starts a receiver for each taste and subscribes it.
func subscribe(ctx context.Context, client *server.Client, book *tally.Book, tastes []taste) (*partners, error) {
	p := &partners{client: client}
	for _, taste := range tastes {
		if err := p.add(ctx, book, taste); err != nil {
			return nil, errors.Join(err, p.close(ctx))
		}
	}
	return p, nil
}

func (p *partners) add(ctx context.Context, book *tally.Book, taste taste) error {
	hook, err := receiver.Start(ctx, tally.NewReceipt(taste.name, book, taste.wants))
	if err != nil {
		return err
	}
	added := &partner{receiver: hook}
	p.all = append(p.all, added)
	added.subscription, err = p.client.Subscribe(ctx, hook.URL, taste.topics, "bench/load: "+taste.name)
	if err != nil {
		return err
	}
	return hook.Expect(added.subscription.Secret)
}

// close deletes the subscriptions and stops the receivers, also when ctx has ended.
func (p *partners) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var errs []error
	for _, partner := range p.all {
		if partner.subscription.ID != "" {
			errs = append(errs, p.client.Unsubscribe(ctx, partner.subscription.ID))
		}
		errs = append(errs, partner.receiver.Close())
	}
	return errors.Join(errs...)
}

// unique is how many different events have arrived, over all partners.
func (p *partners) unique() int64 {
	sum := int64(0)
	for _, partner := range p.all {
		sum += partner.receiver.Receipt.Unique()
	}
	return sum
}

// missing is how many accepted events have not arrived yet, over all partners.
func (p *partners) missing() int64 {
	sum := int64(0)
	for _, partner := range p.all {
		sum += partner.receiver.Receipt.Missing()
	}
	return sum
}

// last is when the latest new event arrived.
func (p *partners) last() time.Time {
	var last time.Time
	for _, partner := range p.all {
		if at := partner.receiver.Receipt.Last(); at.After(last) {
			last = at
		}
	}
	return last
}

// pending asks the server how many deliveries are not settled.
func (p *partners) pending(ctx context.Context) (int64, error) {
	sum := int64(0)
	for _, partner := range p.all {
		found, err := p.client.Subscription(ctx, partner.subscription.ID)
		if err != nil {
			return 0, fmt.Errorf("ask for what is pending: %w", err)
		}
		sum += found.Pending
	}
	return sum, nil
}

// pollEvery is how often the server is asked for what is pending.
const pollEvery = 250 * time.Millisecond

// patience is how long a run waits at its end.
type patience struct {
	wait time.Duration // for what is pending
	lag  time.Duration // lists may be that far behind, by contract
	lost time.Duration // nothing is pending for so long: what is missing is lost
}

// settle waits until everything has arrived and the server says that nothing is pending,
// within patience; what is still open then, the comparison tells.
func (p *partners) settle(ctx context.Context, within patience) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	deadline := time.Now().Add(within.wait)
	idle := time.Now() // since when nothing is pending
	for {
		pending, err := p.pending(ctx)
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		now := time.Now()
		if pending > 0 {
			idle = now
		}
		still := now.Sub(idle)
		if still >= within.lost || (still >= within.lag && p.missing() == 0) || now.After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
