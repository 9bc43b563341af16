package main

import (
	"testing"
	"time"
)

func TestWhatWasTakenInQuietDoesNotComeBack(t *testing.T) {
	t.Parallel()
	s := time.Second
	at := func(second int) arrival {
		return arrival{"a", "1", time.Duration(second) * s, time.Duration(second)*s + time.Millisecond}
	}
	kill := happened{kind: killOne, from: 10 * s, to: 70 * s}
	tests := []struct {
		name     string
		arrivals []arrival
		faults   []happened
		again    map[string]bool
		want     int
	}{
		{"once", []arrival{at(1)}, nil, nil, 0},
		{"before every fault, and after it", []arrival{at(1), at(12)}, []happened{kill}, nil, 1},
		{"three times", []arrival{at(1), at(12), at(75)}, []happened{kill}, nil, 2},
		{"just before the kill", []arrival{at(9), at(13)}, []happened{kill}, nil, 0},
		{"while others take over", []arrival{at(49), at(75)}, []happened{kill}, nil, 0},
		{"while the killed one is away", []arrival{at(51), at(75)}, []happened{kill}, nil, 1},
		{"as it comes back", []arrival{at(69), at(75)}, []happened{kill}, nil, 0},
		{"in a cut", []arrival{at(20), at(35)}, []happened{{kind: halves, from: 10 * s, to: 30 * s}}, nil, 0},
		{"before an old disk", []arrival{at(1), at(35)}, []happened{{kind: diskStale, from: 10 * s, to: 11 * s}}, nil, 0},
		{"sent twice", []arrival{at(1), at(12)}, []happened{kill}, map[string]bool{"1": true}, 0},
		{"at once", []arrival{at(1), at(2)}, nil, nil, 0},
	}
	for _, test := range tests {
		if got := cameBack(test.arrivals, test.faults, test.again); len(got) != test.want {
			t.Errorf("%s: %q, want %d", test.name, got, test.want)
		}
	}
}
