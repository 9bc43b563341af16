package delivery_test

import (
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/delivery"
	"pannier/engine/retry"
)

const journal = engine.JournalID(7)

var start = time.Date(2026, 5, 12, 7, 0, 0, 0, time.UTC)

// inbox is a delivery.Mailbox of one lane.
type inbox struct {
	events []*engine.Event
	at     []time.Time
	late   bool // it looks empty until the first event is taken
}

func (b *inbox) Take(engine.JournalID) (*engine.Event, bool) {
	if len(b.events) == 0 {
		return nil, false
	}
	b.late = false
	event := b.events[0]
	b.events, b.at = b.events[1:], b.at[1:]
	return event, true
}

func (b *inbox) Oldest(engine.JournalID) (time.Time, bool) {
	if len(b.at) == 0 || b.late {
		return time.Time{}, false
	}
	return b.at[0], true
}

func (b *inbox) put(at time.Time, sequences ...uint64) {
	for _, sequence := range sequences {
		b.events = append(b.events, event(sequence))
		b.at = append(b.at, at)
	}
}

func event(sequence uint64) *engine.Event {
	ref := engine.EventRef{Journal: journal, Sequence: sequence}
	return &engine.Event{
		Ref: ref, ID: engine.EventID(ref), Topic: "trip.created", Data: []byte("{}"),
		AcceptedAt: start.Add(time.Duration(sequence) * time.Millisecond),
	}
}

func subscription() *engine.Subscription {
	return &engine.Subscription{
		ID: "sub_00000000000000000000", Tenant: "default", Enabled: true, Timeout: 30 * time.Second,
		Success: engine.SuccessBelow400, MaxInFlight: 64,
		Retry: retry.Schedule{MaxRetries: 5, MinDelay: 10 * time.Second, MaxDelay: 30 * time.Minute},
	}
}

// rig is a machine with its mailbox and what it asked for so far.
type rig struct {
	*delivery.Machine
	inbox inbox
	now   time.Time
	out   delivery.Effects // of the last step
	wake  time.Time
}

func newRig(sub *engine.Subscription, waiting ...engine.Range) *rig {
	r := &rig{now: start.Add(time.Minute)}
	r.Machine = delivery.New(delivery.Options{
		Subscription: sub, Mailbox: &r.inbox, Random: func() float64 { return 0.5 },
		Watermark: func(engine.JournalID) uint64 { return 0 },
	}, r.now)
	r.Lane(journal, 1, waiting)
	return r
}

func (r *rig) step() delivery.Effects {
	r.wake = r.Step(r.now)
	r.out = r.Flush()
	return r.out
}

// end ends the attempts of the last step.
func (r *rig) end(outcome engine.Outcome, status int) delivery.Effects {
	for _, a := range r.out.Attempts {
		e := a.Event
		if e == nil {
			e = event(a.Key.Event.Sequence)
		}
		r.Ended(a.Key, e, engine.Result{Outcome: outcome, Status: status, RetryAfter: -1}, r.now)
	}
	return r.step()
}

func count[W engine.Write](writes []engine.Write) (n int, last W) {
	for _, w := range writes {
		if found, ok := w.(W); ok {
			n++
			last = found
		}
	}
	return n, last
}

func TestSuccessAtFirstAttemptWritesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1, 2)
	if got, want := len(r.step().Attempts), 2; got != want {
		t.Fatalf("attempts = %d, want %d", got, want)
	}
	out := r.end(engine.OutcomeSuccess, 200)
	if len(out.Writes) != 0 {
		t.Errorf("writes = %v, want none", out.Writes)
	}
	if got, want := len(out.Discharged), 2; got != want {
		t.Errorf("discharged = %d, want %d", got, want)
	}
}

// The ingress actor may put an event into the mailbox between the machine's look at its age
// and the taking: the ledger waits for it all the same.
func TestEventThatComesBetweenTwoLooksIsDischarged(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	r.inbox.late = true
	if got := len(r.step().Attempts); got != 1 {
		t.Fatalf("attempts = %d, want 1", got)
	}
	if got := r.end(engine.OutcomeSuccess, 200).Discharged; len(got) != 1 {
		t.Errorf("discharged = %v, want the event", got)
	}
}

// The schedule of the public contract, to its end.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	r.step()
	delays := []time.Duration{
		10 * time.Second, 36600 * time.Millisecond, 134 * time.Second, 491 * time.Second, 1800 * time.Second,
	}
	for n, want := range delays {
		r.now = r.now.Add(300 * time.Millisecond) // the delay counts from the end of the attempt
		out := r.end(engine.OutcomeFailure, 500)
		if kept, record := count[engine.PutRetryRecord](out.Writes); kept != 1 || record.Attempts != n+1 {
			t.Fatalf("after attempt %d: %d records with %d attempts", n+1, kept, record.Attempts)
		}
		if n == 0 {
			if len(out.Discharged) != 0 {
				t.Fatal("the pair was discharged before its retry record was durable")
			}
			r.Committed(out.AfterWrites)
			if got := len(r.step().Discharged); got != 1 {
				t.Fatalf("discharged = %d once the record is durable, want 1", got)
			}
		}
		got := r.wake.Sub(r.now)
		if got < want-want/10 || got > want+want/10 {
			t.Fatalf("delay %d = %v, want %v ± 10 %%", n+1, got, want)
		}
		r.now = r.wake.Add(-time.Millisecond)
		if out := r.step(); len(out.Attempts) != 0 {
			t.Fatalf("attempt %d came early", n+2)
		}
		r.now = r.wake
		if out := r.step(); len(out.Attempts) != 1 || out.Attempts[0].Number != n+2 {
			t.Fatalf("attempt %d did not come: %v", n+2, out.Attempts)
		}
	}
	out := r.end(engine.OutcomeFailure, 500)
	died, letter := count[engine.PutDeadLetter](out.Writes)
	if died != 1 || letter.Reason != engine.ReasonExhausted || letter.Attempts != 6 || letter.Event == nil {
		t.Errorf("dead letter = %d %+v, want one, exhausted after 6 attempts, with its event", died, letter)
	}
	if dropped, _ := count[engine.DropRetryRecord](out.Writes); dropped != 1 {
		t.Errorf("the retry record outlived the dead letter")
	}
}

func TestRetryAfterChangesTheDelayOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		asked time.Duration
		want  time.Duration
	}{
		{"inside the bounds", 2 * time.Minute, 2 * time.Minute},
		{"below min_delay", 0, 10 * time.Second},
		{"above max_delay", 48 * time.Hour, 30 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(subscription())
			r.inbox.put(r.now, 1)
			key := r.step().Attempts[0].Key
			r.Ended(key, event(1), engine.Result{Outcome: engine.OutcomeThrottled, Status: 429, RetryAfter: tt.asked}, r.now)
			r.step()
			if got := r.wake.Sub(r.now); got != tt.want {
				t.Errorf("delay = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSlowFirstAttemptIsSpilled(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	attempt := r.step().Attempts[0]
	if got, want := r.wake, r.now.Add(engine.SpillAfter); !got.Equal(want) {
		t.Fatalf("wake = %v, want %v", got, want)
	}
	r.now = r.wake
	out := r.step()
	kept, record := count[engine.PutRetryRecord](out.Writes)
	if kept != 1 || record.Attempts != 0 {
		t.Fatalf("spilled records = %d with %d attempts, want 1 with none used", kept, record.Attempts)
	}
	r.Committed(out.AfterWrites)
	if got := len(r.step().Discharged); got != 1 {
		t.Fatalf("discharged = %d, want 1: the watermark must not wait for a slow endpoint", got)
	}
	r.now = r.now.Add(time.Second)
	r.Ended(attempt.Key, attempt.Event, engine.Result{Outcome: engine.OutcomeSuccess, Status: 200}, r.now)
	out = r.step()
	if dropped, _ := count[engine.DropRetryRecord](out.Writes); dropped != 1 {
		t.Error("the record of a delivered event was kept")
	}
	if marks, _ := count[engine.PutDoneMark](out.Writes); marks != 1 {
		t.Error("no done mark: a crash would bring the delivery back")
	}
	if len(out.Discharged) != 0 {
		t.Error("the pair was discharged twice")
	}
}

// The wait in the mailbox counts: 5 s in memory is 5 s, wherever they were spent.
func TestWaitInTheMailboxCountsForTheSpill(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	r.now = r.now.Add(engine.SpillAfter - time.Second)
	if out := r.step(); len(out.Attempts) != 1 {
		t.Fatalf("attempts = %d, want 1", len(out.Attempts))
	}
	if got, want := r.wake, r.now.Add(time.Second); !got.Equal(want) {
		t.Errorf("wake = %v, want %v", got, want)
	}
	r.now = r.wake
	if kept, _ := count[engine.PutRetryRecord](r.step().Writes); kept != 1 {
		t.Errorf("spilled records = %d, want 1", kept)
	}
}

func TestInterruptedUsesNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	r.step()
	out := r.end(engine.OutcomeInterrupted, 0)
	kept, record := count[engine.PutRetryRecord](out.Writes)
	if kept != 1 || record.Attempts != 0 || record.Used != 0 {
		t.Errorf("record = %d %+v, want one with nothing used", kept, record.RetryRecord)
	}
	if len(out.Ends) != 0 {
		t.Errorf("what had not begun is in the log: %+v", out.Ends)
	}
}

func TestCutOffIsLogged(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	r.inbox.put(r.now, 1)
	attempt := r.step().Attempts[0]
	r.Ended(attempt.Key, attempt.Event, engine.Result{Outcome: engine.OutcomeInterrupted, Error: "interrupted"}, r.now)
	out := r.step()
	if len(out.Ends) != 1 || out.Ends[0].Attempt.Outcome != engine.OutcomeInterrupted || out.Ends[0].Attempt.Number != 1 {
		t.Errorf("ends = %+v, want one that was interrupted", out.Ends)
	}
	if kept, record := count[engine.PutRetryRecord](out.Writes); kept != 1 || record.Attempts != 0 || record.Used != 0 {
		t.Errorf("record = %d %+v, want one with nothing used", kept, record.RetryRecord)
	}
}

func TestGoneDisablesWhereAsked(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.DisableOnGone = true
	r := newRig(sub)
	r.inbox.put(r.now, 1)
	r.step()
	out := r.end(engine.OutcomeGone, 410)
	if died, letter := count[engine.PutDeadLetter](out.Writes); died != 1 || letter.Reason != engine.ReasonGone || !out.Disable {
		t.Errorf("dead letters = %d (%s), disable = %v; want one (gone), true", died, letter.Reason, out.Disable)
	}
}

func TestFailedManualRetryDies(t *testing.T) {
	t.Parallel()
	r := newRig(subscription())
	record := engine.RetryRecord{Subscription: subscription().ID, Key: event(1).Key(), Attempts: 6, Once: true, Body: event(1)}
	if !r.Insert(record, nil) {
		t.Fatal("the record was refused")
	}
	out := r.step()
	if len(out.Attempts) != 1 || out.Attempts[0].Number != 7 {
		t.Fatalf("attempts = %v, want number 7 at once", out.Attempts)
	}
	out = r.end(engine.OutcomeFailure, 500)
	if died, letter := count[engine.PutDeadLetter](out.Writes); died != 1 || letter.Attempts != 7 {
		t.Errorf("dead letters = %d after %d attempts, want 1 after 7", died, letter.Attempts)
	}
}

func TestDisabledSubscriptionKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.Enabled = false
	r := newRig(sub)
	r.inbox.put(r.now, 1)
	if out := r.step(); len(out.Attempts) != 0 {
		t.Fatal("a disabled subscription was attempted")
	}
	enabled := subscription()
	r.Change(enabled, r.now)
	if out := r.step(); len(out.Attempts) != 1 {
		t.Error("what was pending did not go on")
	}
}

func TestDeletedSubscriptionDischargesEverything(t *testing.T) {
	t.Parallel()
	r := newRig(subscription(), engine.Range{From: 50})
	r.inbox.put(r.now, 1, 2)
	attempt := r.step().Attempts[0]
	r.inbox.put(r.now, 3)
	deleted := subscription()
	deleted.Deleted, deleted.Enabled = true, false
	r.Change(deleted, r.now)
	out := r.step()
	if len(out.Discharged) != 1 || !out.Purge {
		t.Errorf("discharged = %v, purge = %v; want event 3, true", out.Discharged, out.Purge)
	}
	r.Ended(attempt.Key, attempt.Event, engine.Result{Outcome: engine.OutcomeFailure}, r.now)
	if out := r.step(); len(out.Writes) != 0 || len(out.Discharged) != 1 {
		t.Errorf("after the end: writes %v, discharged %v", out.Writes, out.Discharged)
	}
}

func TestQuarantinedDeliveryIsNotAttempted(t *testing.T) {
	t.Parallel()
	r := &rig{now: start.Add(time.Minute)}
	r.Machine = delivery.New(delivery.Options{
		Subscription: subscription(), Mailbox: &r.inbox, Random: func() float64 { return 0.5 },
		Watermark:   func(engine.JournalID) uint64 { return 0 },
		Quarantined: map[engine.EventRef]bool{event(1).Ref: true},
	}, r.now)
	r.Lane(journal, 1, nil)
	r.inbox.put(r.now, 1, 2)
	out := r.step()
	if len(out.Attempts) != 1 || out.Attempts[0].Key.Event.Sequence != 2 {
		t.Errorf("attempts = %v, want event 2 alone", out.Attempts)
	}
	if died, letter := count[engine.PutDeadLetter](out.Writes); died != 1 || letter.Reason != engine.ReasonQuarantined {
		t.Errorf("dead letters = %d (%s), want one (quarantined)", died, letter.Reason)
	}
}

func TestWindowAndLaneShare(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.MaxInFlight = 10
	r := &rig{now: start.Add(time.Minute)}
	r.Machine = delivery.New(delivery.Options{
		Subscription: sub, Mailbox: &r.inbox, Random: func() float64 { return 0.5 },
		Watermark: func(engine.JournalID) uint64 { return 0 },
	}, r.now)
	r.Lane(journal, 0.3, nil)
	for sequence := range uint64(20) {
		r.inbox.put(r.now, sequence+1)
	}
	if got, want := len(r.step().Attempts), 3; got != want {
		t.Errorf("attempts = %d, want %d: the lane's share of the window", got, want)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.RatePerSecond = 2
	r := newRig(sub)
	for sequence := range uint64(10) {
		r.inbox.put(r.now.Add(time.Hour), sequence+1)
	}
	sent := len(r.step().Attempts)
	r.end(engine.OutcomeSuccess, 200)
	for end := r.now.Add(3 * time.Second); r.now.Before(end); {
		r.now = r.now.Add(100 * time.Millisecond)
		sent += len(r.step().Attempts)
		r.end(engine.OutcomeSuccess, 200)
	}
	if sent < 6 || sent > 8 {
		t.Errorf("sent %d in 3 s at 2 a second, want 7 ± 1", sent)
	}
}
