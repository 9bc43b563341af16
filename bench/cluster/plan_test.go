package main

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestSeedRepeatsRounds(t *testing.T) {
	t.Parallel()
	o := planOptions{seed: 7, members: 5, replication: 3, network: true}
	for round := 1; round <= 30; round++ {
		if a, b := planRound(o, round), planRound(o, round); !reflect.DeepEqual(a, b) {
			t.Fatalf("round %d: %+v, then %+v", round, a, b)
		}
	}
	other := o
	other.seed = 8
	if reflect.DeepEqual(planRound(o, 1).steps, planRound(other, 1).steps) {
		t.Error("another seed gives the same round")
	}
}

func TestEveryCycleHasEveryFault(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    planOptions
		want []string
	}{
		{"full", planOptions{seed: 1, members: 3, replication: 2, network: true}, append(names(allFaults), storm)},
		{"loopback", planOptions{seed: 1, members: 3, replication: 2}, append(names(processFaults), storm)},
		{"only one", planOptions{seed: 1, members: 3, replication: 2, network: true, only: halves}, []string{"halves"}},
		{"short", planOptions{seed: 1, members: 3, replication: 2, network: true, short: true}, []string{
			"kill one", "stop", "disk lost", "halves", "kill all", "rolling restart", "kill one", storm,
		}},
		{"short on loopback", planOptions{seed: 1, members: 3, replication: 2, short: true}, []string{
			"kill one", "stop", "disk lost", "kill all", "rolling restart", "kill one", storm,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for cycle := range 3 {
				got := make([]string, len(test.want))
				for n := range got {
					got[n] = planRound(test.o, cycle*len(got)+n+1).name
				}
				want := slices.Clone(test.want)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("cycle %d: %v, want %v", cycle, got, want)
				}
			}
		})
	}
}

func names(kinds []kind) (names []string) {
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return names
}

func TestRoundsKeepTheirBounds(t *testing.T) {
	t.Parallel()
	for _, o := range []planOptions{
		{members: 3, replication: 2, network: true},
		{members: 3, replication: 2, network: true, short: true},
		{members: 5, replication: 3, network: true},
		{members: 3, replication: 2},
	} {
		for seed := range uint64(40) {
			o.seed = seed
			for round := 1; round <= 14; round++ {
				p := planRound(o, round)
				if problem := p.outOfBounds(o); problem != "" {
					t.Fatalf("seed %d, round %d: %s: %+v", seed, round, problem, p)
				}
			}
		}
	}
}

// outOfBounds says what a plan has that it must not have.
func (p *plan) outOfBounds(o planOptions) string {
	disks := 0
	for _, s := range p.steps {
		if s.kind.losesDisk() {
			disks++
		}
		switch {
		case s.kind == stopped && (s.length < 100*time.Millisecond || s.length > time.Minute):
			return "a stop of another length"
		case len(s.links) > 0 && !o.network:
			return "cuts links that cannot be cut"
		case len(s.links) == 0 && len(s.targets) == 0:
			return "does nothing"
		case s.end() > 3*time.Minute:
			return "lasts too long"
		}
	}
	if disks > o.replication-1 {
		return "loses more disks than there are spare copies"
	}
	return ""
}

func TestCuts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind  kind
		order []int
		want  []link
	}{
		{halves, []int{2, 0, 1}, []link{{2, 0}, {0, 2}, {2, 1}, {1, 2}}},
		{oneWay, []int{2, 0, 1}, []link{{2, 0}}},
		{isolate, []int{1, 0, 2}, []link{{1, 0}, {0, 1}, {1, 2}, {2, 1}}},
		{ring, []int{1, 0, 2}, []link{{1, 2}, {2, 1}}},
		{ring, []int{0, 1, 2, 3, 4}, []link{
			{0, 2}, {2, 0}, {0, 3}, {3, 0}, {1, 3}, {3, 1}, {1, 4}, {4, 1}, {2, 4}, {4, 2},
		}},
		{halves, []int{0, 1, 2, 3, 4}, []link{
			{0, 2}, {2, 0}, {0, 3}, {3, 0}, {0, 4}, {4, 0}, {1, 2}, {2, 1}, {1, 3}, {3, 1}, {1, 4}, {4, 1},
		}},
	}
	for _, test := range tests {
		if got := cuts(test.kind, test.order); !slices.Equal(got, test.want) {
			t.Errorf("%s of %v: %v, want %v", test.kind, test.order, got, test.want)
		}
	}
}
