package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"pannier/bench/load/server"
)

// contender is what is measured, and a column of the report.
type contender struct {
	name   string
	binary string // of a server; "": it is a yardstick
	start  func(ctx context.Context, to *receiver, subscriptions int) (*running, error)
}

const bareLoop = "bare loop"

// running is a program under load.
type running struct {
	to   address // of the events
	pids []int
	stop func() error
	disk func() (int64, error) // bytes of a server's data folder
}

// build gives the contenders that are asked for, the engine first.
func build(ctx context.Context, o *options, folder string) ([]contender, error) {
	if o.other.to.url != "" {
		return []contender{{name: "other", start: o.other.start}}, nil
	}
	binary := o.binary
	if binary == "" {
		binary = filepath.Join(folder, "pannier")
		if err := server.Build(ctx, "pannier/cmd/pannier", binary); err != nil {
			return nil, err
		}
	}
	list := []contender{{"engine", binary, engine{binary: binary}.start}}
	if o.before != "" {
		list = append(list, contender{"before", o.before, engine{binary: o.before}.start})
	}
	if o.alone {
		return list, nil
	}
	y := yardstick{binary: filepath.Join(folder, "straightline"), log: filepath.Join(folder, "straightline.log")}
	if err := server.Build(ctx, "pannier/bench/straightline", y.binary); err != nil {
		return nil, err
	}
	return append(list, contender{"straight line", "", y.start}, contender{bareLoop, "", y.startBare}), nil
}

// tracing samples traces as an operator would have it.
func tracing(collector string) []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01",
	}
}

// engine is a server and what it is to have.
type engine struct {
	binary string
	data   string   // its folder; "": a new one
	topics []string // of its subscriptions; nil: the one topic
	path   string   // of their endpoint; "": each its own
	slow   bool     // one more subscription, at the endpoint that takes its time
}

// start starts it, with so many subscriptions beside those of its folder; they go with it.
func (e engine) start(ctx context.Context, to *receiver, subscriptions int) (*running, error) {
	child, err := server.Start(ctx, server.Options{Binary: e.binary, Data: e.data, Environment: tracing(to.url)}, io.Discard)
	if err != nil {
		return nil, err
	}
	client, err := server.NewClient(child.URL, "", 1)
	if err != nil {
		return nil, errors.Join(err, child.Stop())
	}
	made, err := e.subscribe(ctx, client, to, subscriptions)
	if err != nil {
		return nil, errors.Join(err, child.Stop())
	}
	stop := func() error {
		defer client.Close()
		var err error
		for _, id := range made {
			if e.data != "" { // the next one would have them too
				err = errors.Join(err, client.Unsubscribe(ctx, id))
			}
		}
		return errors.Join(err, child.Stop())
	}
	return &running{to: address{url: child.URL + "/v1/events"}, pids: []int{child.PID}, stop: stop, disk: child.DiskBytes}, nil
}

func (e engine) subscribe(ctx context.Context, client *server.Client, to *receiver, subscriptions int) (made []string, err error) {
	topics := e.topics
	if topics == nil {
		topics = []string{topic}
	}
	endpoints := to.endpoints(subscriptions)
	if e.path != "" {
		endpoints = slices.Repeat([]string{to.url + e.path}, subscriptions)
	}
	if e.slow {
		endpoints = append(endpoints, to.url+slowPath)
	}
	for _, endpoint := range endpoints {
		s, err := client.Subscribe(ctx, endpoint, topics, "")
		if err != nil {
			return nil, err
		}
		made = append(made, s.ID)
	}
	return made, nil
}

// other is an engine that runs already and delivers to the receiver's endpoints.
type other struct {
	to  address
	pid int // of the process whose time and memory count
}

func (o other) start(context.Context, *receiver, int) (*running, error) {
	return &running{to: o.to, pids: []int{o.pid}, stop: func() error { return nil }}, nil
}

// yardstick is bench/straightline. It ends when it is told to or when ctx ends.
type yardstick struct{ binary, log string }

func (y yardstick) start(ctx context.Context, to *receiver, subscriptions int) (*running, error) {
	r, output, err := y.run(ctx, to, subscriptions)
	if err != nil {
		return nil, err
	}
	url, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the straight line: %w", err), r.stop())
	}
	r.to.url = strings.TrimSpace(url) + "/v1/events"
	return r, nil
}

func (y yardstick) startBare(ctx context.Context, to *receiver, subscriptions int) (*running, error) {
	r, _, err := y.run(ctx, to, subscriptions, "--bare")
	return r, err
}

// run starts the program and gives what it prints.
func (y yardstick) run(ctx context.Context, to *receiver, subscriptions int, more ...string) (*running, io.Reader, error) {
	ctx, cancel := context.WithCancel(ctx)
	arguments := append([]string{"--file", y.log, "--to", strings.Join(to.endpoints(subscriptions), ",")}, more...)
	command := exec.CommandContext(ctx, y.binary, arguments...) //nolint:gosec // built by this program
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("start the straight line: %w", err)
	}
	return &running{pids: []int{command.Process.Pid}, stop: func() error {
		cancel()
		_ = command.Wait() // it was killed
		if err := os.Remove(y.log); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the log: %w", err)
		}
		return nil
	}}, output, nil
}
