// Command startup measures how long a server with much to remember takes to be ready and to
// deliver: by default 100,000 subscriptions, of which 1,000 have 100,000 retry records between
// them, half of them overdue. It fills a data folder, starts a server on it that was built
// from this module, posts as many events again that nobody takes, kills the server and starts
// it a second time. It exits 1 when a start takes too long.
//
//	go run ./bench/startup
//	go run ./bench/startup --subscriptions 1000 --records 1000000 --undischarged 1000000 --within 3s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"text/tabwriter"
	"time"

	"pannier/bench/fill"
	"pannier/bench/load/server"
)

// dueSpread is how far the records' due times lie on both sides of now.
const dueSpread = 30 * time.Minute

// options say how much there is to remember.
type options struct {
	subscriptions int
	active        int // of them, those with retry records
	records       int
	undischarged  int           // events
	within        time.Duration // the bound of both: the API answers, and the first delivery
	binary        string        // "": built
}

func main() {
	o := options{}
	flag.IntVar(&o.subscriptions, "subscriptions", 100_000, "registered subscriptions")
	flag.IntVar(&o.active, "active", 1000, "subscriptions that have retry records")
	flag.IntVar(&o.records, "records", 100_000, "retry records")
	flag.IntVar(&o.undischarged, "undischarged", 100_000, "events posted before the kill, none of which is delivered")
	flag.DurationVar(&o.within, "within", 5*time.Second, "how long a start may take, from the exec to the first delivery")
	flag.StringVar(&o.binary, "binary", "", "server to measure; built when not given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx, o, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "startup: %v\n", err)
		os.Exit(1)
	}
}

// measure fills a folder, starts servers on it, prints a table and judges it.
func measure(ctx context.Context, o options, out, progress io.Writer) (err error) {
	if o.undischarged < 1 {
		return errors.New("there must be at least one undischarged event")
	}
	folder, err := os.MkdirTemp("", "pannier-startup-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if o.binary == "" {
		o.binary = filepath.Join(folder, "pannier")
		if err := server.Build(ctx, "pannier/cmd/pannier", o.binary); err != nil {
			return err
		}
	}
	endpoint, err := startEndpoint(ctx)
	if err != nil {
		return err
	}
	defer endpoint.close()
	_, _ = fmt.Fprintln(progress, "filling the data folder")
	data := filepath.Join(folder, "data")
	if err := fill.Folder(ctx, data, fill.Content{
		Subscriptions: o.subscriptions, Active: o.active, Endpoint: endpoint.url,
		Events: o.records, Records: o.records, DueFrom: -dueSpread, DueThrough: dueSpread,
	}); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "start\tready after\tfirst delivery\tprocessor time\tmemory\tpending\t")
	var slow error
	pending := o.records / 2 // the rest may be delivered before they are counted
	for n, after := range []string{"after a clean stop", "after a kill"} {
		undischarged := o.undischarged * (1 - n)
		s, err := startServer(ctx, o, data, endpoint, undischarged)
		if err != nil {
			return fmt.Errorf("start %s: %w", after, err)
		}
		_, _ = fmt.Fprintf(table, "%s\t%.2f s\t%.2f s\t%.2f s\t%d MiB\t%d\t\n",
			after, s.ready.Seconds(), s.first.Seconds(), s.cpu.Seconds(), s.memory>>20, s.pending)
		if took := max(s.ready, s.first); took > o.within {
			slow = errors.Join(slow, fmt.Errorf("the start %s took %v, at most %v is allowed", after, took, o.within))
		}
		if s.pending < int64(pending) {
			slow = errors.Join(slow, fmt.Errorf("the start %s knows of %d pending deliveries only", after, s.pending))
		}
		pending += undischarged / 2
	}
	_, _ = fmt.Fprintf(out, "%d subscriptions, %d retry records of %d of them, then %d undischarged events\n",
		o.subscriptions, o.records, o.active, o.undischarged)
	_ = table.Flush()
	return slow
}
