package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// account is what became of the events of one subscription, which matches all of them.
type account struct {
	receiver *demoReceiver
	matched  int      // accepted events
	missing  []string // of these, what the receiver did not take
	dead     int      // of these, what the members have as dead letters
	pending  int      // what the owner says it has still to deliver
	state    string
}

// lost is what nobody has.
func (a account) lost() int { return max(0, len(a.missing)-a.dead-a.pending) }

func (a account) cells() []string {
	events, repeated := a.receiver.tally.counts()
	// Events whose answer was lost may have been taken beside those that were accepted.
	delivered := a.matched - len(a.missing)
	return []string{
		a.receiver.name, a.state, fmt.Sprint(a.matched), fmt.Sprint(delivered), fmt.Sprint(a.dead), fmt.Sprint(a.pending),
		fmt.Sprint(a.lost()), fmt.Sprint(repeated), fmt.Sprint(events - delivered), a.receiver.behaviour,
	}
}

// accounts compares what the producer was answered with what the receivers took, and asks the
// members for the rest alone.
func (d *clusterDemo) accounts(ctx context.Context) ([]account, error) {
	accepted, _ := d.producer.counts()
	accounts := make([]account, len(d.receivers))
	for n, r := range d.receivers {
		a := account{receiver: r, matched: len(accepted), missing: r.tally.missing(accepted)}
		var row subscriptionRow
		err := d.ask(ctx, func(ctx context.Context, api *client) error {
			_, err := api.get(ctx, pathOf("subscriptions", r.id), nil, &row)
			return err
		})
		if err != nil {
			return nil, err
		}
		a.pending, a.state = int(row.Pending), row.State //nolint:gosec // far from its bounds
		if len(a.missing) > 0 {
			if a.dead, err = d.deadOf(ctx, r, a.missing); err != nil {
				return nil, err
			}
		}
		accounts[n] = a
	}
	return accounts, nil
}

// deadOf counts those of ids that are dead letters of a receiver's subscription.
func (d *clusterDemo) deadOf(ctx context.Context, r *demoReceiver, ids []string) (dead int, err error) {
	missing := make(map[string]bool, len(ids))
	for _, id := range ids {
		missing[id] = true
	}
	query := url.Values{"state": {"dead"}, "limit": longestPage()["limit"]}
	for {
		var p page[deliveryRow]
		err := d.ask(ctx, func(ctx context.Context, api *client) error {
			_, err := api.get(ctx, pathOf("subscriptions", r.id, "deliveries"), query, &p)
			return err
		})
		if err != nil {
			return 0, err
		}
		for _, row := range p.Data {
			if missing[row.EventID] {
				delete(missing, row.EventID)
				dead++
			}
		}
		if p.NextCursor == nil {
			return dead, nil
		}
		query.Set("cursor", *p.NextCursor)
	}
}

// account prints what became of every delivery. It is an error when one is lost, when not all
// ended in time, or when a receiver saw a signature that was not right.
func (d *clusterDemo) account(ctx context.Context, settled bool) error {
	accounts, err := d.accounts(ctx)
	if err != nil {
		return err
	}
	rows := make([][]string, len(accounts))
	for n, a := range accounts {
		rows[n] = a.cells()
	}
	accepted, refused := d.producer.counts()
	healthy := &d.receivers[0].latency
	d.console.print(fmt.Sprintf(`
%s
after %v
  accepted   %d events; %d requests were refused and posted to the next member
%s  latency    %s (p50), %s (p99), from accept to the healthy receiver
`, table([]string{"RECEIVER", "STATE", "MATCHED", "DELIVERED", "DEAD", "PENDING", "LOST", "REPEATED", "UNANSWERED", "BEHAVIOUR"}, rows),
		time.Since(d.started).Round(100*time.Millisecond), len(accepted), refused, d.pauses(),
		milliseconds(healthy.percentile(0.50)), milliseconds(healthy.percentile(0.99))))
	return d.clusterVerdict(accounts, settled)
}

// pauses says how long the healthy receiver waited for the next delivery when its member was
// killed, and when it came back.
func (d *clusterDemo) pauses() string {
	killedAt, backAt := d.fault.times()
	if killedAt.IsZero() {
		return ""
	}
	const precision = 10 * time.Millisecond
	tally, end := d.receivers[0].tally, time.Now()
	took := tally.longestPause(killedAt, backAt)
	text := fmt.Sprintf("  takeover   deliveries of %s stood still for %v when it was killed", d.fault.victim.name, took.Round(precision))
	if back := tally.longestPause(backAt, end); back > 0 {
		return text + fmt.Sprintf(", and for %v when it was back\n", back.Round(precision))
	}
	return text + fmt.Sprintf(", and for less than %v when it was back\n", countedPause)
}

func (d *clusterDemo) clusterVerdict(accounts []account, settled bool) error {
	for _, a := range accounts {
		if lost := a.lost(); lost > 0 {
			return fmt.Errorf("%d deliveries to the %s receiver are lost: %v", lost, a.receiver.name, a.missing[:min(len(a.missing), 10)])
		}
	}
	for _, a := range accounts {
		if forged := a.receiver.forged.Load(); forged > 0 {
			return fmt.Errorf("the %s receiver could not verify %d requests", a.receiver.name, forged)
		}
	}
	if !settled {
		return fmt.Errorf("the cluster is not settled %v after the last event: deliveries are pending, or copies are missing", settleFor)
	}
	d.console.print("  every delivery is accounted for and every signature was right\n")
	return nil
}
