package delivery_test

import (
	"slices"
	"testing"

	"pannier/engine"
	"pannier/engine/delivery"
)

// What left the retention is given up wherever it waits: unread, or read and not attempted.
// What is under way is not lost with its segment: a retry record carries its event.
func TestExpire(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.MaxInFlight = 1
	r := newRig(sub, engine.Range{From: 1})
	read := r.step().Reads[0]
	r.ReadDone(read, []*engine.Event{event(1), event(2), event(4)}, 5, false)
	if out := r.step(); len(out.Attempts) != 1 {
		t.Fatalf("attempts = %d, want 1: the window is 1", len(out.Attempts))
	}
	gone := r.Expire(journal, 6, r.now)
	if want := []engine.Range{{From: 2, Through: 2}, {From: 4, Through: 4}, {From: 5, Through: 6}}; !slices.Equal(gone, want) {
		t.Errorf("given up = %v, want %v", gone, want)
	}
	kept, record := count[engine.PutRetryRecord](r.step().Writes)
	if kept != 1 || record.Key.Event.Sequence != 1 || record.Body == nil {
		t.Errorf("records = %d %+v, want one of event 1 that carries it", kept, record)
	}
	r.Committed([]delivery.Pair{{Event: event(1).Ref}})
	if waiting, _, _ := r.Waiting(journal); !slices.Equal(waiting, []engine.Range{{From: 7}}) {
		t.Errorf("behind the cursor = %v, want what comes after 6", waiting)
	}
}
