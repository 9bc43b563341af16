package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pannier/bench/load/server"
)

// scenario is one question.
type scenario struct {
	name, title string
	measure     func(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) error
	fanout      int // subscriptions of every event
}

var scenarios = []scenario{
	{"one", "one subscription, 64 producers, one event of 600 bytes a request", measureDelivery, 1},
	{"fanout100", "100 subscriptions of every event", measureDelivery, 100},
	{"fanout1000", "1,000 subscriptions of every event", measureDelivery, 1000},
	{"ingest", "events accepted, 1,000 of 600 bytes a request, nobody subscribed", measureIngest, 0},
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
	written   float64 // bytes handed to the disk for each posted byte
}

// measureDelivery measures all contenders.
func measureDelivery(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) error {
	results := make([][]figures, len(contenders))
	for n := range o.runs {
		for i := range contenders {
			c := (n + i) % len(contenders) // nobody is always first
			f, err := s.once(ctx, contenders[c], o)
			if err != nil {
				return fmt.Errorf("%s: %w", contenders[c].name, err)
			}
			_, _ = fmt.Fprintf(progress, "%s, run %d, %s: %.0f accepted/s, %.0f delivered/s, %.3f s per 1,000, %.0f MiB\n",
				s.name, n+1, contenders[c].name, f.accepted, f.delivered, f.cpu, f.anonymous)
			results[c] = append(results[c], f)
		}
	}
	report(out, s, contenders, results)
	return nil
}

// once measures one contender.
func (s scenario) once(ctx context.Context, which contender, o *options) (figures, error) {
	var result figures
	events := max(1, o.deliveries/s.fanout)
	err := underLoad(ctx, which, s.fanout, func(to *receiver, r *running, meter *server.Meter) error {
		start, already := time.Since(to.begin), to.count.Load()
		if r.url != "" {
			l := load{producers, events, "application/json", func(b []byte, _ int64) []byte {
				return appendEvent(b, time.Since(to.begin))
			}}
			if err := l.post(ctx, r.url); err != nil {
				return err
			}
		}
		posted := time.Since(to.begin)
		if err := to.await(ctx, already+int64(events*s.fanout)); err != nil {
			return err
		}
		used, err := meter.Read()
		took := time.Duration(to.lastAt.Load()) - start
		deliveries := float64(to.count.Load() - already)
		result = figures{
			accepted: float64(events) / (posted - start).Seconds(), delivered: deliveries / took.Seconds(),
			cpu: used.CPU.Seconds() / deliveries * 1000, anonymous: float64(used.RSSAnonPeak) / (1 << 20),
			written: float64(used.Written) / float64(events*eventBytes),
		}
		return err
	})
	return result, err
}

// underLoad runs a contender with its subscriptions at a receiver, and a meter on its process,
// for as long as measure takes.
func underLoad(
	ctx context.Context, which contender, subscriptions int, measure func(*receiver, *running, *server.Meter) error,
) (err error) {
	to, err := startReceiver(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	r, err := which.start(ctx, to, subscriptions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	meter, err := server.NewMeter(r.pid)
	if err != nil {
		return err
	}
	defer meter.Close()
	return measure(to, r, meter)
}
