package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// demoHeading is that of the figures; the lanes' backlogs follow.
const demoHeading = "    time  accepted  delivered  waiting  attempting  retried    dead      p50      p99  backlog of lanes"

// scoreboard shows the demo's figures: a board that is redrawn on a terminal, a line a
// second elsewhere.
type scoreboard struct {
	demo   *demo
	screen *screen
	headed bool
}

func newScoreboard(d *demo) *scoreboard {
	return &scoreboard{demo: d, screen: newScreen(d.console)}
}

func (s *scoreboard) draw(ctx context.Context) error {
	now, err := fetchFigures(ctx, s.demo.api)
	if err != nil {
		return err
	}
	if !s.screen.redraw {
		if !s.headed {
			fmt.Fprintln(s.demo.console.out, demoHeading)
			s.headed = true
		}
		fmt.Fprintln(s.demo.console.out, s.demo.line(now))
		return nil
	}
	rows, err := s.demo.pendingOf(ctx)
	if err != nil {
		return err
	}
	s.screen.draw(demoHeading + "\n" + s.demo.line(now) + "\n\n" + s.demo.table(rows))
	return nil
}

// line is one row under demoHeading. p50 and p99 are from accept to the healthy receiver.
func (d *demo) line(now figures) string {
	t, healthy := now.totals, &d.receivers[0].latency
	backlogs := make([]string, 0, len(now.lanes))
	for _, lane := range now.lanes {
		backlogs = append(backlogs, fmt.Sprintf("%s %d", printable(lane.Name), lane.Backlog))
	}
	return fmt.Sprintf(
		"%8s  %8d  %9d  %7d  %10d  %7d  %6d  %7s  %7s  %s", time.Since(d.started).Round(time.Second),
		t.Accepted, t.Delivered, t.Waiting, t.Attempting, t.Retried, t.Dead,
		milliseconds(healthy.percentile(0.50)), milliseconds(healthy.percentile(0.99)), strings.Join(backlogs, ", "),
	)
}

// table is the receivers and what waits for each.
func (d *demo) table(rows map[string]subscriptionRow) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "RECEIVER\tSTATE\tREQUESTS\tPENDING\tBEHAVIOUR\n")
	for _, r := range d.receivers {
		row := rows[r.id]
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", r.name, printable(row.State), r.requests.Load(), row.Pending, r.behaviour)
	}
	table.Flush()
	return text.String()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
