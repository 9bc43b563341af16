package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"pannier/bench/fill"
	"pannier/bench/load/server"
)

const (
	// backlogFanout is how many subscriptions wait for every event of the backlog.
	backlogFanout = 10
	// backlogRest is how long a backlog lies there before memory is read for the last time.
	backlogRest = 5 * time.Second
	// memoryFolder is a file system that writes nothing to a disk.
	memoryFolder = "/dev/shm"
)

// measureBacklog lets deliveries pile up to an endpoint that is down, more and more, and says
// what that takes of memory and of disk.
func measureBacklog(ctx context.Context, t *trial) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s\ndeliveries due\tmemory, MiB\tat most, MiB\tdisk, MiB\n", t.name, t.title)
	for _, deliveries := range []int{50_000, 500_000, 5_000_000} {
		_, _ = fmt.Fprintf(t.progress, "%s: %d deliveries\n", t.name, deliveries)
		c := engine{binary: t.contenders[0].binary, data: filepath.Join(t.folder, fmt.Sprint(deliveries)), path: downPath}
		err := underLoad(ctx, contender{start: c.start}, t.to, backlogFanout, func(r *running, meter *server.Meter) error {
			l := formats[0].load(deliveries / backlogFanout)
			if err := l.post(ctx, r.to); err != nil {
				return err
			}
			select {
			case <-time.After(backlogRest):
			case <-ctx.Done():
				return ctx.Err()
			}
			used, err := meter.Read()
			if err != nil {
				return err
			}
			disk, err := r.disk()
			_, _ = fmt.Fprintf(w, "%d\t%d\t%d\t%d\n", deliveries, used.RSSAnon>>20, used.RSSAnonPeak>>20, disk>>20)
			return err
		})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// measureWritten says what is written to the disk for each posted byte: with the history and
// without it, which then lies in memory, and when every first attempt fails.
func measureWritten(ctx context.Context, t *trial) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s; at most %d events of %d bytes\n\twritten / posted bytes\tbytes an event\n", t.name, t.title, t.deliveries, eventBytes)
	for _, c := range writing {
		_, _ = fmt.Fprintf(t.progress, "%s: %s\n", t.name, c.name)
		used, err := c.measure(ctx, t)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "%s\t%.2f\t%.0f\n", c.name, used/eventBytes, used)
	}
	return w.Flush()
}

// written is one way to deliver events.
type written struct {
	name   string
	most   int  // events
	fails  bool // the first attempt of each
	memory bool // the history lies there
	batch  bool // ingestBatch events a request
}

var writing = []written{
	{"one event a request, delivered", maxDeliveries, false, false, false},
	{"the same without the history", maxDeliveries, false, true, false},
	{"1,000 events a request, without the history", maxDeliveries, false, true, true},
	{"one event a request, each first attempt fails", manyFailures, true, false, false},
	{"the same, without the history", manyFailures, true, true, false},
}

// manyFailures is how many events fail once: a subscription has 10,000 retry records at
// most and then waits for them.
const manyFailures = 20_000

// measure gives the bytes written for each event.
func (c written) measure(ctx context.Context, t *trial) (used float64, err error) {
	data := filepath.Join(t.folder, c.name)
	if c.memory {
		history, err := os.MkdirTemp(memoryFolder, "pannier-speed-")
		if err != nil {
			return 0, fmt.Errorf("put the history into memory: %w", err)
		}
		defer os.RemoveAll(history) //nolint:errcheck // nothing follows from it
		if err := fill.Empty(data); err != nil {
			return 0, err
		}
		if err := os.Symlink(history, filepath.Join(data, "history")); err != nil {
			return 0, fmt.Errorf("put the history into memory: %w", err)
		}
	}
	events := min(t.deliveries, c.most)
	t.to.failFirst.Store(c.fails)
	l := deliveryLoad(events, t.to, func(int64) string { return topic })
	if c.batch {
		l = formats[0].load(events)
	}
	err = underLoad(ctx, contender{start: engine{binary: t.contenders[0].binary, data: data}.start}, t.to, 1, func(r *running, meter *server.Meter) error {
		already := t.to.count.Load()
		if err := l.post(ctx, r.to); err != nil {
			return err
		}
		if err := t.to.await(ctx, already+int64(events)); err != nil {
			return err
		}
		reading, err := meter.Read()
		used = float64(reading.Written) / float64(events)
		return err
	})
	return used, err
}
