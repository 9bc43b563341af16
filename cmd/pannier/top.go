package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// topInterval is how often the figures are fetched.
const topInterval = time.Second

// topCommand shows the totals and lanes of a server until it is interrupted.
type topCommand struct {
	Once bool `help:"Print the figures once."`
}

// totals are the answer of /v1/stats.
type totals struct {
	Accepted   uint64 `json:"accepted"`
	Matched    uint64 `json:"matched"`
	Delivered  uint64 `json:"delivered"`
	Retried    uint64 `json:"retried"`
	Dead       uint64 `json:"dead"`
	Pending    uint64 `json:"pending"`
	Waiting    uint64 `json:"waiting"`
	Attempting uint64 `json:"attempting"`
}

// laneFigures are one lane of /v1/lanes.
type laneFigures struct {
	Name            string   `json:"name"`
	Topics          []string `json:"topics"`
	EventsPerSecond float64  `json:"events_per_second"`
	Backlog         uint64   `json:"backlog"`
	OldestAgeMS     int64    `json:"oldest_age_ms"`
	InFlight        int      `json:"in_flight"`
}

// figures are what top shows.
type figures struct {
	totals totals
	lanes  []laneFigures
}

// Run prints the figures, again and again unless once was asked for.
func (t *topCommand) Run(ctx context.Context, c console) error {
	api, err := clientFromEnvironment()
	if err != nil {
		return err
	}
	screen := newScreen(c)
	ticks := time.NewTicker(topInterval)
	defer ticks.Stop()
	for {
		now, err := fetchFigures(ctx, api)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		screen.draw(now.tables())
		if t.Once {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func fetchFigures(ctx context.Context, api *client) (figures, error) {
	var f figures
	if err := api.get(ctx, pathOf("stats"), &f.totals); err != nil {
		return f, err
	}
	var lanes page[laneFigures]
	err := api.get(ctx, pathOf("lanes"), &lanes)
	f.lanes = lanes.Data
	return f, err
}

func (f figures) tables() string {
	var text strings.Builder
	t := f.totals
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "accepted\tmatched\tdelivered\tretried\tdead\tpending\twaiting\tattempting\t\n")
	fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", t.Accepted, t.Matched, t.Delivered, t.Retried, t.Dead, t.Pending, t.Waiting, t.Attempting)
	table.Flush()
	text.WriteString("\n")
	f.laneTable(&text)
	return text.String()
}

func (f figures) laneTable(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "LANE\tEVENTS/S\tBACKLOG\tOLDEST\tIN FLIGHT\tTOPICS\n")
	for _, lane := range f.lanes {
		fmt.Fprintf(
			table, "%s\t%.1f\t%d\t%s\t%d\t%s\n", printable(lane.Name), lane.EventsPerSecond, lane.Backlog,
			time.Duration(lane.OldestAgeMS)*time.Millisecond, lane.InFlight, printable(strings.Join(lane.Topics, ",")),
		)
	}
	table.Flush()
}
