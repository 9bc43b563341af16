package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"pannier/bench/check"
)

// maxNamed bounds the violations of each rule that are printed of a round.
const maxNamed = 5

// print prints a round, for people.
func (v *verdict) print(out io.Writer) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, "  "+format+"\n", args...) }
	for _, f := range v.faults {
		line("%-15s at %v: %s", f.kind, f.from.Round(time.Millisecond), f.evidence)
	}
	if v.report != nil {
		line("accepted %d, unknown %d, delivered %d, dead letters %d, lost %d, duplicates %d, attempts after a deletion %d, took %v",
			v.report.Accepted, v.report.Unknown, v.report.Deliveries, v.report.DeadLetters, v.report.Lost,
			sum(v.duplicates), v.late, v.took.Round(time.Second))
	}
	if len(v.gaps) > 0 {
		line("takeover gap %s", gapsOf(v.gaps))
	}
	for _, words := range v.problems {
		line("BROKEN %s", words)
	}
	named := make(map[check.Rule]int)
	for _, violation := range v.broken {
		if named[violation.Rule]++; named[violation.Rule] <= maxNamed {
			line("BROKEN %v", violation)
		}
	}
	for rule, n := range named {
		line("%s broken %d times", rule, max(n, v.report.Counts[rule]))
	}
}

func sum(counts map[kind]int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}

// row is what is known of one kind of fault.
type row struct {
	rounds, faults, lost, duplicates int
}

// tabulate counts by kind of fault. What was lost in a round counts for each kind it had.
func tabulate(verdicts []*verdict) map[kind]*row {
	rows := make(map[kind]*row)
	at := func(k kind) *row {
		if rows[k] == nil {
			rows[k] = new(row)
		}
		return rows[k]
	}
	for _, v := range verdicts {
		seen := make(map[kind]bool)
		for _, f := range v.faults {
			at(f.kind).faults++
			if !seen[f.kind] {
				at(f.kind).rounds++
				if v.report != nil {
					at(f.kind).lost += v.report.Lost
				}
			}
			seen[f.kind] = true
		}
		for k, n := range v.duplicates {
			at(k).duplicates += n
		}
	}
	return rows
}

// summarise prints the table of all rounds.
func summarise(out io.Writer, verdicts []*verdict) {
	if len(verdicts) == 0 {
		return
	}
	rows := tabulate(verdicts)
	_, _ = fmt.Fprintf(out, "\n%-16s %7s %7s %6s %11s\n", "fault", "rounds", "faults", "lost", "duplicates")
	for _, k := range append(slices.Clone(allFaults), noFault) {
		if r := rows[k]; r != nil {
			_, _ = fmt.Fprintf(out, "%-16s %7d %7d %6d %11d\n", k, r.rounds, r.faults, r.lost, r.duplicates)
		}
	}
	accepted, delivered, lost, duplicates, broken := 0, 0, 0, 0, 0
	var gaps []gap
	for _, v := range verdicts {
		gaps = append(gaps, v.gaps...)
		duplicates += sum(v.duplicates)
		if !v.ok() {
			broken++
		}
		if v.report != nil {
			accepted, delivered, lost = accepted+v.report.Accepted, delivered+v.report.Deliveries, lost+v.report.Lost
		}
	}
	_, _ = fmt.Fprintf(out, "%d rounds, %d broken: %d events accepted, %d deliveries, %d lost, %d duplicates\n",
		len(verdicts), broken, accepted, delivered, lost, duplicates)
	if len(gaps) > 0 {
		_, _ = fmt.Fprintf(out, "takeover gap after kill -9: %s\n", gapsOf(gaps))
	}
}

// gapsOf states gaps: all of them, and those of subscriptions that the killed member owned.
func gapsOf(gaps []gap) string {
	var all, owned []time.Duration
	for _, g := range gaps {
		all = append(all, g.long)
		if g.owned {
			owned = append(owned, g.long)
		}
	}
	return fmt.Sprintf("p50 %v, p99 %v of %d; owned by the killed member p50 %v, p99 %v of %d",
		percentile(all, 50), percentile(all, 99), len(all), percentile(owned, 50), percentile(owned, 99), len(owned))
}

// percentile is the least value that p per cent do not exceed; 0 of nothing.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*p+99)/100-1].Round(time.Millisecond)
}
