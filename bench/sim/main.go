// Command sim runs clusters in virtual time: the code that decides what a member does
// (cluster/protocol, engine/delivery, engine/ledger, engine's table) under a seeded schedule of
// kills, pauses, partitions, lost and stale disks, drains and bad links, with disks that lose
// what was not synced. One seed and one commit give one run.
//
//	sim --seeds 500              500 runs, one after the other
//	sim --seed 17 --trace        one run, with everything that happened
//
// It ends with status 1 and the seed when a rule is broken: an event answered without its
// copies (I1), a delivery discharged without an end (I2), a last copy removed (I3), a journal
// without a keeper (I4), an event that never arrived, or members that do not become the same.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
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
}

func main() {
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
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	return runAll(o, out)
}

// runAll runs every seed and sums up.
func runAll(o options, out io.Writer) error {
	began := time.Now()
	var virtual time.Duration
	var steps, accepts, duplicates, arrivals int
	faults := make(map[string]int)
	for seed := o.seed; seed < o.seed+o.seeds; seed++ {
		w := newWorld(sized(o, seed), seed)
		w.play()
		if _, err := io.WriteString(out, strings.Join(w.trace, "")); err != nil {
			return err
		}
		if w.judge.verdict != nil {
			return fmt.Errorf("seed %d, %d members, replication %d, after %.3f s: %w",
				seed, w.options.members, w.options.replication, w.now.Sub(epoch).Seconds(), w.judge.verdict)
		}
		virtual += w.now.Sub(epoch)
		steps += w.steps
		accepts += w.judge.accepts
		duplicates += w.judge.duplicates
		arrivals += len(w.judge.arrived)
		for name, n := range w.judge.faults {
			faults[name] += n
		}
	}
	took := time.Since(began)
	_, err := fmt.Fprintf(out, "%d runs, %.0f cluster-minutes in %.1f s (%.0f a minute), %d steps: %d events answered, %d deliveries, 0 lost, %d repeated\nfaults: %s\n",
		o.seeds, virtual.Minutes(), took.Seconds(), virtual.Minutes()/took.Minutes(), steps, accepts, arrivals, duplicates, summary(faults))
	return err
}

// sized gives a seed its cluster: three members with two copies, or five with three.
func sized(o options, seed uint64) options {
	if o.members == 0 {
		o.members = 3 + 2*int(seed%2)
	}
	o.replication = (o.members + 1) / 2
	return o
}

func summary(counts map[string]int) string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
	for n, name := range names {
		names[n] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(names, ", ")
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
	w.judge.quiet = true
	w.heal()
	w.runFor(w.options.settleFor)
	if w.judge.verdict == nil {
		w.judge.settled()
	}
}
