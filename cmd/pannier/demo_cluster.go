package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pannier/engine"
)

const (
	// demoFewest is the smallest cluster of which one member may be lost: with two, the other
	// one could make no second copy and would answer 503.
	demoFewest = 3
	demoMost   = 9
	// demoCopies is on how many members an event is before it is answered.
	demoCopies = 2
	// clusterDuration is how long events are posted when nothing was asked for.
	clusterDuration = 30 * time.Second
	// clusterSlow is how long the slow receiver takes: it must have caught up at the end.
	clusterSlow = 200 * time.Millisecond
)

// demoLanes is the configuration of every member: as that of the demo in one process.
const demoLanes = `lanes:
  - name: positions
    topics: ["` + topicPosition + `"]
    retention: 6h
`

// clusterDemo is the demo on members that are processes of their own, of which one is killed
// and comes back while events go on.
//
//	fleet ──► producer ──► member-1 … member-N ──► receivers, each with its own tally
//	             │              ▲                       │
//	             │        kill -9, back                 │
//	             └───── accepted ────── compared ───── taken
type clusterDemo struct {
	demo
	members  []*demoMember
	producer *demoProducer
	fault    *demoFault
	board    *clusterBoard
}

// runCluster makes the members and their folder, shows the demo and ends them again. What they
// logged stays when something failed.
func (d *demoCommand) runCluster(ctx context.Context, c console) (err error) {
	switch {
	case d.Members < demoFewest || d.Members > demoMost:
		return usagef("--members: must be 1, or %d to %d of which one may be lost, got %d", demoFewest, demoMost, d.Members)
	case d.Data != "" || d.Listen != defaultDemoListen:
		return usagef("--members: the members of a cluster have folders and ports of their own, without --data and --listen")
	case d.Duration == 0:
		d.Duration = clusterDuration
	}
	whole, stop := untilTwice(ctx)
	defer stop()
	folder, err := os.MkdirTemp("", "pannier-demo-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, tidy(c, folder, err != nil)) }()
	members, err := newDemoMembers(d.Members, folder)
	if err != nil {
		return err
	}
	defer func() {
		for _, m := range members {
			err = errors.Join(err, m.kill())
		}
	}()
	return showCluster(ctx, whole, c, demoOptions{URL: members[0].url, Data: folder, Duration: d.Duration}, members)
}

// newDemoMembers configures the members of one cluster, with a new key.
func newDemoMembers(number int, folder string) ([]*demoMember, error) {
	key, config := filepath.Join(folder, "cluster.key"), filepath.Join(folder, "pannier.yaml")
	var drawn bytes.Buffer
	if err := (clusterKeygen{}).Run(console{out: &drawn}); err != nil {
		return nil, err
	}
	for file, content := range map[string]string{key: drawn.String(), config: demoLanes} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("write a file of the members: %w", err)
		}
	}
	ports, err := drawPorts(3 * number)
	if err != nil {
		return nil, err
	}
	listen, bind, streams := ports[:number], ports[number:2*number], ports[2*number:]
	members := make([]*demoMember, number)
	for n := range members {
		m := &demoMember{name: fmt.Sprintf("member-%d", n+1), listen: listen[n], url: "http://" + listen[n]}
		m.log = filepath.Join(folder, m.name+".log")
		if m.api, err = newClient(m.url, ""); err != nil {
			return nil, err
		}
		m.args = []string{
			"serve", "--config", config, "--data", filepath.Join(folder, m.name), "--listen", listen[n],
			"--bind", bind[n], "--rpc", streams[n], "--cluster-key", key, "--replication", fmt.Sprint(demoCopies),
			"--allow-insecure-endpoints", "--allow-private", "127.0.0.0/8",
		}
		for _, other := range bind {
			m.args = append(m.args, "--join", other)
		}
		members[n] = m
	}
	return members, nil
}

// tidy removes the folder, but for the logs of a run that failed.
func tidy(c console, folder string, failed bool) error {
	if !failed {
		return os.RemoveAll(folder)
	}
	entries, err := os.ReadDir(folder)
	kept := false
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".log" {
			kept = true
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry.Name())))
	}
	if !kept {
		return errors.Join(err, os.RemoveAll(folder))
	}
	c.note("what the members logged is in " + folder)
	return err
}

// showCluster starts the members, posts the fleet's events to them, kills one, and judges what
// became of every event.
func showCluster(ctx, whole context.Context, c console, o demoOptions, members []*demoMember) error {
	if err := startAll(ctx, members); err != nil {
		return err
	}
	started := time.Now()
	d := &clusterDemo{
		demo: demo{
			options: o, console: c, api: members[0].api, started: started, fleetTime: started.Add(-demoSpeed * o.Duration),
		},
		members: members, producer: &demoProducer{members: members},
	}
	d.fleet = newFleet(fleetOptions{Seed: 1, Bikes: demoBikes, Start: d.fleetTime, PositionEvery: demoPositionEvery})
	stop, err := d.receive(ctx, d.clusterReceivers())
	defer stop()
	if err != nil {
		return err
	}
	if d.fault, err = d.planFault(ctx); err != nil {
		return err
	}
	d.board = newClusterBoard(d)
	d.introduceCluster()
	return d.play(ctx, whole)
}

func startAll(ctx context.Context, members []*demoMember) error {
	for _, m := range members {
		if err := m.start(); err != nil {
			return err
		}
	}
	for _, m := range members {
		if err := m.await(ctx, memberReady); err != nil {
			return err
		}
	}
	return nil
}

func (d *clusterDemo) introduceCluster() {
	var members strings.Builder
	for _, m := range d.members {
		fmt.Fprintf(&members, "  %s  %s/v1  process %d\n", m.name, m.url, m.pid())
	}
	d.console.print(fmt.Sprintf(`pannier demo: a cluster of %d on loopback, no keys; it ends after %v and what settling takes, or with ctrl-c
  %d bikes in Nantes post trips and positions, their clock runs %d times faster
  each event is on %d members before it is answered
%s  data      %s
  try       PANNIER_URL=%s pannier cluster

`, len(d.members), d.options.Duration, demoBikes, demoSpeed, demoCopies, members.String(), d.options.Data, d.options.URL))
}

// clusterReceivers misbehave as those of the demo in one process do, but so that all deliveries
// can have ended soon after the last event.
func (d *clusterDemo) clusterReceivers() []*demoReceiver {
	down, patient := d.options.Duration/2, engine.MaxRetries
	insistent := subscriptionBody{Retry: &retryBody{MaxRetries: &patient, MinDelay: "1s", MaxDelay: "3s"}}
	return []*demoReceiver{
		{name: "healthy", behaviour: "answers at once", tally: newTally()},
		{name: "slow", behaviour: fmt.Sprintf("answers after %v", clusterSlow), misbehave: slowBy(clusterSlow), tally: newTally()},
		{name: "flaky", behaviour: "answers one of three with 500", misbehave: flaky, change: insistent, tally: newTally()},
		{
			name: "down", behaviour: fmt.Sprintf("down for %v, then recovers", down),
			misbehave: downUntil(d.started.Add(down)), change: insistent, tally: newTally(),
		},
	}
}
