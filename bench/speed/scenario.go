package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"pannier/bench/load/server"
)

// scenario is one question.
type scenario struct {
	name, title string
	measure     func(ctx context.Context, t *trial) error
	fanout      int  // subscriptions of every event
	own         bool // it starts servers of its own: another engine cannot be measured
}

var scenarios = []scenario{
	{"one", "one subscription, 64 producers, one event of 600 bytes a request", measureDelivery, 1, false},
	{"fanout100", "100 subscriptions of every event", measureDelivery, 100, false},
	{"fanout1000", "1,000 subscriptions of every event", measureDelivery, 1000, false},
	{"fanouts", "deliveries against fan-out", measureFanouts, 0, false},
	{"ingest", "events accepted, 1,000 of 600 bytes a request, nobody subscribed", measureIngest, 0, true},
	{registeredName, "subscriptions registered, of which 1,000 take turns to get an event", measureFilled(registered), 1, true},
	{"retained", "events retained", measureFilled(retained), 1, true},
	{"latency", "from post to receipt at half of what the server delivers at most", measureLatency, 1, false},
	{"loads", "latency from post to receipt against load", measureLoads, 1, false},
	{"isolated", "from post to receipt at 5,000 events/s, beside an endpoint that takes 5 s for each of them", measureTrouble(beside), 1, true},
	{"backlog", "deliveries to endpoints that are down", measureBacklog, backlogFanout, true},
	{"written", "bytes written to the disk", measureWritten, 1, true},
	{"replicated", "what copies cost: 30 subscriptions take turns to get an event, posted to all members in turns", measureReplicated, 1, true},
	{"lanes", "from post to receipt of 500 trips/s, beside 5,000 positions/s to an endpoint that takes 3,200", measureTrouble(flooded), 1, true},
}

// trial is a scenario that is measured.
type trial struct {
	scenario
	*options

	contenders    []contender
	to            *receiver
	folder        string // for what it needs
	out, progress io.Writer
}

// run measures it, with a receiver of its own.
func (t *trial) run(ctx context.Context) (err error) {
	if t.to, err = startReceiver(ctx, t.listen); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.to.close()) }()
	if t.folder, err = os.MkdirTemp("", "pannier-speed-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.folder)) }()
	return t.measure(ctx, t)
}

func names(list []scenario) []string {
	found := make([]string, len(list))
	for i, s := range list {
		found[i] = s.name
	}
	return found
}

// figures are what one contender did in one run.
type figures struct {
	accepted  float64 // events/s
	delivered float64 // deliveries/s, from the first post to the last receipt
	cpu       float64 // seconds of the program's processor time per 1,000 deliveries
	anonymous float64 // MiB at most
	idle      float64 // MiB before the load
	written   float64 // bytes handed to the disk for each posted byte
	members   int     // of a cluster
	latency   latencies
}

func (f figures) String() string {
	if f.latency.p99 > 0 {
		return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, at most %.1f ms", f.latency.p50, f.latency.p99, f.latency.longest)
	}
	return fmt.Sprintf("%.0f accepted/s, %.0f delivered/s, %.3f s per 1,000, %.0f MiB", f.accepted, f.delivered, f.cpu, f.anonymous)
}

// measureDelivery measures all contenders.
func measureDelivery(ctx context.Context, t *trial) error {
	results, err := t.inTurns(t.contenders, func(c contender) (figures, error) { return t.deliver(ctx, c, t.fanout) })
	if err == nil {
		report(t.out, t.scenario, t.contenders, results, costs)
	}
	return err
}

// deliver measures one contender with so many subscriptions of every event, as fast as it
// answers.
func (t *trial) deliver(ctx context.Context, c contender, fanout int) (result figures, err error) {
	l := deliveryLoad(t.deliveries/fanout, t.to, func(int64) string { return topic })
	err = underLoad(ctx, c, t.to, fanout, func(r *running, meter *server.Meter) (err error) {
		result, err = l.measure(ctx, t.to, r.to, meter, fanout)
		return err
	})
	return result, err
}

// inTurns measures every contender as often as there are runs, in changing order.
func (t *trial) inTurns(contenders []contender, measure func(contender) (figures, error)) ([][]figures, error) {
	results := make([][]figures, len(contenders))
	for n := range t.runs {
		for i := range contenders {
			c := (n + i) % len(contenders) // nobody is always first
			f, err := measure(contenders[c])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contenders[c].name, err)
			}
			_, _ = fmt.Fprintf(t.progress, "%s, run %d, %s: %s\n", t.name, n+1, contenders[c].name, f)
			results[c] = append(results[c], f)
		}
	}
	return results, nil
}

// deliveryLoad is one event a request, by 64 producers; of says the topic of the n-th.
func deliveryLoad(events int, to *receiver, of func(n int64) string) load {
	return load{producers, max(1, events), 0, "application/json", func(b []byte, n int64, from time.Time) []byte {
		return appendEvent(b, of(n), from.Sub(to.begin))
	}}
}

// measure posts the load, waits for its deliveries and says what that took.
func (l load) measure(ctx context.Context, to *receiver, at address, meter *server.Meter, fanout int) (figures, error) {
	before, err := meter.Read()
	if err != nil {
		return figures{}, err
	}
	start, already := time.Since(to.begin), to.count.Load()
	if at.url != "" {
		if err := l.post(ctx, at); err != nil {
			return figures{}, err
		}
	}
	posted := time.Since(to.begin)
	if err := to.await(ctx, already+int64(l.requests*fanout)); err != nil {
		return figures{}, err
	}
	after, err := meter.Read()
	took := time.Duration(to.lastAt.Load()) - start
	deliveries := float64(to.count.Load() - already)
	return figures{
		accepted: float64(l.requests) / (posted - start).Seconds(), delivered: deliveries / took.Seconds(),
		cpu: (after.CPU - before.CPU).Seconds() / deliveries * 1000, anonymous: float64(after.RSSAnonPeak) / (1 << 20),
		idle: float64(before.RSSAnon) / (1 << 20), written: float64(after.Written-before.Written) / float64(l.requests*eventBytes),
	}, err
}

// underLoad runs a contender with its subscriptions at a receiver, and a meter on its process,
// for as long as measure takes.
func underLoad(
	ctx context.Context, which contender, to *receiver, subscriptions int, measure func(*running, *server.Meter) error,
) error {
	r, err := which.start(ctx, to, subscriptions)
	if err != nil {
		return err
	}
	meter, err := server.NewMeter(r.pids...)
	if err == nil {
		err = measure(r, meter)
		meter.Close()
	}
	return errors.Join(err, r.stop())
}
