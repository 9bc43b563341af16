// Command startup measures how long a server with much to remember takes to be ready: by
// default 100,000 subscriptions, of which 1,000 have 100,000 retry records between them, half
// of them overdue. It fills a data folder through the storage package, starts a server on it
// that was built from this module, and waits until /readyz says 200: once after the folder
// was closed in good order and once after the server was killed. It exits 1 when a start
// takes longer than five seconds.
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
)

// maxStart is the bound.
const maxStart = 5 * time.Second

// options say how much there is to remember.
type options struct {
	subscriptions int
	active        int // of them, those with retry records
	records       int
	binary        string // "": built
}

func main() {
	o := options{}
	flag.IntVar(&o.subscriptions, "subscriptions", 100_000, "registered subscriptions")
	flag.IntVar(&o.active, "active", 1000, "subscriptions that have retry records")
	flag.IntVar(&o.records, "records", 100_000, "retry records")
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
	if o.active < 1 || o.active > o.subscriptions || o.records < o.active {
		return errors.New("there must be at least one active subscription, no more of them than subscriptions, and a record for each")
	}
	folder, err := os.MkdirTemp("", "pannier-startup-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if o.binary == "" {
		o.binary = filepath.Join(folder, "pannier")
		if err := build(ctx, o.binary); err != nil {
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
	if err := fill(ctx, data, endpoint.url, o); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "start\tready after\tprocessor time\tmemory\tpending\t")
	var slow error
	for _, after := range []string{"after a clean stop", "after a kill"} {
		s, err := startServer(ctx, o.binary, data)
		if err != nil {
			return fmt.Errorf("start %s: %w", after, err)
		}
		_, _ = fmt.Fprintf(table, "%s\t%.2f s\t%.2f s\t%d MiB\t%d\t\n", after, s.ready.Seconds(), s.cpu.Seconds(), s.memory>>20, s.pending)
		if s.ready > maxStart {
			slow = fmt.Errorf("the start %s took %v, at most %v is allowed", after, s.ready, maxStart)
		}
		if s.pending < int64(o.records)/2 { // the rest may have been delivered meanwhile
			slow = errors.Join(slow, fmt.Errorf("the start %s knows of %d pending deliveries only", after, s.pending))
		}
	}
	_, _ = fmt.Fprintf(out, "%d subscriptions, %d retry records of %d of them\n", o.subscriptions, o.records, o.active)
	_ = table.Flush()
	return slow
}
