package main

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

var fleetStart = time.Date(2026, 5, 12, 7, 0, 0, 0, time.UTC)

func testFleet(seed uint64) *fleet {
	return newFleet(fleetOptions{Seed: seed, Bikes: demoBikes, Start: fleetStart, PositionEvery: demoPositionEvery})
}

// TestFleetRepeatsItself: neither the clock nor the number of steps changes what happens.
func TestFleetRepeatsItself(t *testing.T) {
	t.Parallel()
	const ride = 10 * time.Minute
	want := testFleet(1).Step(fleetStart.Add(ride))
	steps := testFleet(1)
	var got []draftEvent
	for at := time.Duration(0); at <= ride; at += 700 * time.Millisecond {
		got = append(got, steps.Step(fleetStart.Add(at))...)
	}
	got = append(got, steps.Step(fleetStart.Add(ride))...)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d events in many steps, %d in one", len(got), len(want))
	}
	if other := testFleet(2).Step(fleetStart.Add(ride)); reflect.DeepEqual(other, want) {
		t.Error("another seed gives the same events")
	}
}

// TestFleetRides follows every trip of an hour: it is created once, stays in the city,
// enters the zone before it says so, and ends once.
func TestFleetRides(t *testing.T) {
	t.Parallel()
	events := testFleet(1).Step(fleetStart.Add(time.Hour))
	counts := map[string]int{}
	created, ended := map[string]bool{}, map[string]bool{}
	for n, event := range events {
		counts[event.Topic]++
		if n > 0 && event.Timestamp.Before(events[n-1].Timestamp) {
			t.Fatalf("event %d is before the one before it", n)
		}
		var data struct {
			Trip     string   `json:"trip_id"`
			Trips    []string `json:"trip_ids"`
			Location *point   `json:"location"`
			Duration int      `json:"duration"`
			Distance int      `json:"distance"`
			Battery  *int     `json:"battery_percent"`
		}
		if err := json.Unmarshal(event.Data, &data); err != nil {
			t.Fatal(err)
		}
		trip := data.Trip
		if len(data.Trips) == 1 {
			trip = data.Trips[0]
		}
		switch event.Topic {
		case topicTripCreated:
			created[trip] = true
		case topicTripTerminated:
			if data.Duration < 60 || data.Distance < shortestTrip {
				t.Errorf("a trip of %d s and %d m counts", data.Duration, data.Distance)
			}
			ended[trip] = true
		case topicForbidden:
			if !noRideZone.contains(place{data.Location.Lat, data.Location.Lng}) {
				t.Errorf("%+v is not in the zone", data.Location)
			}
		case topicCyclistCreated:
			continue
		}
		if !created[trip] || (ended[trip] && event.Topic != topicTripTerminated) {
			t.Fatalf("%s of a trip that is not under way", event.Topic)
		}
		if data.Location != nil && !city.contains(place{data.Location.Lat, data.Location.Lng}) {
			t.Errorf("%+v is outside the city", data.Location)
		}
		if data.Battery != nil && (*data.Battery < 0 || *data.Battery > 100) {
			t.Errorf("a battery of %d percent", *data.Battery)
		}
	}
	for _, topic := range []string{
		topicTripCreated, topicTripUpdated, topicTripTerminated, topicPosition, topicForbidden, topicCyclistCreated,
	} {
		if counts[topic] == 0 {
			t.Errorf("no %s in an hour", topic)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	north := square.away(1000, 0)
	if d := square.metres(north); d < 999 || d > 1001 {
		t.Errorf("1000 m are %v", d)
	}
	if h := square.heading(square.away(500, 270)); h < 269 || h > 271 {
		t.Errorf("west is %v", h)
	}
	if half := square.towards(north, 500); half.metres(north) < 499 || half.metres(north) > 501 {
		t.Errorf("after 500 of 1000 m %v are left", half.metres(north))
	}
	if square.towards(north, 2000) != north {
		t.Error("a bike rides past its destination")
	}
	if outside := city.clamp(place{50, 2}); !city.contains(outside) {
		t.Errorf("%v is outside", outside)
	}
}
