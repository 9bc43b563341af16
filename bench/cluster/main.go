// Command cluster shows what happens to accepted events when the members of a cluster are
// killed, stopped, cut off from each other, restarted or lose their disks under load. It builds
// the server, runs every member as a process in a network namespace of its own, and prints the
// verdict of bench/check on each round. It exits with 1 when a promise is broken.
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
	"syscall"
	"time"
)

const (
	// maxRounds bounds a run, and shortWithin one that is short.
	maxRounds   = 10_000
	shortWithin = 10 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, quiet, err := parse(args)
	if err != nil {
		return err
	}
	if o.short {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, shortWithin)
		defer cancel()
	}
	if quiet {
		progress = nil
	}
	t := &trial{options: o, progress: progress}
	return t.run(ctx, out)
}

// replications are how many copies a cluster of a size has.
var replications = map[int]int{3: 2, 5: 3}

func parse(args []string) (o options, quiet bool, err error) {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 0, "rounds to make; 0 is one of each kind")
	flags.IntVar(&o.first, "first", 1, "the number of the first round: with the seed of an earlier run, repeats a round")
	flags.Uint64Var(&o.seed, "seed", 0, "repeat the decisions of an earlier run; 0 chooses one")
	flags.IntVar(&o.members, "members", 3, "members: 3 with two copies, 5 with three")
	flags.BoolVar(&o.short, "short", false, "a few rounds in at most ten minutes")
	flags.StringVar((*string)(&o.only), "only", "", "make rounds of this `fault` alone, as the table calls it, or of storms")
	flags.IntVar(&o.rate, "rate", 40, "events a second")
	flags.StringVar(&o.binary, "binary", "", "try this `file` instead of building the server")
	flags.StringVar(&o.keep, "keep", "", "keep data, logs and histories in this new `folder`")
	flags.BoolVar(&o.keepGoing, "keep-going", false, "begin another cluster after a broken round")
	flags.BoolVar(&o.listed, "listed", false, "what is listed as delivered must have been taken; where members change subscriptions without hearing each other it need not be")
	flags.BoolVar(&quiet, "quiet", false, "do not report each fault")
	loopback := flags.Bool("no-netns", false, "run on loopback, without partitions")
	if err := flags.Parse(args); err != nil {
		return o, quiet, err
	}
	o.network = !*loopback
	if o.replication = replications[o.members]; o.replication == 0 {
		return o, quiet, fmt.Errorf("--members: must be 3 or 5, got %d", o.members)
	}
	if faults := append(o.kinds(), storm); o.only != "" && !slices.Contains(faults, o.only) {
		return o, quiet, fmt.Errorf("--only: one of %q, got %q", faults, o.only)
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	if o.rounds == 0 {
		o.rounds = len(o.deck(0))
	}
	if o.rounds < 0 || o.rounds > maxRounds || o.first < 1 || o.rate < 1 || o.rate > 1000 {
		return o, quiet, fmt.Errorf("--rounds up to %d, --first from 1, --rate from 1 to 1000", maxRounds)
	}
	return o, quiet, nil
}
