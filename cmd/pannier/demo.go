package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

const (
	// demoBikes is the size of the fleet.
	demoBikes = 200
	// demoSpeed is how much faster the fleet's clock runs: a trip of ten minutes is seen
	// from its start to its end.
	demoSpeed = 30
	// demoPositionEvery is on the fleet's clock: each bike on a trip reports once a second
	// of ours.
	demoPositionEvery = demoSpeed * time.Second
	// demoStep is how often events are posted, and demoFrame how often figures are shown.
	demoStep  = 100 * time.Millisecond
	demoFrame = time.Second
	// demoLongest is how long the fleet's clock stays behind ours when nothing ends the demo.
	demoLongest = time.Hour
	// demoEnd bounds the calls and the stop after the last event.
	demoEnd = 20 * time.Second
	// defaultDemoListen is as in the tag of demoCommand.Listen.
	defaultDemoListen = "127.0.0.1:0"
)

// demoCommand shows the engine at work, with everything in this process; or a cluster, whose
// members are processes of their own.
type demoCommand struct {
	Members  int           `default:"1" placeholder:"N" help:"3 or more: run a cluster, kill a member and bring it back (${default})."`
	Duration time.Duration `placeholder:"DURATION" help:"Run this long; without it, until ctrl-c, or 30s with --members."`
	Listen   string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Serve the API on this loopback address (${default})."`
	Data     string        `placeholder:"DIR" help:"Keep the data here; without it, in a folder that is removed at the end."`
}

// Run starts the engine, shows the demo and stops the engine.
func (d *demoCommand) Run(ctx context.Context, c console) (err error) {
	if d.Duration < 0 {
		return usagef("--duration: must not be negative")
	}
	if d.Members != 1 {
		return d.runCluster(ctx, c)
	}
	if d.Data == "" {
		folder, err := os.MkdirTemp("", "pannier-demo-")
		if err != nil {
			return fmt.Errorf("make a data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		d.Data = folder
	}
	cfg := d.config()
	if err := cfg.check(func(string) string { return "" }); err != nil {
		return err
	}
	s, err := startServer(ctx, cfg, c.err)
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoEnd)
		defer cancel()
		err = errors.Join(err, s.Close(stop))
	}()
	return runDemo(ctx, c, demoOptions{URL: s.URL(), Data: d.Data, Duration: d.Duration})
}

// config is that of a server in development mode that may reach loopback, with a lane for
// positions: a flood of them must not delay trips.
func (d *demoCommand) config() Config {
	return Config{
		Data: d.Data, Listen: d.Listen, Retention: engine.DefaultRetention,
		AllowInsecureEndpoints: true,
		AllowPrivate:           []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		LogLevel:               slog.LevelError,
		Lanes: []engine.LaneConfig{{
			Name: "positions", Topics: []match.Pattern{topicPosition}, Retention: 6 * time.Hour,
			MaxInFlight: defaultLaneInFlight, WindowShare: defaultWindowShare,
		}},
		clusterFlags: clusterFlags{Replication: 1},
	}
}

// demoOptions say which server the demo is shown on.
type demoOptions struct {
	URL      string
	Data     string
	Duration time.Duration // 0: until the context ends
}

// demo is one run of it.
type demo struct {
	options   demoOptions
	console   console
	api       *client
	receivers []*demoReceiver
	fleet     *fleet
	started   time.Time
	fleetTime time.Time // of the fleet's clock at started
}

// runDemo subscribes the receivers, posts the fleet's events and shows what becomes of
// them, all over the public API.
func runDemo(ctx context.Context, c console, o demoOptions) error {
	api, err := newClient(o.URL, "")
	if err != nil {
		return err
	}
	d := &demo{options: o, console: c, api: api, started: time.Now()}
	// The fleet's clock runs faster: it starts in the past and ends at now.
	d.fleetTime = d.started.Add(-demoSpeed * cmp.Or(o.Duration, demoLongest))
	d.fleet = newFleet(fleetOptions{Seed: 1, Bikes: demoBikes, Start: d.fleetTime, PositionEvery: demoPositionEvery})
	d.introduce()
	stop, err := d.receive(ctx, d.newReceivers())
	defer stop()
	if err != nil {
		return err
	}
	if err := d.show(ctx); err != nil {
		return err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoEnd)
	defer cancel()
	return d.summarise(end)
}

func (d *demo) introduce() {
	ending := "ctrl-c ends it"
	if d.options.Duration > 0 {
		ending = fmt.Sprintf("it ends after %v or with ctrl-c", d.options.Duration)
	}
	d.console.print(fmt.Sprintf(`pannier demo: no keys, everything on loopback; %s
  %d bikes in Nantes post trips and positions, their clock runs %d times faster
  API   %s/v1
  docs  %s/docs
  data  %s
  try   curl -s %s/v1/subscriptions

`, ending, demoBikes, demoSpeed, d.options.URL, d.options.URL, d.options.Data, d.options.URL))
}

// show posts and draws until the duration is over or ctx ends.
func (d *demo) show(ctx context.Context) error {
	if d.options.Duration > 0 {
		limited, cancel := context.WithTimeout(ctx, d.options.Duration)
		defer cancel()
		ctx = limited
	}
	board := newScoreboard(d)
	if err := board.draw(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	steps, frames := time.NewTicker(demoStep), time.NewTicker(demoFrame)
	defer steps.Stop()
	defer frames.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-steps.C:
			err = d.post(ctx)
		case <-frames.C:
			err = board.draw(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// post moves the fleet on and posts what happened as one batch. The events carry no
// timestamp: that of their accept is what the healthy receiver measures from.
func (d *demo) post(ctx context.Context) error {
	drafts := d.fleet.Step(d.fleetTime.Add(demoSpeed * time.Since(d.started)))
	if len(drafts) == 0 {
		return nil
	}
	var lines []byte
	for _, draft := range drafts {
		line, err := eventBody{Topic: draft.Topic, data: draft.Data}.encode()
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	_, err := d.api.do(ctx, call{
		method: http.MethodPost, path: pathOf("events"), body: lines, kind: "application/x-ndjson",
	})
	if err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	return nil
}
