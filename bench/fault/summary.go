package fault

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// maxNamed bounds the violations that a summary names.
const maxNamed = 12

// Summarise prints what a run found, for people.
func (r *Result) Summarise(out io.Writer) {
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(out, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	line("rounds", "%d, %d ends of the server, seed %d, in %v", r.Rounds, r.Kills, r.Seed, r.Took.Round(time.Second))
	line("events", "%d accepted, %d without an answer", r.Accepted, r.Unknown)
	line("attempts", "%d", r.Attempts)
	line("deliveries", "%d delivered, %d dead letters", r.Deliveries, r.DeadLetters)
	line("duplicates", "%d%s", len(r.Repeats), r.before())
	line("lost", "%d", r.Lost)
	line("restarts", "p50 %v, max %v", percentile(r.Restarts, 50), percentile(r.Restarts, 100))
	if !r.Settled {
		line("settled", "no")
	}
	if r.OK() {
		line("verdict", "every rule kept")
		return
	}
	line("verdict", "broken: %v", r.Broken())
	for _, rule := range r.Broken() {
		line("", "%-4s %d violations", rule, r.Counts[rule])
	}
	for _, v := range r.Shown[:min(maxNamed, len(r.Shown))] {
		line("", "%v", v)
	}
}

// before says how long before their kill the repeated successes were answered.
func (r *Result) before() string {
	if len(r.Repeats) == 0 {
		return ""
	}
	distances := make([]time.Duration, len(r.Repeats))
	for i, repeat := range r.Repeats {
		distances[i] = repeat.Before
	}
	return fmt.Sprintf(", answered p50 %v, p99 %v, at most %v before the kill",
		percentile(distances, 50), percentile(distances, 99), percentile(distances, 100))
}

// percentile is the p-th percentile, rounded to a millisecond; 0 of nothing.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)*p/100].Round(time.Millisecond)
}
