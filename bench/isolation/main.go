// Command isolation measures whether trouble stays where it is: 20 healthy subscriptions of
// one topic get their events as fast beside an endpoint that accepts connections and never
// answers, with 20,000 deliveries due, and beside a flooded lane of its own, as they do
// alone.
//
// Each run drives a server of its own, built from this module, on loopback and an empty
// folder: first the healthy load alone, then the same load with the trouble. The latency of
// a delivery counts from the start of the request that posts its event to its receipt, so
// accepting it is part of it. The bound holds when the p99 with trouble is at most 1.5 times
// the p99 alone, or 5 ms more, in the median of the runs; the program exits 1 when it does
// not.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"pannier/bench/load/server"
)

// The bound.
const (
	maxRatio  = 1.5
	maxExcess = 5 * time.Millisecond
)

// options say how much is done. The rates are modest because producers, receivers and
// server share the processors: latency is measured, not throughput.
type options struct {
	runs    int
	measure time.Duration // alone, and again with trouble
	rate    int           // healthy events a second; each has healthySubscriptions deliveries
	flood   int           // flooding events a second
	backlog int           // deliveries of each endpoint that does not answer
	holes   int           // such endpoints
	binary  string        // "": built
}

func main() {
	o := options{}
	short := flag.Bool("short", false, "two runs of four seconds, judged by the better one")
	flag.IntVar(&o.runs, "runs", 5, "paired runs")
	flag.DurationVar(&o.measure, "measure", 10*time.Second, "how long each half of a run is measured")
	flag.IntVar(&o.rate, "rate", 100, "healthy events a second, each to 20 subscriptions")
	flag.IntVar(&o.flood, "flood", 2000, "events a second of the flooded lane")
	flag.IntVar(&o.backlog, "backlog", 20_000, "deliveries due to each endpoint that does not answer")
	flag.IntVar(&o.holes, "black-holes", 1, "endpoints that do not answer; those beyond the first keep the server's timeout of 30 s")
	flag.StringVar(&o.binary, "binary", "", "server to measure; built when not given")
	flag.Parse()
	if *short {
		o.runs, o.measure = 2, 4*time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx, o, *short, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "isolation: %v\n", err)
		os.Exit(1)
	}
}

// measure makes the paired runs, prints their table and judges them.
func measure(ctx context.Context, o options, short bool, out, progress io.Writer) error {
	if o.runs < 1 || o.rate < 1 || o.flood < 1 || o.backlog < 1 || o.holes < 1 || o.measure < time.Second {
		return fmt.Errorf("every option must be at least 1, and each half at least a second")
	}
	folder, err := os.MkdirTemp("", "pannier-isolation-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a binary in the temporary folder
	if o.binary == "" {
		o.binary = filepath.Join(folder, "pannier")
		if err := server.Build(ctx, "pannier/cmd/pannier", o.binary); err != nil {
			return err
		}
	}
	var pairs []pair
	for n := range o.runs {
		_, _ = fmt.Fprintf(progress, "run %d of %d\n", n+1, o.runs)
		p, err := runPair(ctx, o)
		if err != nil {
			return err
		}
		pairs = append(pairs, p)
	}
	report(out, o, pairs)
	return judge(pairs, short)
}

// pair is what one run measured.
type pair struct {
	alone, trouble summary
	attempted      int // attempts on the endpoint that does not answer, while measured
	flooded        int // deliveries of the flooded lane, while measured
	pending        int64
}

// used is how much of what the bound allows was used: above 1 it is broken.
func (p pair) used() float64 {
	allowed := max(time.Duration(maxRatio*float64(p.alone.p99)), p.alone.p99+maxExcess)
	return float64(p.trouble.p99) / float64(allowed)
}

func report(out io.Writer, o options, pairs []pair) {
	_, _ = fmt.Fprintf(out, "%d healthy events/s to %d subscriptions; flood %d events/s; %d black holes with %d deliveries due; %v each\n",
		o.rate, healthySubscriptions, o.flood, o.holes, o.backlog, o.measure)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "run\talone p50\tp99\tmax\ttrouble p50\tp99\tmax\tp99 ratio\tof the bound\tflooded/s\tblack hole attempts\tdue\t")
	for n, p := range pairs {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%.0f %%\t%.0f\t%d\t%d\t\n", n+1,
			milliseconds(p.alone.p50), milliseconds(p.alone.p99), milliseconds(p.alone.max),
			milliseconds(p.trouble.p50), milliseconds(p.trouble.p99), milliseconds(p.trouble.max),
			float64(p.trouble.p99)/float64(p.alone.p99), 100*p.used(),
			float64(p.flooded)/o.measure.Seconds(), p.attempted, p.pending)
	}
	_ = table.Flush()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// judge takes the median of the runs; of two short ones, which one hiccup of the machine
// can spoil, the better.
func judge(pairs []pair, short bool) error {
	used := make([]float64, 0, len(pairs))
	for _, p := range pairs {
		used = append(used, p.used())
	}
	slices.Sort(used)
	middle := used[len(used)/2]
	if short {
		middle = used[0]
	}
	if middle > 1 {
		return fmt.Errorf("the p99 of healthy subscriptions uses %.0f %% of the bound (%.1f times the p99 alone, or %v more)",
			100*middle, maxRatio, maxExcess)
	}
	return nil
}
