package ride

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// startLayout is how the table writes a start: local time without a zone.
const startLayout = "2006-01-02 15:04:05"

// Trip is one hire of a bike, from station to station.
type Trip struct {
	Start    int64 // Unix seconds
	Duration int32 // seconds
	From, To Place
	Stop     string // the id of the station it starts at
	Member   bool   // a subscriber, not a customer of a day
}

// End is when the trip ends, in Unix seconds.
func (t *Trip) End() int64 { return t.Start + int64(t.Duration) }

// Positions is how many positions the trip gives.
func (t *Trip) Positions() int { return int(t.Duration) / int(PositionEvery/time.Second) }

// speed is that of the straight line, in metres a second.
func (t *Trip) speed() float64 { return t.From.Metres(t.To) / float64(t.Duration) }

// at is where the bike is so many seconds after the start.
func (t *Trip) at(seconds int64) Place {
	return t.From.Between(t.To, float64(seconds)/float64(t.Duration))
}

// Skipped counts the rows of a table that became no trip.
type Skipped struct {
	BadRows        int // not CSV, no start, or a duration out of bounds
	UnknownStation int // real data: stations come and go
}

// ReadTrips reads a table, plain or gzip, with the columns start_ts (local time of zone),
// duration (seconds), start_station, end_station and subscriber, and gives its trips in
// order of their start. Errors: a column is missing, more than MaxTrips, the reader's own.
func ReadTrips(r io.Reader, stations Stations, zone *time.Location) ([]Trip, Skipped, error) {
	var skipped Skipped
	plain, err := gunzipped(r)
	if err != nil {
		return nil, skipped, fmt.Errorf("read trips: %w", err)
	}
	var trips []Trip
	columns := []string{"start_ts", "duration", "start_station", "end_station", "subscriber"}
	err = readTable(plain, columns, func(row []string) error {
		trip, ok := parseTrip(row, zone)
		if !ok {
			skipped.BadRows++
			return nil
		}
		from, fromKnown := stations[row[2]]
		to, toKnown := stations[row[3]]
		if !fromKnown || !toKnown {
			skipped.UnknownStation++
			return nil
		}
		if len(trips) == MaxTrips {
			return fmt.Errorf("more than %d trips", MaxTrips)
		}
		trip.From, trip.To, trip.Stop = from, to, strings.Clone(row[2])
		trips = append(trips, trip)
		return nil
	}, func() { skipped.BadRows++ })
	if err != nil {
		return nil, skipped, fmt.Errorf("read trips: %w", err)
	}
	slices.SortStableFunc(trips, func(a, b Trip) int { return int(a.Start - b.Start) })
	return trips, skipped, nil
}

func parseTrip(row []string, zone *time.Location) (Trip, bool) {
	start, startErr := time.ParseInLocation(startLayout, row[0], zone)
	seconds, secondsErr := strconv.ParseInt(row[1], 10, 32)
	if startErr != nil || secondsErr != nil || seconds < 1 || seconds > int64(MaxDuration/time.Second) {
		return Trip{}, false
	}
	return Trip{Start: start.Unix(), Duration: int32(seconds), Member: row[4] == "1"}, true
}

// gunzipped reads through gzip when the stream starts as one.
func gunzipped(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	magic, err := buffered.Peek(2)
	if err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil //nolint:nilerr // too short for gzip: the table's reader says what is wrong
	}
	return gzip.NewReader(buffered)
}

// Within gives the trips that start in [from, to).
func Within(trips []Trip, from, to time.Time) []Trip {
	byStart := func(t Trip, at int64) int { return int(t.Start - at) }
	low, _ := slices.BinarySearchFunc(trips, from.Unix(), byStart)
	high, _ := slices.BinarySearchFunc(trips, to.Unix(), byStart)
	return trips[low:high]
}
