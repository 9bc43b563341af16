package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// balanceTries and balanceInterval bound how long the totals may take to agree: they are
	// counted in several places, so an answer can lie between two of them.
	balanceTries    = 20
	balanceInterval = 100 * time.Millisecond
)

// summarise prints what became of every delivery. It is an error when the totals leave
// one out, or when a receiver saw a signature that was not right.
func (d *demo) summarise(ctx context.Context) error {
	now, err := d.balanced(ctx)
	if err != nil {
		return err
	}
	rows, err := d.pendingOf(ctx)
	if err != nil {
		return err
	}
	t, healthy := now.totals, &d.receivers[0].latency
	d.console.print(fmt.Sprintf(`
%s
after %v
  accepted   %d events
  matched    %d = %d delivered + %d waiting + %d attempting + %d dead
  retried    %d attempts
  latency    %s (p50), %s (p99), from accept to the healthy receiver
`, d.table(rows), time.Since(d.started).Round(100*time.Millisecond), t.Accepted, t.Matched, t.Delivered, t.Waiting, t.Attempting, t.Dead,
		t.Retried, milliseconds(healthy.percentile(0.50)), milliseconds(healthy.percentile(0.99))))
	return d.verdict(t)
}

func (d *demo) verdict(t totals) error {
	if !t.balance() {
		return fmt.Errorf(
			"the totals do not add up: %d deliveries matched, but %d delivered + %d waiting + %d attempting + %d dead are %d",
			t.Matched, t.Delivered, t.Waiting, t.Attempting, t.Dead, t.settledOrPending(),
		)
	}
	for _, r := range d.receivers {
		if forged := r.forged.Load(); forged > 0 {
			return fmt.Errorf("the %s receiver could not verify %d requests", r.name, forged)
		}
	}
	d.console.print("  every delivery is accounted for and every signature was right\n")
	return nil
}

// balanced fetches the figures, again while the totals do not add up.
func (d *demo) balanced(ctx context.Context) (figures, error) {
	for try := 1; ; try++ {
		now, err := fetchFigures(ctx, d.api)
		if err != nil || now.totals.balance() || try == balanceTries {
			return now, err
		}
		if !pause(ctx, balanceInterval) {
			return now, ctx.Err()
		}
	}
}

// balance tells whether every delivery that matched is in one state.
func (t totals) balance() bool { return t.Matched == t.settledOrPending() }

func (t totals) settledOrPending() uint64 {
	return t.Delivered + t.Waiting + t.Attempting + t.Dead
}
