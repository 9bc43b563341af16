package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

// TestLaneRemovedFromTheConfig accepts events in a lane and starts again without it: what
// waits in its journal is delivered, what it accepted is still listed, and new events of its
// topics go elsewhere.
func TestLaneRemovedFromTheConfig(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, func(c *Config) {
		c.Lanes = []engine.LaneConfig{{
			Name: "positions", Topics: []match.Pattern{"vehicle.position"}, Retention: time.Hour,
			MaxInFlight: defaultLaneInFlight, WindowShare: defaultWindowShare,
		}}
	})
	receiver := newTestReceiver(t, nil)
	slow, free := 0.1, 0.0
	subscription, _ := s.subscribe(receiver.URL, subscriptionBody{Limits: &limitsBody{RatePerSecond: &slow}}, "*")
	events := s.sendMany("vehicle.position", 50)
	receiver.await(1)
	if eventually(func() bool { lane, found := s.lane("positions"); return found && lane.Backlog > 0 }) != nil {
		t.Fatal("nothing waits in the lane")
	}
	s.stop()
	if _, err := os.Stat(filepath.Join(s.config.Data, "journal", "positions")); err != nil {
		t.Fatal(err)
	}

	s.config.Lanes = nil
	s.start()
	if lane, found := s.lane("positions"); found && len(lane.Topics) > 0 {
		t.Errorf("the lane takes %v", lane.Topics)
	}
	events = append(events, s.send("vehicle.position", "{}"))
	s.update(subscription, subscriptionBody{Limits: &limitsBody{RatePerSecond: &free}})
	for _, event := range events {
		s.awaitState(subscription, event, "delivered")
	}
	var listed page[struct{ ID string }]
	s.call(call{method: "GET", path: pathOf("events"), query: longestPage()}, &listed)
	for _, event := range events {
		if !slices.ContainsFunc(listed.Data, func(e struct{ ID string }) bool { return e.ID == event }) {
			t.Errorf("%s is not listed", event)
		}
	}
	slices.Sort(events)
	if got := receiver.events(); !slices.Equal(got, events) {
		t.Errorf("the receiver got %d requests for %d events", len(got), len(events))
	}
	if lane, found := s.lane("positions"); found && lane.Backlog > 0 {
		t.Errorf("the lane has a backlog of %d", lane.Backlog)
	}
}

// TestBusyTopicGetsALane posts a topic faster than the rate of promotion, for the window in
// which it is measured.
func TestBusyTopicGetsALane(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, func(c *Config) { c.AutoPromoteRate = 1 })
	receiver := newTestReceiver(t, nil)
	s.subscribe(receiver.URL, subscriptionBody{}, "*")
	sent := 0
	promoted := func() (laneFigures, bool) {
		for _, lane := range s.lanes() {
			if slices.Equal(lane.Topics, []string{"vehicle.position"}) {
				return lane, true
			}
		}
		return laneFigures{}, false
	}
	err := eventually(func() bool {
		s.send("vehicle.position", "{}")
		sent++
		_, found := promoted()
		return found
	})
	if err != nil {
		t.Fatalf("no lane was made: %+v", s.lanes())
	}
	s.send("trip.created", "{}")
	receiver.await(sent + 1)
	s.restart()
	if _, found := promoted(); !found {
		t.Errorf("after a restart the lane is gone: %+v", s.lanes())
	}
	s.sendMany("vehicle.position", 10)
	if got := receiver.await(sent + 11); len(got) != sent+11 {
		t.Errorf("got %d requests, want %d", len(got), sent+11)
	}
}

func (s *testServer) lanes() []laneFigures {
	s.t.Helper()
	var p page[laneFigures]
	s.get(&p, "lanes")
	return p.Data
}

func (s *testServer) lane(name string) (laneFigures, bool) {
	s.t.Helper()
	lanes := s.lanes()
	at := slices.IndexFunc(lanes, func(l laneFigures) bool { return l.Name == name })
	if at < 0 {
		return laneFigures{}, false
	}
	return lanes[at], true
}
