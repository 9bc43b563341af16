package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"pannier/bench/fault"
)

// options are what a run is asked for.
type options struct {
	planOptions
	rounds    int
	first     int // the number of the first round
	rate      int
	binary    string
	keep      string
	keepGoing bool
	listed    bool
}

// trial is a run: a network, receivers, and one cluster after another in it. A cluster lives
// until a round finds something wrong with it.
type trial struct {
	options   options
	dir       string
	net       network
	receivers *receivers
	group     *group
	client    *client
	clusters  int
	progress  io.Writer
	verdicts  []*verdict
}

// errBroken tells that a round found something.
var errBroken = errors.New("the cluster broke its promises")

// run makes every round. What it made is removed again, but for the folder where something was
// found.
func (t *trial) run(ctx context.Context, out io.Writer) (err error) {
	if err := t.open(ctx); err != nil {
		return errors.Join(err, t.close(false))
	}
	defer func() {
		keep := t.options.keep != "" || (err != nil && ctx.Err() == nil)
		err = errors.Join(err, t.close(keep))
		if keep {
			_, _ = fmt.Fprintln(out, "data, logs and histories:", t.dir)
		}
	}()
	defer func() { summarise(out, t.verdicts) }()
	broken := false
	for n := t.options.first; n < t.options.first+t.options.rounds; n++ {
		ok, err := t.round(ctx, n, out)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		broken = broken || !ok
		if broken && !t.options.keepGoing {
			break
		}
	}
	if broken {
		return errBroken
	}
	return nil
}

// round makes one round and prints it.
func (t *trial) round(ctx context.Context, n int, out io.Writer) (ok bool, err error) {
	if err := t.begin(ctx); err != nil {
		return false, err
	}
	p := planRound(t.options.planOptions, n)
	_, _ = fmt.Fprintf(out, "round %d (%s), seed %d\n", n, p.name, t.options.seed)
	r, err := t.newRound(p)
	if err != nil {
		return false, err
	}
	v, err := r.run(ctx)
	if err != nil {
		err = errors.Join(err, r.log.Close())
		if !t.options.keepGoing || ctx.Err() != nil {
			return false, err
		}
		v = &verdict{plan: p, problems: append(r.problems, err.Error())}
	}
	v.print(out)
	t.verdicts = append(t.verdicts, v)
	if !v.ok() {
		return false, t.abandon()
	}
	if t.options.keep == "" {
		_ = os.Remove(filepath.Join(t.dir, fmt.Sprintf("round-%d.jsonl", n))) // nobody will ask for it
	}
	return true, nil
}

// open makes what all rounds share.
func (t *trial) open(ctx context.Context) (err error) {
	if t.dir = t.options.keep; t.dir == "" {
		t.dir, err = os.MkdirTemp("", "pannier-cluster-")
	} else {
		err = os.Mkdir(t.dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if t.options.binary == "" {
		t.options.binary = filepath.Join(t.dir, "pannier")
		if err := fault.Build(ctx, t.options.binary); err != nil {
			return err
		}
	}
	if !t.options.network {
		t.net = newLoopback()
	} else if t.net, err = newNamespaces(ctx, t.options.members+extra); err != nil {
		t.net = nil
		return err
	}
	t.receivers, err = openReceivers(ctx, t.net.gateway(), t.options.seed)
	return err
}

// begin starts a cluster with empty disks unless there is one.
func (t *trial) begin(ctx context.Context) error {
	if t.group != nil {
		return nil
	}
	t.clusters++
	dir := filepath.Join(t.dir, "cluster-"+strconv.Itoa(t.clusters))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make the cluster's folder: %w", err)
	}
	g, err := newGroup(ctx, t.options.binary, dir, t.net, t.options.members, t.options.replication)
	if err != nil {
		return err
	}
	t.group, t.client = g, newClient(g.key)
	return g.start()
}

// abandon ends the cluster and leaves its folders: the next round begins another.
func (t *trial) abandon() error {
	if t.group == nil {
		return nil
	}
	err := t.group.close(false)
	t.client.close()
	t.group = nil
	return err
}

func (t *trial) close(keep bool) error {
	errs := []error{t.abandon()}
	if t.receivers != nil {
		errs = append(errs, t.receivers.close())
	}
	if t.net != nil {
		errs = append(errs, t.net.close())
	}
	if !keep && t.dir != "" {
		errs = append(errs, os.RemoveAll(t.dir))
	}
	return errors.Join(errs...)
}
