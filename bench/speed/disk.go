package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
func measureBacklog(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) (err error) {
	to, err := startReceiver(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s\ndeliveries due\tmemory, MiB\tat most, MiB\tdisk, MiB\n", s.name, s.title)
	for _, deliveries := range []int{50_000, 500_000, 5_000_000} {
		_, _ = fmt.Fprintf(progress, "%s: %d deliveries\n", s.name, deliveries)
		folder, err := os.MkdirTemp("", "pannier-speed-")
		if err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		c := engine{binary: contenders[0].binary, data: filepath.Join(folder, "data"), path: downPath}
		err = underLoad(ctx, contender{start: c.start}, to, backlogFanout, func(r *running, meter *server.Meter) error {
			l := load{ingestProducers, deliveries / backlogFanout / ingestBatch, 0, formats[0].contentType, formats[0].compose}
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
		if err := errors.Join(err, os.RemoveAll(folder)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// measureWritten says what is written to the disk for each posted byte: with the history and
// without it, which then lies in memory, and when every first attempt fails.
func measureWritten(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) (err error) {
	to, err := startReceiver(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s; %d events of %d bytes\n\twritten / posted bytes\tbytes an event\n", s.name, s.title, o.deliveries, eventBytes)
	for _, c := range writing {
		_, _ = fmt.Fprintf(progress, "%s: %s\n", s.name, c.name)
		used, err := c.measure(ctx, contenders[0].binary, to, min(o.deliveries, c.most))
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
	{"the same without the history", manyFailures, true, true, false},
}

// manyFailures is how many events fail once: a subscription has 10,000 retry records at
// most and then waits for them.
const manyFailures = 20_000

// measure gives the bytes written for each event.
func (c written) measure(ctx context.Context, binary string, to *receiver, events int) (used float64, err error) {
	data, clean, err := dataFolder(c.memory)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	to.failFirst.Store(c.fails)
	l := deliveryLoad(events, to, func(int64) string { return topic })
	if c.batch {
		l = load{ingestProducers, events / ingestBatch, 0, formats[0].contentType, formats[0].compose}
	}
	err = underLoad(ctx, contender{start: engine{binary: binary, data: data}.start}, to, 1, func(r *running, meter *server.Meter) error {
		already := to.count.Load()
		if err := l.post(ctx, r.to); err != nil {
			return err
		}
		if err := to.await(ctx, already+int64(events)); err != nil {
			return err
		}
		reading, err := meter.Read()
		used = float64(reading.Written) / float64(events)
		return err
	})
	return used, err
}

// dataFolder makes a folder for a server, its history in memory or not.
func dataFolder(historyInMemory bool) (data string, clean func() error, err error) {
	folder, err := os.MkdirTemp("", "pannier-speed-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	data = filepath.Join(folder, "data")
	clean = func() error { return os.RemoveAll(folder) }
	if !historyInMemory {
		return data, clean, nil
	}
	memory, err := os.MkdirTemp(memoryFolder, "pannier-speed-")
	if err == nil {
		clean = func() error { return errors.Join(os.RemoveAll(folder), os.RemoveAll(memory)) }
		if err = fill.Empty(data); err == nil {
			err = os.Symlink(memory, filepath.Join(data, "history"))
		}
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("put the history into memory: %w", err), clean())
	}
	return data, clean, nil
}
