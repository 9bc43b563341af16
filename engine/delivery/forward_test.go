package delivery_test

import (
	"slices"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/delivery"
)

// newForward is the machine of a subscription that another member owns.
func newForward(waiting ...engine.Range) *rig {
	r := &rig{now: start.Add(time.Minute)}
	sub := subscription()
	sub.Enabled, sub.RatePerSecond, sub.MaxInFlight = false, 0.1, 1 // the owner's matters
	r.Machine = delivery.New(delivery.Options{
		Subscription: sub, Mailbox: &r.inbox, Random: func() float64 { return 0.5 },
		Watermark: func(engine.JournalID) uint64 { return 0 }, Forward: true,
	}, r.now)
	r.Lane(journal, 1, waiting)
	return r
}

func refs(sequences ...uint64) (refs []engine.EventRef) {
	for _, sequence := range sequences {
		refs = append(refs, engine.EventRef{Journal: journal, Sequence: sequence})
	}
	return refs
}

func TestForwardHandsOutAndWritesNothing(t *testing.T) {
	t.Parallel()
	r := newForward()
	r.inbox.put(r.now, 1, 2, 3)
	if got := len(r.step().Attempts); got != 3 {
		t.Fatalf("%d events were handed out, want 3", got)
	}
	r.now = r.now.Add(time.Hour) // nothing is spilled, however long the owner takes
	if out := r.step(); len(out.Writes) != 0 || len(out.Attempts) != 0 {
		t.Errorf("after an hour it did %+v", out)
	}
	r.Settled(refs(2))
	if out := r.step(); len(out.Discharged) != 1 || out.Discharged[0].Sequence != 2 || len(out.Writes) != 0 {
		t.Errorf("a settled pair gave %+v", out)
	}
	r.Settled(refs(2)) // said twice
	if out := r.step(); len(out.Discharged) != 0 {
		t.Errorf("a pair that was settled twice was discharged twice: %+v", out.Discharged)
	}
	if got := r.InFlight(); got != 2 {
		t.Errorf("%d hand-outs are under way, want 2", got)
	}
}

func TestForwardWindowIsBounded(t *testing.T) {
	t.Parallel()
	r := newForward()
	for sequence := range uint64(delivery.ForwardWindow + 1) {
		r.inbox.put(r.now, sequence+1)
	}
	if got := len(r.step().Attempts); got != delivery.ForwardWindow {
		t.Errorf("%d events were handed out, want %d", got, delivery.ForwardWindow)
	}
}

// TestForwardLeavesABusyOwnerAlone: what it gave back is offered again after a while, one at a
// time, and all at once again when it keeps up.
func TestForwardLeavesABusyOwnerAlone(t *testing.T) {
	t.Parallel()
	r := newForward()
	r.inbox.put(r.now, 1, 2, 3, 4)
	r.step()
	live := r.Returned(refs(3, 4), true, r.now)
	if len(live) != 2 || live[0].Ref.Sequence != 3 {
		t.Fatalf("got %v back, want events 3 and 4", live)
	}
	r.Settled(refs(1, 2))
	r.inbox.put(r.now, 3, 4)
	r.Returned(nil, true, r.now)
	if got := len(r.step().Attempts); got != 0 {
		t.Fatalf("a busy owner got %d events at once", got)
	}
	if !r.wake.After(r.now) {
		t.Fatalf("the machine wakes at %s, want later than %s", r.wake, r.now)
	}
	r.now = r.wake
	if got := len(r.step().Attempts); got != 1 {
		t.Fatalf("after its hold the owner got %d events, want 1", got)
	}
	r.Settled(refs(3))
	if got := len(r.step().Attempts); got != 1 {
		t.Fatalf("an owner that keeps up got %d events, want the one that waits", got)
	}
}

// TestForwardReadsBehindTheCursor: what lags is read from the journal, and the cursor moves only
// past what the owner has settled.
func TestForwardReadsBehindTheCursor(t *testing.T) {
	t.Parallel()
	r := newForward(engine.Range{From: 10, Through: 12})
	read := r.step().Reads[0]
	r.ReadDone(read, []*engine.Event{event(10), event(11), event(12)}, 13, false)
	if got := len(r.step().Attempts); got != 3 {
		t.Fatalf("%d events were handed out, want 3", got)
	}
	r.Settled(refs(11, 12))
	if ranges, _, _ := r.Waiting(journal); len(ranges) == 0 || ranges[0].From != 10 {
		t.Errorf("the cursor is %v, want it at 10", ranges)
	}
	if live := r.Returned(refs(10), false, r.now); len(live) != 0 {
		t.Errorf("%v came back by mailbox, want it behind the cursor", live)
	}
	if got := len(r.step().Attempts); got != 1 {
		t.Errorf("%d events were handed out again, want 1", got)
	}
	r.Settled(refs(10))
	if ranges, _, _ := r.Waiting(journal); len(ranges) != 0 {
		t.Errorf("the cursor is %v, want none", ranges)
	}
}

// TestLeaveHandsOnWhatIsUnderWay: the next owner finds a retry record that is due when the
// attempt has certainly ended, and a success that comes after all drops it.
func TestLeaveHandsOnWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	attempt := r.step().Attempts[0]
	r.Stop()
	r.Leave(r.now)
	out := r.step()
	n, record := count[engine.PutRetryRecord](out.Writes)
	if want := r.now.Add(subscription().Timeout); n != 1 || !record.Due.Equal(want) {
		t.Fatalf("%d records, due %s, want one due %s", n, record.Due, want)
	}
	r.Committed(out.AfterWrites)
	if out := r.step(); len(out.Discharged) != 1 {
		t.Errorf("the pair is not discharged once its record is durable: %+v", out)
	}
	r.Ended(attempt.Key, attempt.Event, engine.Result{Outcome: engine.OutcomeSuccess, Status: 200}, r.now)
	if n, _ := count[engine.DropRetryRecord](r.step().Writes); n != 1 {
		t.Error("a success that came after all left its record")
	}
}

// TestHandedOutTwice: an event whose retry record is there, or whose first attempt is under way,
// is not attempted once more when another member hands it out again.
func TestHandedOutTwice(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	r.step()
	r.inbox.put(r.now, 1) // the first attempt is under way
	if out := r.step(); len(out.Attempts) != 0 || len(out.Discharged) != 0 {
		t.Fatalf("an event under way gave %+v", out)
	}
	r.out.Attempts = []delivery.Attempt{{Key: event(1).Key(), Event: event(1)}}
	out := r.end(engine.OutcomeFailure, 500)
	r.Committed(out.AfterWrites)
	if out := r.step(); len(out.Discharged) != 1 {
		t.Fatalf("the failed attempt discharged %v, want its pair", out.Discharged)
	}
	r.inbox.put(r.now, 1) // it has a retry record
	out = r.step()
	if n, _ := count[engine.PutRetryRecord](out.Writes); n != 1 || len(out.Attempts) != 0 || len(out.Discharged) != 0 {
		t.Fatalf("an event with a retry record gave %+v", out)
	}
	r.Committed(out.AfterWrites)
	if out := r.step(); len(out.Discharged) != 1 {
		t.Error("the pair is not discharged once the record is certainly durable")
	}
}

// TestAttemptThatOutlivesItsLane: while an attempt is under way its journal gets another keeper,
// who hands the event out again: the pair ends with that attempt.
func TestAttemptThatOutlivesItsLane(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		cursor    bool // the event came from the journal, not by mailbox
		window    int  // 1: its turn comes when the attempt has ended
		outcome   engine.Outcome
		attempts  int
		discharge int
	}{
		{"arrived", false, 1, engine.OutcomeSuccess, 0, 2}, // the former keeper is told as well
		{"arrived from a cursor", true, 1, engine.OutcomeSuccess, 0, 1},
		{"cut off", false, 1, engine.OutcomeInterrupted, 1, 0},
		{"again meanwhile", false, 2, engine.OutcomeSuccess, 0, 1},
		{"again meanwhile from a cursor", true, 2, engine.OutcomeSuccess, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sub := subscription()
			sub.MaxInFlight = tt.window
			r := newRig(sub)
			if tt.cursor {
				r.Lagging(journal, engine.Range{From: 1, Through: 1})
				r.ReadDone(r.step().Reads[0], []*engine.Event{event(1)}, 2, false)
			} else {
				r.inbox.put(r.now, 1)
			}
			attempt := r.step().Attempts[0]
			r.DropLane(journal)
			r.Lane(journal, 1, nil)
			r.inbox.put(r.now, 1)
			r.step()
			r.Ended(attempt.Key, attempt.Event, engine.Result{Outcome: tt.outcome}, r.now)
			attempts, discharged := 0, 0
			for range 3 {
				out := r.step()
				attempts += len(out.Attempts)
				discharged += len(out.Discharged)
			}
			if attempts != tt.attempts || discharged != tt.discharge {
				t.Errorf("%d attempts more, discharged %d times, want %d and %d", attempts, discharged, tt.attempts, tt.discharge)
			}
			r.inbox.put(r.now, 1)
			if out := r.step(); tt.attempts == 0 && len(out.Attempts) != 1 {
				t.Errorf("once more later: attempts %v, want one: it is forgotten", out.Attempts)
			}
		})
	}
}

// TestTheCursorKeepsWhatIsUnderWay: an adopter reads behind the cursor what it attempts already, for
// the keeper before. Until that has ended a crash would have to read it again.
func TestTheCursorKeepsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	attempt := r.step().Attempts[0]
	r.DropLane(journal)
	r.Lane(journal, 1, []engine.Range{{From: 1, Through: 1}})
	r.ReadDone(r.step().Reads[0], []*engine.Event{event(1)}, 2, false)
	if out := r.step(); len(out.Attempts) != 0 {
		t.Errorf("attempts %v, want none more", out.Attempts)
	}
	if waiting, _, _ := r.Waiting(journal); !slices.Equal(waiting, []engine.Range{{From: 1, Through: 1}}) {
		t.Errorf("behind the cursor = %v, want the event under way", waiting)
	}
	r.Ended(attempt.Key, attempt.Event, engine.Result{Outcome: engine.OutcomeSuccess}, r.now)
	r.step()
	if waiting, _, changed := r.Waiting(journal); !changed || len(waiting) != 0 {
		t.Errorf("behind the cursor = %v, want nothing", waiting)
	}
}

// TestReadBesideARecord: another member wrote a retry record of an event that was read from the
// journal and waits for its turn. It is one delivery.
func TestReadBesideARecord(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.MaxInFlight = 1
	r := newRig(sub, engine.Range{From: 1, Through: 2})
	r.ReadDone(r.step().Reads[0], []*engine.Event{event(1), event(2)}, 3, false)
	first := r.step().Attempts[0]
	r.Merge(engine.RetryRecord{Subscription: sub.ID, Key: event(2).Key(), Attempts: 1, Used: 1, Due: r.now}, r.now)
	attempts := 0
	for next := []delivery.Attempt{first}; len(next) > 0 && attempts < 9; attempts++ {
		r.Ended(next[0].Key, event(next[0].Key.Event.Sequence), engine.Result{Outcome: engine.OutcomeSuccess}, r.now)
		next = r.step().Attempts
	}
	if attempts != 2 || r.InFlight() != 0 {
		t.Errorf("%d attempts, %d under way, want one for each event", attempts, r.InFlight())
	}
	if waiting, _, _ := r.Waiting(journal); len(waiting) != 0 {
		t.Errorf("behind the cursor = %v, want nothing", waiting)
	}
}

// TestMergeAndForget: the records that other members wrote are attempted, the ones they settled
// are not.
func TestMergeAndForget(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	record := func(sequence uint64) engine.RetryRecord {
		return engine.RetryRecord{Subscription: subscription().ID, Key: event(sequence).Key(), Attempts: 1, Used: 1, Due: r.now.Add(time.Minute)}
	}
	r.Merge(record(1), r.now)
	r.Merge(record(2), r.now)
	r.Merge(record(2), r.now)
	if records, _ := r.Counts(); records != 2 {
		t.Errorf("%d records, want 2", records)
	}
	r.Forget(record(1).Key)
	r.Forget(record(1).Key)
	r.now = r.now.Add(2 * time.Minute)
	attempts := r.step().Attempts
	if len(attempts) != 1 || attempts[0].Key != record(2).Key || attempts[0].Number != 2 {
		t.Errorf("attempts %+v, want the second of event 2", attempts)
	}
	for range 2 { // the second time it is not known any more
		r.Over(record(2).Key)
	}
	if records, _ := r.Counts(); records != 0 || len(r.step().Attempts) != 0 {
		t.Errorf("%d records, want none: the one of event 2 is gone", records)
	}
}

// newRetrying is a machine that attempts the retry record of event 1.
func newRetrying() (*rig, delivery.Attempt) {
	r := newRig(subscription())
	r.Merge(engine.RetryRecord{Subscription: subscription().ID, Key: event(1).Key(), Due: r.now}, r.now)
	return r, r.step().Attempts[0]
}

// TestOverOfADeletedSubscription: its records are counted no more, however its attempts end.
func TestOverOfADeletedSubscription(t *testing.T) {
	t.Parallel()
	r, attempt := newRetrying()
	deleted := *subscription()
	deleted.Deleted = true
	r.Change(&deleted, r.now)
	r.step()
	r.Over(attempt.Key)
	if n, queue := count[engine.PutQueue](r.step().Writes); n != 0 {
		t.Errorf("the queue was written with %d records, want nothing", queue.Records)
	}
	if records, _ := r.Counts(); records != 0 {
		t.Errorf("%d records, want none", records)
	}
}

// TestOverOfARecordThatIsWrittenAgain: it is on disk after all, and is attempted.
func TestOverOfARecordThatIsWrittenAgain(t *testing.T) {
	t.Parallel()
	r, attempt := newRetrying()
	r.inbox.put(r.now, 1) // another keeper of its journal hands it out
	if n, _ := count[engine.PutRetryRecord](r.step().Writes); n != 1 {
		t.Fatal("the record was not written again")
	}
	r.Over(attempt.Key)
	if got := r.step().Attempts; len(got) != 1 || got[0].Key != attempt.Key {
		t.Errorf("attempts %v, want that of the record", got)
	}
}

// TestReturnedEventsDoNotHideWhatIsSettled: the cursor names them one by one, so a crash reads
// again only what was not settled.
func TestReturnedEventsDoNotHideWhatIsSettled(t *testing.T) {
	t.Parallel()
	r := newForward(engine.Range{From: 1, Through: 5})
	read := r.step().Reads[0]
	r.ReadDone(read, []*engine.Event{event(1), event(2), event(3), event(4), event(5)}, 6, false)
	r.step()
	r.Returned(refs(4, 1), true, r.now)
	r.Settled(refs(2, 3, 5))
	ranges, _, _ := r.Waiting(journal)
	want := []engine.Range{{From: 1, Through: 1}, {From: 4, Through: 4}}
	if len(ranges) != 2 || ranges[0] != want[0] || ranges[1] != want[1] {
		t.Errorf("the cursor is %v, want %v", ranges, want)
	}
}
