package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// topInterval is how often the figures are fetched.
const topInterval = time.Second

// topPrecision is that of ages.
const topPrecision = 100 * time.Millisecond

// maxTopicChars bounds the topics of a lane shown in a table.
const maxTopicChars = 60

// topCommand shows the totals and lanes of a server until it is interrupted.
type topCommand struct {
	outputFlags
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
	// statsAnswer and lanesAnswer are the two answers as they came.
	statsAnswer, lanesAnswer json.RawMessage
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
		frame := now.tables()
		if t.json() {
			frame, screen.redraw = fmt.Sprintf("{\"stats\":%s,\"lanes\":%s}\n", now.statsAnswer, now.lanesAnswer), false
		}
		screen.draw(frame)
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
	var err error
	if f.statsAnswer, err = api.get(ctx, pathOf("stats"), nil, &f.totals); err != nil {
		return f, err
	}
	var lanes page[laneFigures]
	f.lanesAnswer, err = api.get(ctx, pathOf("lanes"), nil, &lanes)
	f.lanes = lanes.Data
	return f, err
}

func (f figures) tables() string {
	t := f.totals
	head := []string{"ACCEPTED", "MATCHED", "DELIVERED", "RETRIED", "DEAD", "PENDING", "WAITING", "ATTEMPTING"}
	var cells []string
	for _, n := range []uint64{t.Accepted, t.Matched, t.Delivered, t.Retried, t.Dead, t.Pending, t.Waiting, t.Attempting} {
		cells = append(cells, strconv.FormatUint(n, 10))
	}
	return table(head, [][]string{cells}) + "\n" + f.laneTable()
}

func (f figures) laneTable() string {
	rows := make([][]string, 0, len(f.lanes))
	for _, lane := range f.lanes {
		rows = append(rows, []string{
			lane.Name, fmt.Sprintf("%.1f", lane.EventsPerSecond), strconv.FormatUint(lane.Backlog, 10),
			(time.Duration(lane.OldestAgeMS) * time.Millisecond).Round(topPrecision).String(), strconv.Itoa(lane.InFlight),
			clipped(strings.Join(lane.Topics, ","), maxTopicChars),
		})
	}
	return table([]string{"LANE", "EVENTS/S", "BACKLOG", "OLDEST", "IN FLIGHT", "TOPICS"}, rows)
}
