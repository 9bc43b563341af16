// Command speed measures the server against the limit of the machine: the same load goes to
// Pannier, to the straight line (bench/straightline: the shortest durable program) and to
// the bare loop of an HTTP client, one after the other, again and again. What it prints are
// medians of the runs and of their ratios: figures of one run carry over to another machine
// as ratios only.
//
//	go run ./bench/speed                        every scenario, five runs each
//	go run ./bench/speed --runs 3 one fanout100
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The bounds of the options.
const (
	maxRuns       = 100
	maxDeliveries = 10_000_000
	maxRate       = 100_000
	maxLength     = time.Hour
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are how the program was asked to run.
type options struct {
	runs       int
	deliveries int           // of one run
	events     int           // of one run of ingest
	binary     string        // of the server; "": build it
	before     string        // another server to compare with; "": none
	alone      bool          // without the yardsticks
	rate       float64       // of latency, events/s; 0: measured
	length     time.Duration // of each run at a rate
	listen     string        // where the receiver is
	other      other         // measured instead of the server; its URL is "" when there is none
	plots      string        // where plots are drawn; "": nowhere
	scenarios  []scenario
}

// run gives the exit status: 0, 1 when something failed, 2 for wrong flags.
func run(arguments []string, out, progress io.Writer) int {
	o, err := parseOptions(arguments, progress)
	if err != nil {
		_, _ = fmt.Fprintln(progress, "speed:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, o, out, progress); err != nil {
		_, _ = fmt.Fprintln(progress, "speed:", err)
		return 1
	}
	return 0
}

func parseOptions(arguments []string, progress io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("speed", flag.ContinueOnError)
	f.SetOutput(progress)
	f.IntVar(&o.runs, "runs", 5, "runs of each scenario")
	f.IntVar(&o.deliveries, "deliveries", 200_000, "deliveries of each run")
	f.IntVar(&o.events, "events", 1_000_000, "events of each run of ingest")
	f.StringVar(&o.binary, "binary", "", "measure this server instead of building one")
	f.StringVar(&o.before, "before", "", "compare with this server, built from another commit")
	f.BoolVar(&o.alone, "alone", false, "leave the yardsticks out")
	f.Float64Var(&o.rate, "rate", 0, "events a second of latency (0: half of the rate with one subscription)")
	f.DurationVar(&o.length, "for", 20*time.Second, "how long each run at a rate takes")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "where the receiver takes deliveries, at /0, /1 and so on")
	f.StringVar(&o.other.to.url, "url", "", "post to this engine instead, which delivers to the receiver already")
	f.IntVar(&o.other.pid, "pid", 0, "the process of the engine at --url")
	f.StringVar(&o.other.to.template, "template", "", "the body that the engine at --url wants, with "+eventMark+" for the event")
	f.Func("header", "a header that the engine at --url wants, as \"Name: value\"; may be repeated", func(header string) error {
		o.other.to.headers = append(o.other.to.headers, header)
		return nil
	})
	f.StringVar(&o.plots, "plots", "", "draw the plots of fanouts, loads and registered into this folder")
	f.Usage = func() {
		_, _ = fmt.Fprintln(progress, "speed [flags] [scenario ...]; the scenarios are", strings.Join(names(scenarios), ", "))
		f.PrintDefaults()
	}
	if err := f.Parse(arguments); err != nil {
		return nil, err
	}
	if o.runs < 1 || o.runs > maxRuns {
		return nil, fmt.Errorf("--runs: must be between 1 and %d, got %d", maxRuns, o.runs)
	}
	if o.deliveries < 1 || o.deliveries > maxDeliveries {
		return nil, fmt.Errorf("--deliveries: must be between 1 and %d, got %d", maxDeliveries, o.deliveries)
	}
	if o.events < ingestBatch || o.events > maxDeliveries {
		return nil, fmt.Errorf("--events: must be between %d and %d, got %d", ingestBatch, maxDeliveries, o.events)
	}
	if o.rate < 0 || o.rate > maxRate {
		return nil, fmt.Errorf("--rate: must be between 0 and %d, got %v", maxRate, o.rate)
	}
	if o.length < time.Second || o.length > maxLength {
		return nil, fmt.Errorf("--for: must be between 1s and %v, got %v", maxLength, o.length)
	}
	o.scenarios = scenarios
	if f.NArg() > 0 {
		o.scenarios = nil
	}
	for _, name := range f.Args() {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q: there are %s", name, strings.Join(names(scenarios), ", "))
		}
		o.scenarios = append(o.scenarios, scenarios[i])
	}
	return o, o.checkOther()
}

func (o *options) checkOther() error {
	switch {
	case o.other.to.url == "":
		return nil
	case o.other.pid <= 0:
		return errors.New("--pid: must be given with --url")
	case slices.ContainsFunc(o.scenarios, func(s scenario) bool { return s.own }):
		return errors.New("--url: only scenarios that do not start servers of their own can be asked for")
	case o.other.to.template != "" && !strings.Contains(o.other.to.template, eventMark):
		return fmt.Errorf("--template: must hold %s", eventMark)
	default:
		return nil
	}
}

func measure(ctx context.Context, o *options, out, progress io.Writer) error {
	folder, err := os.MkdirTemp("", "pannier-speed-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // nothing follows from it
	contenders, err := build(ctx, o, folder)
	if err != nil {
		return err
	}
	for _, s := range o.scenarios {
		t := &trial{scenario: s, options: o, contenders: contenders, out: out, progress: progress}
		if err := t.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
