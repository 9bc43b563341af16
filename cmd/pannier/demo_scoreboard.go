package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// demoHeading is that of the figures. Retrying are the deliveries that have failed and wait
// for another attempt; the backlog of a lane are those that wait for their first.
const demoHeading = "  time  accepted  delivered  retrying  attempting    dead      p50      p99"

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
			s.demo.console.print(demoHeading + "  backlog of lanes\n")
			s.headed = true
		}
		s.demo.console.print(s.demo.line(now) + "  " + now.backlogs() + "\n")
		return nil
	}
	rows, err := s.demo.pendingOf(ctx)
	if err != nil {
		return err
	}
	s.screen.draw(demoHeading + "\n" + s.demo.line(now) + "\n\n" + now.laneTable() + "\n" + s.demo.table(rows))
	return nil
}

// line is one row under demoHeading. p50 and p99 are from accept to the healthy receiver.
func (d *demo) line(now figures) string {
	t, healthy := now.totals, &d.receivers[0].latency
	return fmt.Sprintf(
		"%6s  %8d  %9d  %8d  %10d  %6d  %7s  %7s", time.Since(d.started).Round(time.Second),
		t.Accepted, t.Delivered, now.retrying(), t.Attempting, t.Dead,
		milliseconds(healthy.percentile(0.50)), milliseconds(healthy.percentile(0.99)),
	)
}

// retrying is the part of the deliveries that wait which has had an attempt. The totals and
// the lanes are two answers: between them something may have moved.
func (f figures) retrying() uint64 {
	retrying := f.totals.Waiting
	for _, lane := range f.lanes {
		retrying -= min(retrying, lane.Backlog)
	}
	return retrying
}

func (f figures) backlogs() string {
	backlogs := make([]string, 0, len(f.lanes))
	for _, lane := range f.lanes {
		backlogs = append(backlogs, fmt.Sprintf("%s %d", printable(lane.Name), lane.Backlog))
	}
	return strings.Join(backlogs, ", ")
}

// table is the receivers and what waits for each.
func (d *demo) table(rows map[string]subscriptionRow) string {
	lines := make([][]string, 0, len(d.receivers))
	for _, r := range d.receivers {
		row := rows[r.id]
		lines = append(lines, []string{r.name, row.State, fmt.Sprint(r.requests.Load()), fmt.Sprint(row.Pending), r.behaviour})
	}
	return table([]string{"RECEIVER", "STATE", "REQUESTS", "PENDING", "BEHAVIOUR"}, lines)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
