package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// clusterHeading is that of the figures, all of them counted outside the members: accepted and
// refused by the producer, taken and repeated by the receivers.
const clusterHeading = "  time  accepted  refused     taken  repeated      p50      p99"

// clusterBoard shows the figures of a cluster's demo, as scoreboard those of a single member's.
type clusterBoard struct {
	demo   *clusterDemo
	screen *screen
	headed bool
	told   int // how much of the story was printed
	seen   clusterSeen
}

func newClusterBoard(d *clusterDemo) *clusterBoard {
	return &clusterBoard{demo: d, screen: newScreen(d.console)}
}

// draw shows what is known now: of the members what was seen last, while none answers.
func (b *clusterBoard) draw(ctx context.Context) {
	seen, err := b.demo.look(ctx)
	if err != nil {
		seen = b.seen
	}
	b.seen = seen
	story := b.demo.fault.story()
	if b.screen.redraw {
		b.screen.draw(strings.Join([]string{
			clusterHeading, b.demo.clusterLine(), "", b.demo.membersTable(seen), b.demo.tallies(), strings.Join(story, "\n"), "",
		}, "\n"))
		return
	}
	if !b.headed {
		b.demo.console.print(clusterHeading + "  members, their state to the others, their shards\n")
		b.headed = true
	}
	for _, event := range story[b.told:] {
		b.demo.console.print("        " + event + "\n")
	}
	b.told = len(story)
	b.demo.console.print(b.demo.clusterLine() + "  " + b.demo.states(seen) + "\n")
}

func (d *clusterDemo) clusterLine() string {
	accepted, refused := d.producer.counts()
	taken, repeated := 0, 0
	for _, r := range d.receivers {
		events, again := r.tally.counts()
		taken, repeated = taken+events, repeated+again
	}
	healthy := &d.receivers[0].latency
	return fmt.Sprintf(
		"%6s  %8d  %7d  %8d  %8d  %7s  %7s", time.Since(d.started).Round(time.Second), len(accepted), refused, taken, repeated,
		milliseconds(healthy.percentile(0.50)), milliseconds(healthy.percentile(0.99)),
	)
}

// tallies is the receivers and what they took.
func (d *clusterDemo) tallies() string {
	lines := make([][]string, 0, len(d.receivers))
	for _, r := range d.receivers {
		events, repeated := r.tally.counts()
		lines = append(lines, []string{r.name, fmt.Sprint(r.requests.Load()), fmt.Sprint(events), fmt.Sprint(repeated), r.behaviour})
	}
	return table([]string{"RECEIVER", "REQUESTS", "TAKEN", "REPEATED", "BEHAVIOUR"}, lines)
}
