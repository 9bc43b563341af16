package main

import (
	"slices"
	"testing"
	"time"
)

// every gives arrivals of one stream, in milliseconds.
func every(name string, from, to, step int) (arrivals []arrival) {
	for t := from; t <= to; t += step {
		arrivals = append(arrivals, arrival{name: name, done: time.Duration(t) * time.Millisecond})
	}
	return arrivals
}

func TestTakeoverGaps(t *testing.T) {
	t.Parallel()
	kill := happened{kind: killOne, from: 10 * time.Second, to: 18 * time.Second, streams: []string{"a"}}
	steady := every("a", 0, 10_000, 100)
	tests := []struct {
		name     string
		arrivals []arrival
		faults   []happened
		loaded   time.Duration
		want     []gap
	}{
		{"no fault", steady, nil, time.Minute, nil},
		{
			"a silence after the kill",
			slices.Concat(steady, every("a", 13_000, 40_000, 100)),
			[]happened{kill},
			time.Minute,
			[]gap{{"a", 3 * time.Second, true}},
		},
		{
			"the longest of several",
			slices.Concat(steady, every("a", 11_000, 12_000, 100), every("a", 14_500, 40_000, 100)),
			[]happened{kill},
			time.Minute,
			[]gap{{"a", 2500 * time.Millisecond, true}},
		},
		{
			"silence to the end of the window", steady,
			[]happened{kill},
			time.Minute,
			[]gap{{"a", takeoverWindow, true}},
		},
		{
			"the load ends first",
			slices.Concat(steady, every("a", 12_000, 19_000, 100)),
			[]happened{kill},
			19 * time.Second,
			[]gap{{"a", 2 * time.Second, true}},
		},
		{
			"the next fault ends it", slices.Concat(steady, every("a", 12_000, 19_000, 100)),
			[]happened{kill, {kind: halves, from: 19 * time.Second}},
			time.Minute,
			[]gap{{"a", 2 * time.Second, true}},
		},
		{
			"the next fault comes too soon to tell",
			slices.Concat(steady, every("a", 12_000, 13_000, 100)),
			[]happened{kill, {kind: halves, from: 13 * time.Second}},
			time.Minute, nil,
		},
		{
			"no steady stream before",
			every("a", 0, 8_000, 100),
			[]happened{kill},
			time.Minute, nil,
		},
		{
			"a fault that was going on",
			slices.Concat(steady, every("a", 13_000, 40_000, 100)),
			[]happened{{kind: stopped, from: 5 * time.Second, to: 9 * time.Second}, kill},
			time.Minute, nil,
		},
		{
			"another fault than a kill", steady,
			[]happened{{kind: killAll, from: 10 * time.Second}},
			time.Minute, nil,
		},
		{
			"a stream of a survivor", every("a", 0, 40_000, 500),
			[]happened{{kind: killOne, from: 10 * time.Second}},
			time.Minute,
			[]gap{{"a", 500 * time.Millisecond, false}},
		},
	}
	for _, test := range tests {
		if got := takeovers(test.arrivals, test.faults, []string{"a"}, test.loaded); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	values := make([]time.Duration, 0, 100)
	for n := 100; n > 0; n-- {
		values = append(values, time.Duration(n)*time.Second)
	}
	tests := []struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		{nil, 50, 0},
		{values[:1], 99, 100 * time.Second},
		{values, 50, 50 * time.Second},
		{values, 99, 99 * time.Second},
		{values, 100, 100 * time.Second},
		{values[:3], 99, 100 * time.Second},
	}
	for _, test := range tests {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("p%d of %d values: %v, want %v", test.p, len(test.values), got, test.want)
		}
	}
}
