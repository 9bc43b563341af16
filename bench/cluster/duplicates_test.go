package main

import (
	"maps"
	"testing"
	"time"

	"pannier/bench/history"
)

func TestDuplicatesBelongToTheFaultBefore(t *testing.T) {
	t.Parallel()
	at := func(name, id string, second int) arrival {
		return arrival{name, id, time.Duration(second) * time.Second, time.Duration(second)*time.Second + time.Millisecond}
	}
	faults := []happened{
		{kind: killOne, from: 10 * time.Second, to: 20 * time.Second},
		{kind: stopped, from: 15 * time.Second, to: 16 * time.Second},
	}
	tests := []struct {
		name     string
		arrivals []arrival
		want     map[kind]int
	}{
		{"nothing", nil, map[kind]int{}},
		{"once each", []arrival{at("a", "1", 1), at("a", "2", 2), at("b", "1", 3)}, map[kind]int{}},
		{"before every fault", []arrival{at("a", "1", 1), at("a", "1", 2)}, map[kind]int{noFault: 1}},
		{"after the kill", []arrival{at("a", "1", 9), at("a", "1", 11)}, map[kind]int{killOne: 1}},
		{"after the stop, which began last", []arrival{at("a", "1", 9), at("a", "1", 18)}, map[kind]int{stopped: 1}},
		{"twice again", []arrival{at("a", "1", 9), at("a", "1", 12), at("a", "1", 30)}, map[kind]int{killOne: 1, stopped: 1}},
		{"begun before the fault, over after it", []arrival{
			at("a", "1", 5), {"a", "1", 9 * time.Second, 12 * time.Second},
		}, map[kind]int{noFault: 1}},
	}
	for _, test := range tests {
		if got := attribute(test.arrivals, faults); !maps.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestArrivalsAreWhatWasTaken(t *testing.T) {
	t.Parallel()
	attempt := func(id string, ended int, answer history.Answer, status int) history.Record {
		return history.Record{Type: history.Recv, Attempt: &history.Attempt{
			Name: "a", WebhookID: "evt", Body: `{"data":{"ref":"` + id + `"}}`, Ended: time.Duration(ended), Answer: answer, Status: status,
		}}
	}
	got := arrivalsIn([]history.Record{
		attempt("late", 9, history.Answered, 200), attempt("failed", 1, history.Answered, 500),
		attempt("gone", 2, history.Abandoned, 0), attempt("early", 3, history.Answered, 302),
		{Type: history.Invoke},
	})
	if len(got) != 2 || got[0].ref != "early" || got[1].ref != "late" {
		t.Errorf("arrivals %v, want early, late", got)
	}
}
