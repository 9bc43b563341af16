package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"pannier/bench/fill"
	"pannier/bench/load/server"
	"pannier/bench/load/tally"
)

// latencies are milliseconds.
type latencies struct {
	p50, p99, p999, longest float64
	pause                   float64 // the longest time in which nothing arrived
}

var delays = []row{
	{"p50, ms", "%.2f", func(f figures) float64 { return f.latency.p50 }},
	{"p99, ms", "%.2f", func(f figures) float64 { return f.latency.p99 }},
	{"p99.9, ms", "%.2f", func(f figures) float64 { return f.latency.p999 }},
	{"at most, ms", "%.1f", func(f figures) float64 { return f.latency.longest }},
	{"longest pause, ms", "%.1f", func(f figures) float64 { return f.latency.pause }},
	{"delivered/s", "%.0f", func(f figures) float64 { return f.delivered }},
	{"CPU s per 1,000", "%.3f", func(f figures) float64 { return f.cpu }},
}

// watch measures deliveries by what their events say.
type watch struct {
	took    tally.Histogram
	arrived atomic.Int64 // nanoseconds after begin, of the last one
	pause   atomic.Int64
}

// see takes a delivery in; false: its event does not say when it was posted.
func (w *watch) see(body []byte, now time.Duration) bool {
	_, rest, found := bytes.Cut(body, []byte(postedMember))
	text, _, closed := bytes.Cut(rest, []byte{'"'})
	posted, err := strconv.ParseInt(string(text), 10, 64)
	if !found || !closed || err != nil {
		return false
	}
	w.took.Add(now - time.Duration(posted))
	if before := w.arrived.Swap(int64(now)); before > 0 {
		for pause := int64(now) - before; pause > w.pause.Load(); {
			w.pause.Store(pause) // a race between two of them costs a longer pause at most
		}
	}
	return true
}

func (w *watch) latencies() latencies {
	milli := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return latencies{
		milli(w.took.Percentile(0.5)), milli(w.took.Percentile(0.99)), milli(w.took.Percentile(0.999)),
		milli(w.took.Percentile(1)), milli(time.Duration(w.pause.Load())),
	}
}

const (
	// latencyWarmUp opens connections and starts actors.
	latencyWarmUp = 2 * time.Second
	// A folder that was in use for a while.
	oldEvents, oldRecords = 5_000_000, 500_000
	oldSubscriptions      = 1000
)

// measureLatency measures the server with an empty folder and with an old one, and the
// straight line, all at half of the rate that the server reaches with one subscription.
func measureLatency(ctx context.Context, t *trial) error {
	most, err := t.mostDelivered(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(t.progress, "%s: %.0f events/s\n", t.name, most/2)
	list := accepting(t.contenders)
	if binary := t.contenders[0].binary; binary != "" {
		old := engine{binary: binary, data: filepath.Join(t.folder, "old")}
		if err := fillOld(ctx, old.data, t.to); err != nil {
			return err
		}
		list = slices.Insert(list, 1, contender{name: "old folder", start: old.start})
	}
	results, err := t.inTurns(list, func(c contender) (figures, error) {
		return steadily(ctx, c, t.to, pace{topic: topic, rate: most / 2, length: t.length})
	})
	if err == nil {
		t.title = fmt.Sprintf("%s, %.0f events/s for %v", t.title, most/2, t.length)
		report(t.out, t.scenario, list, results, delays)
	}
	return err
}

// accepting are the contenders that events are posted to.
func accepting(contenders []contender) []contender {
	return slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool { return c.name == bareLoop })
}

// fillOld fills the lane of the one topic as if it had been in use for a while; nothing of
// that is due while it is measured.
func fillOld(ctx context.Context, data string, to *receiver) error {
	err := fill.Folder(ctx, data, fill.Content{
		Subscriptions: oldSubscriptions, Active: oldSubscriptions, Endpoint: to.endpoint(1), Lane: "positions",
		Events: oldEvents, Records: oldRecords, DueFrom: 2 * time.Hour, DueThrough: 3 * time.Hour,
	})
	syscall.Sync() // what was filled is not written while the load is on
	return err
}

// pace is what is posted at a rate.
type pace struct {
	topic  string
	rate   float64 // events a second
	length time.Duration
	beside *load // at the same time, for as long; nil: nothing
}

// steadily measures a contender at a pace.
func steadily(ctx context.Context, c contender, to *receiver, p pace) (figures, error) {
	var result figures
	err := underLoad(ctx, c, to, 1, func(r *running, meter *server.Meter) (err error) {
		if p.beside != nil {
			stop := p.beside.start(ctx, r.to)
			defer func() { err = errors.Join(err, stop()) }()
		}
		if _, err = p.once(ctx, to, r.to, meter, latencyWarmUp); err == nil {
			result, err = p.once(ctx, to, r.to, meter, p.length)
		}
		return err
	})
	to.watch.Store(nil)
	return result, err
}

func (p pace) once(ctx context.Context, to *receiver, at address, meter *server.Meter, length time.Duration) (figures, error) {
	w := &watch{}
	to.watch.Store(w)
	l := deliveryLoad(int(p.rate*length.Seconds()), to, func(int64) string { return p.topic })
	l.rate = p.rate
	result, err := l.measure(ctx, to, at, meter, 1)
	result.latency = w.latencies()
	return result, err
}
