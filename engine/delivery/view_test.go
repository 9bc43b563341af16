package delivery_test

import (
	"testing"

	"pannier/engine"
)

func TestFlightsBehind(t *testing.T) {
	t.Parallel()
	r := newRig(subscription(), engine.Range{From: 5, Through: 7})
	read := r.step().Reads[0]
	r.ReadDone(read, []*engine.Event{event(5), event(6), event(7)}, 8, false)
	r.inbox.put(r.now, 8)
	r.step()
	if _, flights := r.Counts(); flights != 4 {
		t.Fatalf("want 4 attempts under way, got %d", flights)
	}
	if got := r.FlightsBehind(journal); got != 3 {
		t.Errorf("want 3 of them behind the cursor, got %d", got)
	}
	r.now = r.now.Add(engine.SpillAfter)
	r.step() // retry records take their place
	if got := r.FlightsBehind(journal); got != 0 {
		t.Errorf("want none after the spill, got %d", got)
	}
}
