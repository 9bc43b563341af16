// Command sim runs clusters in virtual time: the code that decides what a member does
// (cluster/protocol, engine/delivery, engine/ledger, engine's table) under a seeded schedule of
// kills, pauses, partitions, lost and stale disks, drains and bad links, with disks that lose
// what was not synced. One seed and one commit give one run.
//
//	sim --seeds 500              500 runs, one after the other
//	sim --seed 17 --trace        one run, with everything that happened
//	sim --exhaustive             every order of what happens to two events (exhaustive.go)
//
// It ends with status 1, the seed and the rule when one is broken (judge.go).
package main

import (
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

type options struct {
	seeds, seed   uint64
	members       int
	replication   int
	subscriptions int
	faultsFor     time.Duration
	settleFor     time.Duration
	rate          time.Duration
	doubles       float64
	trace         bool
	workers       int
	fault         string
	exhaustive    bool
	short         bool
}

func main() {
	debug.SetGCPercent(400) // it makes much garbage and keeps little: 1.15 times the speed
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	o := options{}
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	flags.Uint64Var(&o.seeds, "seeds", 100, "how many runs")
	flags.Uint64Var(&o.seed, "seed", 1, "the first of them")
	flags.IntVar(&o.members, "members", 0, "members of the cluster (0: 3 and 5 in turn)")
	flags.IntVar(&o.subscriptions, "subscriptions", 8, "live subscriptions")
	flags.DurationVar(&o.faultsFor, "faults-for", time.Minute, "how long, in virtual time, things go wrong")
	flags.DurationVar(&o.settleFor, "settle-for", 3*time.Minute, "how long they have to settle")
	flags.DurationVar(&o.rate, "every", 100*time.Millisecond, "how often an event is posted")
	flags.Float64Var(&o.doubles, "doubles", 0.01, "how many envelopes arrive twice")
	flags.BoolVar(&o.trace, "trace", false, "print what happened")
	flags.StringVar(&o.fault, "fault", "", "only this `fault`: kill, kill all, pause, drain …")
	flags.IntVar(&o.workers, "workers", 1, "runs at a time")
	flags.BoolVar(&o.exhaustive, "exhaustive", false, "go through every order of what happens to two events, instead of seeds")
	flags.BoolVar(&o.short, "short", false, "with fewer orders")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if o.fault != "" && !slices.Contains(faultNames(), o.fault) {
		return fmt.Errorf("there is no fault %q: %s", o.fault, strings.Join(faultNames(), ", "))
	}
	if o.exhaustive {
		return exploreAll(o.short, out)
	}
	return runAll(o, out)
}

// runAll runs every seed and sums up. Runs have nothing in common, so several may run at a time;
// what is printed is in order of the seeds, and ends with the first that found something.
func runAll(o options, out io.Writer) error {
	began := time.Now()
	sum := newTally()
	for w := range played(o) {
		if _, err := io.WriteString(out, strings.Join(w.trace, "")); err != nil {
			return err
		}
		if v := w.judge.verdict; v != nil {
			return fmt.Errorf("seed %d, %d members, replication %d, after %.3f s: %w",
				w.seed, w.options.members, w.options.replication, w.now.Sub(epoch).Seconds(), v)
		}
		sum.add(w)
	}
	return sum.print(out, time.Since(began))
}

// played gives the runs of all seeds, in order.
func played(o options) iter.Seq[*world] {
	return func(yield func(*world) bool) {
		slots := make(chan struct{}, max(o.workers, 1))
		runs := make([]chan *world, o.seeds)
		for n := range runs {
			runs[n] = make(chan *world, 1)
		}
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for n, run := range runs {
				select {
				case slots <- struct{}{}:
				case <-stop:
					return
				}
				go func() {
					seed := o.seed + uint64(n) //nolint:gosec // not negative
					w := newWorld(sized(o, seed), seed)
					w.play()
					run <- w
					<-slots
				}()
			}
		}()
		for _, run := range runs {
			if !yield(<-run) {
				return
			}
		}
	}
}

// sized gives a seed its cluster: three members with two copies, or five with three.
func sized(o options, seed uint64) options {
	if o.members == 0 {
		o.members = 3 + 2*int(seed%2)
	}
	o.replication = (o.members + 1) / 2
	return o
}

// play is one run: a start, a time of faults, a time to settle.
func (w *world) play() {
	for _, m := range w.members {
		w.startLater(m, w.between(0, time.Second))
	}
	w.every(gossipEvery, w.gossip)
	w.runFor(10 * time.Second)
	w.every(w.options.rate, w.produce)
	w.every(2*time.Second, w.edit)
	w.runFor(5 * time.Second)
	w.misfortune()
	w.runFor(w.options.faultsFor)
	w.heal()
	w.runFor(w.options.settleFor)
	if w.judge.verdict == nil {
		w.judge.settled()
	}
}
