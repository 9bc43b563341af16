package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"syscall"

	"pannier/bench/fill"
	"pannier/bench/load/server"
)

// filled is what a server has in its folder before the load.
type filled struct {
	name    string
	content fill.Content
}

const registeredName = "registered"

// matching is how many of the registered subscriptions get events.
const matching = 1000

var (
	registered = []filled{
		{"1", fill.Content{Subscriptions: 1, Active: 1}},
		{"1,000", fill.Content{Subscriptions: 1000, Active: matching}},
		{"100,000", fill.Content{Subscriptions: 100_000, Active: matching}},
		{"1,000,000", fill.Content{Subscriptions: 1_000_000, Active: matching}},
	}
	retained = []filled{
		{"none", fill.Content{Subscriptions: matching, Active: matching}},
		{"10,000,000", fill.Content{Subscriptions: matching, Active: matching, Events: 10_000_000}},
	}
)

// measureFilled measures the server with each content of its folder, in turns. A folder is
// filled once and keeps what the runs before have added.
func measureFilled(contents []filled) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		servers := make([]contender, len(contents))
		active := make(map[string]int)
		for i, c := range contents {
			_, _ = fmt.Fprintf(t.progress, "%s: filling a folder, %s\n", t.name, c.name)
			data := filepath.Join(t.folder, fmt.Sprint(i))
			c.content.Endpoint = t.to.endpoint(0)
			if err := fill.Folder(ctx, data, c.content); err != nil {
				return err
			}
			servers[i] = contender{name: c.name, start: engine{binary: t.contenders[0].binary, data: data}.start}
			active[c.name] = c.content.Active
		}
		syscall.Sync() // what was filled is not written while the load is on
		results, err := t.inTurns(servers, func(c contender) (result figures, err error) {
			l := deliveryLoad(t.deliveries, t.to, func(n int64) string { return fill.Topic(int(n) % active[c.name]) })
			err = underLoad(ctx, c, t.to, 0, func(r *running, meter *server.Meter) error {
				idle, err := l.measure(ctx, t.to, r.to, meter, 1) // a large heap is touched for the first time
				if err != nil {
					return err
				}
				result, err = l.measure(ctx, t.to, r.to, meter, 1)
				result.idle = idle.idle
				return err
			})
			return result, err
		})
		if err != nil {
			return err
		}
		report(t.out, t.scenario, servers, results, costs)
		return t.plotFilled(contents, results)
	}
}

// plotFilled draws the deliveries against the registrations.
func (t *trial) plotFilled(contents []filled, results [][]figures) error {
	if t.name != registeredName || t.plots == "" {
		return nil
	}
	curve := series{
		title: "deliveries against registered subscriptions", x: "registered", y: "delivered/s", logarithmic: true,
		lines: []line{{name: "engine"}},
	}
	for i, c := range contents {
		curve.add(float64(c.content.Subscriptions), []contender{{name: "engine"}}, results[i:i+1], func(f figures) float64 { return f.delivered })
	}
	return curve.show(io.Discard, t.plots, t.name)
}
