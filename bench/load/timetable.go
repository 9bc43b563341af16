package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
	_ "time/tzdata" // the zone of the city must be known everywhere

	"pannier/bench/load/ride"
)

// The clock of the tables: local time of the city whose trips they are.
const cityZone = "America/New_York"

// A generated hour starts a little before the rush ends, so that one partner is down and
// comes back within it.
const (
	generatedDay  = "2017-06-05"
	generatedFrom = 9*time.Hour + 45*time.Minute
)

// timetable is the trips to replay.
type timetable struct {
	trips    []ride.Trip
	midnight time.Time // of the day
	from, to time.Time // when the trips start
	skipped  ride.Skipped
	stations int // bad rows of the stations
}

func (t *timetable) badRows() int { return t.skipped.BadRows + t.stations }

// readTimetable reads the tables, or generates them, and picks the hours asked for.
func readTimetable(o *options) (*timetable, error) {
	zone, err := time.LoadLocation(cityZone)
	if err != nil {
		return nil, fmt.Errorf("the zone of the trips: %w", err)
	}
	t := &timetable{}
	if o.synthetic > 0 {
		err = t.generate(o, zone)
	} else {
		err = t.read(o, zone)
	}
	if err != nil {
		return nil, err
	}
	if t.trips = ride.Within(t.trips, t.from, t.to); len(t.trips) == 0 {
		return nil, fmt.Errorf("no trip starts between %s and %s", t.from.Format("2006-01-02 15:04"), t.to.Format("15:04"))
	}
	return t, nil
}

// generate makes tables and reads them as if they were files.
func (t *timetable) generate(o *options, zone *time.Location) error {
	midnight, err := time.ParseInLocation(time.DateOnly, generatedDay, zone)
	if err != nil {
		return fmt.Errorf("the generated day: %w", err)
	}
	from := generatedFrom
	if o.fromGiven {
		from = o.from
	}
	stations, trips := ride.Generate(o.seed, midnight.Add(from), o.synthetic)
	if err := t.parse(bytes.NewReader(stations), bytes.NewReader(trips), zone); err != nil {
		return err
	}
	t.midnight, t.from, t.to = midnight, midnight.Add(from), midnight.Add(from+time.Duration(o.synthetic)*time.Hour)
	return nil
}

func (t *timetable) read(o *options, zone *time.Location) error {
	stations, err := os.Open(o.stations) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("--stations: %w", err)
	}
	defer stations.Close()         //nolint:errcheck // only read
	trips, err := os.Open(o.trips) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("--trips: %w", err)
	}
	defer trips.Close() //nolint:errcheck // only read
	if err := t.parse(stations, trips, zone); err != nil || len(t.trips) == 0 {
		return err
	}
	year, month, day := time.Unix(t.trips[0].Start, 0).In(zone).Date()
	t.midnight = time.Date(year, month, day, 0, 0, 0, 0, zone)
	t.from, t.to = t.midnight.Add(o.from), t.midnight.AddDate(0, 0, 1)
	if o.hours > 0 {
		t.to = t.from.Add(time.Duration(o.hours) * time.Hour)
	}
	return nil
}

func (t *timetable) parse(stations, trips io.Reader, zone *time.Location) error {
	places, bad, err := ride.ReadStations(stations)
	if err != nil {
		return err
	}
	t.stations = bad
	t.trips, t.skipped, err = ride.ReadTrips(trips, places, zone)
	return err
}
