package delivery_test

import (
	"slices"
	"testing"

	"pannier/engine"
)

func events(sequences ...uint64) []*engine.Event {
	all := make([]*engine.Event, 0, len(sequences))
	for _, sequence := range sequences {
		all = append(all, event(sequence))
	}
	return all
}

func (r *rig) waiting(t *testing.T) []engine.Range {
	t.Helper()
	ranges, _, changed := r.Waiting(journal)
	if !changed {
		t.Fatal("the cursor has not moved")
	}
	return ranges
}

// What a crash would read again behind a cursor is what has not ended, not everything since
// the slowest attempt began.
func TestCursorNamesWhatHasNotEnded(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.MaxInFlight = 3
	r := newRig(sub, engine.Range{From: 10})
	read := r.step().Reads[0]
	r.ReadDone(read, events(10, 12, 14, 16, 18), 19, false)
	started := r.step().Attempts
	if len(started) != 3 {
		t.Fatalf("attempts = %d, want the window's 3", len(started))
	}
	want := []engine.Range{{From: 10, Through: 10}, {From: 12, Through: 12}, {From: 14, Through: 14}, {From: 16}}
	if got := r.waiting(t); !slices.Equal(got, want) {
		t.Errorf("cursor = %v, want %v", got, want)
	}
	for _, a := range started[1:] { // the first one is slow
		r.Ended(a.Key, a.Event, engine.Result{Outcome: engine.OutcomeSuccess, Status: 200}, r.now)
	}
	r.step() // 16 and 18 are under way
	want = []engine.Range{{From: 10, Through: 10}, {From: 16, Through: 16}, {From: 18, Through: 18}, {From: 19}}
	if got := r.waiting(t); !slices.Equal(got, want) {
		t.Errorf("cursor = %v, want %v", got, want)
	}
	r.Flipped(journal, 18)
	want = want[:3]
	if got := r.waiting(t); !slices.Equal(got, want) {
		t.Errorf("cursor of a closed stretch = %v, want %v", got, want)
	}
}

// A closed stretch of which the end was not handed out yet is read on when it was, and not
// again and again until then.
func TestClosedStretchWaitsForWhatIsHeld(t *testing.T) {
	t.Parallel()
	r := newRig(subscription(), engine.Range{From: 10, Through: 20})
	read := r.step().Reads[0]
	r.ReadDone(read, events(10), 15, true) // 15 is a part of a batch that is held
	if got := r.step(); len(got.Reads) != 0 || len(got.CaughtUp) != 1 {
		t.Fatalf("reads = %v, caught up = %v, want the ingress actor to be asked", got.Reads, got.CaughtUp)
	}
	r.Flipped(journal, 20)
	if got := r.step(); len(got.Reads) != 1 || got.Reads[0].From != 15 || got.Reads[0].Through != 20 {
		t.Errorf("reads = %v, want one from 15 through 20", got.Reads)
	}
}
