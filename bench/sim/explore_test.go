package main

import "testing"

// TestEveryOrderOfTwoEvents: a bounded part of what sim --exhaustive goes through.
func TestEveryOrderOfTwoEvents(t *testing.T) {
	t.Parallel()
	for _, s := range []scenario{
		{crashes: -1, alone: -1, bounds: bounds{delays: 1}},
		{crashes: 0, alone: -1},
		{crashes: -1, alone: 1},
	} {
		e := explore(s)
		if e.broken != nil {
			t.Error(e.broken)
		}
		if len(e.visited) < 50 || e.runs == 0 {
			t.Errorf("%v: %d states and %d complete runs, want more", s, len(e.visited), e.runs)
		}
	}
}

// TestStatesAreTheSameOnEveryPath: two orders of things of different members lead to one state,
// in which the same may happen.
func TestStatesAreTheSameOnEveryPath(t *testing.T) {
	t.Parallel()
	s := scenario{crashes: -1, alone: -1}
	one, other := s.start(), s.start()
	first, second := s.choices(one)[0], s.choices(one)[1]
	if first.track.to == second.track.to {
		t.Fatalf("both events begin on member %d, want two members", first.track.to)
	}
	s.choose(one, first)
	s.choose(one, second)
	s.choose(other, second)
	s.choose(other, first)
	if got, want := other.exploring.histories, one.exploring.histories; got != want {
		t.Errorf("the histories are %v, want %v", got, want)
	}
	names := func(w *world) map[uint64]bool {
		names := make(map[uint64]bool)
		for _, c := range s.choices(w) {
			names[c.name] = true
		}
		return names
	}
	for name := range names(one) {
		if !names(other)[name] {
			t.Errorf("%x may happen after one order only", name)
		}
	}
}
