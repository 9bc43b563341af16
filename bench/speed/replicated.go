package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"pannier/bench/fill"
	"pannier/bench/load/server"
)

const (
	clusterMembers = 3
	// spread is how many subscriptions take turns to get an event, so that every member owns
	// some of them.
	spread = 30
	// formedWithin bounds how long the members take to see each other.
	formedWithin = 30 * time.Second
	formedPoll   = 100 * time.Millisecond
)

var copyCosts = []row{
	{"accepted/s", "%.0f", func(f figures) float64 { return f.accepted }},
	{"delivered/s", "%.0f", func(f figures) float64 { return f.delivered }},
	{"CPU s per 1,000, all members", "%.3f", func(f figures) float64 { return f.cpu }},
	{"CPU s per 1,000, one member", "%.3f", func(f figures) float64 { return f.cpu / float64(f.members) }},
	{"written / posted bytes, all", "%.2f", func(f figures) float64 { return f.written }},
}

// measureReplicated measures one member and clusters of three with one, two and three copies.
// All members share this machine: what they cost together is what is compared.
func measureReplicated(ctx context.Context, t *trial) error {
	binary := t.contenders[0].binary
	topics := make([]string, spread)
	for n := range topics {
		topics[n] = fill.Topic(n)
	}
	servers := []contender{{name: "1 member", start: cluster{binary, 1, 1, topics}.start}}
	for copies := 1; copies <= clusterMembers; copies++ {
		servers = append(servers, contender{
			name: fmt.Sprintf("%d members, R=%d", clusterMembers, copies), start: cluster{binary, clusterMembers, copies, topics}.start,
		})
	}
	results, err := t.inTurns(servers, func(c contender) (result figures, err error) {
		l := deliveryLoad(t.deliveries, t.to, func(n int64) string { return topics[int(n)%spread] })
		err = underLoad(ctx, c, t.to, spread, func(r *running, meter *server.Meter) error {
			result, err = l.measure(ctx, t.to, r.to, meter, 1)
			result.members = len(r.pids)
			return err
		})
		return result, err
	})
	if err == nil {
		report(t.out, t.scenario, servers, results, copyCosts)
	}
	return err
}

// cluster is members on loopback, or a single one that is no cluster.
type cluster struct {
	binary          string
	members, copies int
	topics          []string // the n-th subscription's
}

// start starts them and waits until they see each other. Events go to all of them in turns.
func (c cluster) start(ctx context.Context, to *receiver, subscriptions int) (*running, error) {
	folder, err := os.MkdirTemp("", "pannier-cluster-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	r := &running{}
	var children []*server.Child
	r.stop = func() error {
		err := os.RemoveAll(folder)
		for _, child := range children {
			err = errors.Join(err, child.Stop())
		}
		return err
	}
	flags, err := c.flags(ctx, folder)
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	for _, own := range flags {
		child, err := server.Start(ctx, server.Options{Binary: c.binary, Environment: tracing(to.url), Flags: own}, io.Discard)
		if err != nil {
			return nil, errors.Join(err, r.stop())
		}
		children = append(children, child)
		r.pids = append(r.pids, child.PID)
		r.to.others = append(r.to.others, child.URL+"/v1/events")
	}
	r.to.url, r.to.others = r.to.others[0], r.to.others[1:]
	if err := c.subscribe(ctx, children, to, subscriptions); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// flags makes the cluster's key and gives what each member is started with.
func (c cluster) flags(ctx context.Context, folder string) ([][]string, error) {
	flags := make([][]string, c.members)
	if c.members == 1 {
		return flags, nil
	}
	keyFile, err := server.ClusterKey(ctx, c.binary, folder)
	if err != nil {
		return nil, err
	}
	binds, err := freeAddresses(ctx, c.members)
	if err != nil {
		return nil, err
	}
	for n, bind := range binds {
		flags[n] = []string{
			"--bind", bind, "--rpc", "127.0.0.1:0", "--join", strings.Join(binds, ","),
			"--cluster-key", keyFile, "--replication", strconv.Itoa(c.copies),
		}
	}
	return flags, nil
}

// freeAddresses gives addresses on loopback where nobody listened a moment ago.
func freeAddresses(ctx context.Context, count int) (addresses []string, err error) {
	var config net.ListenConfig
	for range count {
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() //nolint:errcheck // nobody was let in
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// subscribe waits for the cluster to form, and makes the subscriptions.
func (c cluster) subscribe(ctx context.Context, members []*server.Child, to *receiver, subscriptions int) error {
	ctx, cancel := context.WithTimeout(ctx, formedWithin)
	defer cancel()
	var client *server.Client
	for _, member := range members {
		var err error
		if client, err = server.NewClient(member.URL, "", 1); err != nil {
			return err
		}
		defer client.Close()
		if err := c.formed(ctx, client); err != nil {
			return err
		}
	}
	for n, endpoint := range to.endpoints(subscriptions) {
		if _, err := client.Subscribe(ctx, endpoint, []string{c.topics[n%len(c.topics)]}, ""); err != nil {
			return err
		}
	}
	return nil
}

// formed waits until a member sees all of them as active.
func (c cluster) formed(ctx context.Context, client *server.Client) error {
	tick := time.NewTicker(formedPoll)
	defer tick.Stop()
	for {
		active, err := client.ActiveMembers(ctx)
		if err == nil && active == c.members {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster did not form within %v: %d members are active: %w", formedWithin, active, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}
