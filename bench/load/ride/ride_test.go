package ride_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pannier/bench/load/ride"
	"pannier/bench/load/tally"
)

const stationTable = `station_id,latitude,longitude,name
1,40.7500,-73.9900,"West, South"
2,40.7600,-73.9800,East
2b,91,-73,nowhere
3,,-73.98,no place
4,40.7650,-73.9900
short
`

func stations(t *testing.T) ride.Stations {
	t.Helper()
	places, bad, err := ride.ReadStations(strings.NewReader(stationTable))
	if err != nil {
		t.Fatal(err)
	}
	if bad != 3 || len(places) != 3 {
		t.Fatalf("got %d stations and %d bad rows, want 3 and 3", len(places), bad)
	}
	return places
}

func TestReadStations(t *testing.T) {
	t.Parallel()
	if got := stations(t)["1"]; got != (ride.Place{Lat: 40.75, Lng: -73.99}) {
		t.Errorf("station 1 lies at %v", got)
	}
	for name, table := range map[string]string{"ErrNoHeader": "", "ErrColumnMissing": "station_id,latitude\n1,2\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := ride.ReadStations(strings.NewReader(table)); err == nil {
				t.Error("no error")
			}
		})
	}
}

const tripTable = `start_ts,duration,start_station,end_station,subscriber
2017-06-05 08:00:30,61,2,1,0
2017-06-05 08:00:00,125,1,2,1
2017-06-05 08:00:00,125,1,99,1
2017-06-05 08:00:00,0,1,2,1
2017-06-05 08:00:00,-5,1,2,1
2017-06-05 08:00:00,99999999,1,2,1
2017-06-05 08:00:00,x,1,2,1
yesterday,60,1,2,1
2017-06-05 08:00:00,60
2017-06-05 08:00:00,"60,1,2"x,1
2017-06-05 09:00:00,9,1,1,1
`

func TestReadTrips(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write([]byte(tripTable))
	_ = writer.Close()
	for name, table := range map[string][]byte{"Plain": []byte(tripTable), "Gzip": packed.Bytes()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trips, skipped, err := ride.ReadTrips(bytes.NewReader(table), stations(t), time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			if want := (ride.Skipped{BadRows: 7, UnknownStation: 1}); skipped != want {
				t.Errorf("skipped %+v, want %+v", skipped, want)
			}
			var got []int32
			for _, trip := range trips {
				got = append(got, trip.Duration)
			}
			if want := []int32{125, 61, 9}; !slices.Equal(got, want) { // by start
				t.Errorf("durations %v, want %v", got, want)
			}
			if trips[0].Stop != "1" || !trips[0].Member || trips[1].Member {
				t.Errorf("got %+v", trips[:2])
			}
		})
	}
}

func TestReadTripsErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	reader := iotest.ErrReader(broken)
	if _, _, err := ride.ReadTrips(reader, nil, time.UTC); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	half := bytes.NewReader([]byte{0x1f, 0x8b, 8, 0})
	if _, _, err := ride.ReadTrips(half, nil, time.UTC); err == nil {
		t.Error("half a gzip header is no error")
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	trips, _, err := ride.ReadTrips(strings.NewReader(tripTable), stations(t), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	eight := time.Date(2017, 6, 5, 8, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		from, to time.Time
		want     int
	}{
		{"Hour", eight, eight.Add(time.Hour), 2},
		{"EndIsOpen", eight.Add(time.Second), eight.Add(30 * time.Second), 0},
		{"StartIsClosed", eight.Add(time.Hour), eight.Add(2 * time.Hour), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := len(ride.Within(trips, test.from, test.to)); got != test.want {
				t.Errorf("got %d trips, want %d", got, test.want)
			}
		})
	}
}

func TestDay(t *testing.T) {
	t.Parallel()
	trips, _, err := ride.ReadTrips(strings.NewReader(tripTable), stations(t), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	last := int64(0)
	for e := range ride.NewDay(trips, ride.NoRideZone).Events() {
		if e.At < last {
			t.Fatalf("%+v comes after %d", e, last)
		}
		last = e.At
		if e.Topic != ride.TopicTerminated && e.Number != counts[e.Topic] {
			t.Errorf("%s has number %d, want %d", e.Topic, e.Number, counts[e.Topic])
		}
		counts[e.Topic]++
		if e.Topic == ride.TopicTerminated && e.At != trips[e.Trip].End() {
			t.Errorf("trip %d ends at %d, want %d", e.Trip, e.At, trips[e.Trip].End())
		}
		if inside := ride.NoRideZone.Contains(e.Place); e.Topic == ride.TopicForbidden && !inside {
			t.Errorf("%+v is not in the zone", e)
		}
	}
	want := map[string]uint64{
		ride.TopicCreated: 3, ride.TopicTerminated: 3, ride.TopicPosition: 12 + 6, ride.TopicForbidden: counts[ride.TopicForbidden],
	}
	for topic, count := range want {
		if counts[topic] != count || count == 0 {
			t.Errorf("%d %s, want %d and some", counts[topic], topic, count)
		}
	}
}

// The whole iteration may be given up at any event.
func TestDayStops(t *testing.T) {
	t.Parallel()
	trips, _, err := ride.ReadTrips(strings.NewReader(tripTable), stations(t), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for stopAfter := 1; stopAfter <= 24; stopAfter++ {
		seen := 0
		for range ride.NewDay(trips, ride.NoRideZone).Events() {
			if seen++; seen == stopAfter {
				break
			}
		}
		if seen != stopAfter {
			t.Errorf("stopped after %d, want %d", seen, stopAfter)
		}
	}
}

func TestPositionsLieOnTheLine(t *testing.T) {
	t.Parallel()
	trips := []ride.Trip{{Start: 1000, Duration: 100, From: ride.Place{Lat: 40, Lng: -74}, To: ride.Place{Lat: 41, Lng: -73}}}
	var got []ride.Place
	for e := range ride.NewDay(trips, ride.NoRideZone).Events() {
		if e.Topic == ride.TopicPosition {
			got = append(got, e.Place)
		}
	}
	if len(got) != 10 {
		t.Fatalf("%d positions, want 10", len(got))
	}
	for i, place := range got {
		part := float64(i+1) / 10
		if want := (ride.Place{Lat: 40 + part, Lng: -74 + part}); place.Metres(want) > 0.1 {
			t.Errorf("position %d at %v, want %v", i, place, want)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	here := ride.Place{Lat: 40.75, Lng: -73.99}
	for _, test := range []struct {
		name            string
		there           ride.Place
		metres, heading float64
	}{
		{"Here", here, 0, 0},
		{"North", ride.Place{Lat: 40.76, Lng: -73.99}, 1113.2, 0},
		{"East", ride.Place{Lat: 40.75, Lng: -73.98}, 843.3, 90},
		{"South", ride.Place{Lat: 40.74, Lng: -73.99}, 1113.2, 180},
		{"West", ride.Place{Lat: 40.75, Lng: -74.00}, 843.3, 270},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			metres, heading := here.Metres(test.there), here.Heading(test.there)
			if metres < test.metres-0.5 || metres > test.metres+0.5 || heading < test.heading-0.1 || heading > test.heading+0.1 {
				t.Errorf("%.1f m at %.1f°, want %.1f m at %.1f°", metres, heading, test.metres, test.heading)
			}
		})
	}
}

func TestZone(t *testing.T) {
	t.Parallel()
	zone := ride.Area{South: 1, West: 2, North: 3, East: 4}
	for _, test := range []struct {
		place ride.Place
		want  bool
	}{
		{ride.Place{Lat: 2, Lng: 3}, true},
		{ride.Place{Lat: 1, Lng: 2}, true},
		{ride.Place{Lat: 3, Lng: 4}, true},
		{ride.Place{Lat: 0.99, Lng: 3}, false},
		{ride.Place{Lat: 3.01, Lng: 3}, false},
		{ride.Place{Lat: 2, Lng: 1.99}, false},
		{ride.Place{Lat: 2, Lng: 4.01}, false},
	} {
		if got := zone.Contains(test.place); got != test.want {
			t.Errorf("%v inside: %v, want %v", test.place, got, test.want)
		}
	}
}

func TestAppendData(t *testing.T) {
	t.Parallel()
	trips, _, err := ride.ReadTrips(strings.NewReader(tripTable), stations(t), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	member := map[string]string{}
	for _, topic := range ride.Topics {
		member[topic.Name] = topic.Member
	}
	seen := map[string]bool{}
	day := ride.NewDay(trips, ride.NoRideZone)
	for e := range day.Events() {
		data := day.AppendData(nil, 0xabcd, &e)
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatalf("%s: %v in %s", e.Topic, err, data)
		}
		text, _ := fields[member[e.Topic]].(string)
		mark, ok := tally.ParseMark([]byte(text))
		if !ok || mark.Run != 0xabcd || mark.Number != e.Number {
			t.Fatalf("%s number %d has the mark %q", e.Topic, e.Number, text)
		}
		if seen[e.Topic+text] {
			t.Fatalf("%s %s twice", e.Topic, text)
		}
		seen[e.Topic+text] = true
		if e.Topic == ride.TopicPosition && (len(data) < 350 || len(data) > 480) {
			t.Errorf("a position of %d bytes, the field's are some 400", len(data))
		}
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	start := time.Date(2017, 6, 5, 9, 45, 0, 0, time.UTC)
	stationTable, tripTable := ride.Generate(7, start, 1)
	if again, trips := ride.Generate(7, start, 1); !bytes.Equal(again, stationTable) || !bytes.Equal(trips, tripTable) {
		t.Error("the same seed gives other tables")
	}
	if _, trips := ride.Generate(8, start, 1); bytes.Equal(trips, tripTable) {
		t.Error("another seed gives the same trips")
	}
	places, bad, err := ride.ReadStations(bytes.NewReader(stationTable))
	if err != nil || bad != 0 {
		t.Fatalf("%d bad stations, %v", bad, err)
	}
	trips, skipped, err := ride.ReadTrips(bytes.NewReader(tripTable), places, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if skipped.UnknownStation == 0 || skipped.BadRows == 0 || len(trips) < 2150 || len(trips) > 2350 {
		t.Errorf("%d trips, skipped %+v; want some 2,250 and some of each", len(trips), skipped)
	}
	positions := 0
	for i := range trips {
		positions += trips[i].Positions()
		if at := time.Unix(trips[i].Start, 0); at.Before(start) || !at.Before(start.Add(time.Hour)) {
			t.Fatalf("a trip starts at %v", at)
		}
	}
	if positions < 170_000 || positions > 230_000 {
		t.Errorf("%d positions, want some 200,000", positions)
	}
}

func BenchmarkDay(b *testing.B) {
	stationTable, tripTable := ride.Generate(1, time.Now(), 1)
	places, _, _ := ride.ReadStations(bytes.NewReader(stationTable))
	trips, _, _ := ride.ReadTrips(bytes.NewReader(tripTable), places, time.UTC)
	b.ReportAllocs()
	events := 0
	var data []byte
	for b.Loop() {
		day := ride.NewDay(trips, ride.NoRideZone)
		for e := range day.Events() {
			data = day.AppendData(data[:0], 1, &e)
			events++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
