package storagetest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// The part of the suite about single deliveries: retry records and dead letters.

// exampleKeys are keys of every kind of neighbourhood, in order.
func exampleKeys() []engine.DeliveryKey {
	var keys []engine.DeliveryKey
	for _, milli := range []int64{-5, 0, 1, 255, 256, day.UnixMilli()} {
		for _, journal := range []engine.JournalID{1, 256, math.MaxUint64} {
			for _, sequence := range []uint64{0, 1, 255, 256, math.MaxUint64} {
				keys = append(keys, deliveryKey(milli, journal, sequence))
			}
		}
	}
	return keys
}

func stateRetryRecords(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	keys := exampleKeys()
	// Neighbours whose ids are prefixes of each other must not show up.
	for _, sub := range []engine.SubscriptionID{"sub_a", "sub_", "sub_aa"} {
		var puts []engine.Write
		for _, i := range rand.Perm(len(keys)) {
			puts = append(puts, engine.PutRetryRecord{RetryRecord: engine.RetryRecord{Subscription: sub, Key: keys[i], Attempts: i}})
		}
		write(t, state, puts...)
	}
	for _, limit := range []int{0, -1, 1, 7, len(keys), len(keys) + 1, storage.MaxPage + 1} {
		for after := -1; after < len(keys); after += 9 {
			from := deliveryKey(math.MinInt64, 0, 0)
			if after >= 0 {
				from = keys[after]
			}
			want := keys[after+1:]
			want = want[:min(max(limit, 0), len(want))]
			records, err := state.RetryRecords(t.Context(), "sub_a", from, limit)
			if err != nil {
				t.Fatalf("RetryRecords: %v", err)
			}
			var got []engine.DeliveryKey
			for _, record := range records {
				if record.Subscription != "sub_a" || keys[record.Attempts] != record.Key {
					t.Fatalf("record %+v is not what was written", record)
				}
				got = append(got, record.Key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("after %d, limit %d: got %v, want %v", after, limit, got, want)
			}
		}
	}
	if !slices.IsSortedFunc(keys, engine.DeliveryKey.Compare) {
		t.Error("the keys of this test are not in order")
	}
}

func stateRetryRecord(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	key := deliveryKey(day.UnixMilli(), 3, 4)
	for _, want := range []engine.RetryRecord{
		{Subscription: "sub_a", Key: key},
		{
			Subscription: "sub_a", Key: key, Attempts: 300, Used: 2, Due: day.Add(time.Nanosecond),
			LastOutcome: engine.OutcomeThrottled, LastStatus: 429, Once: true, Delivered: true,
			Body: exampleEvent(key.Event),
		},
		{Subscription: "sub_a", Key: key, Body: &engine.Event{}},
	} {
		write(t, state, engine.PutRetryRecord{RetryRecord: want})
		got, found, err := state.RetryRecord(t.Context(), "sub_a", key)
		if err != nil || !found {
			t.Fatalf("RetryRecord: found %v, %v", found, err)
		}
		equal(t, "retry record", got, want)
	}
	if _, found, err := state.RetryRecord(t.Context(), "sub_b", key); found || err != nil {
		t.Errorf("another subscription's: found %v, %v", found, err)
	}
	write(t, state, engine.DropRetryRecord{Subscription: "sub_a", Key: key})
	if _, found, err := state.RetryRecord(t.Context(), "sub_a", key); found || err != nil {
		t.Errorf("after the drop: found %v, %v", found, err)
	}
}

func stateDeadLetters(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	var want []engine.DeadLetter
	for i := range 20 {
		letter := engine.DeadLetter{
			Subscription: "sub_a", Key: deliveryKey(int64(i/3), 2, uint64(i)), Reason: engine.ReasonGone,
			Attempts: i, LastOutcome: engine.OutcomeGone, LastStatus: 410, DiedAt: day,
		}
		if i%2 == 0 {
			letter.Event = exampleEvent(letter.Key.Event)
		}
		want = append(want, letter)
		write(t, state, engine.PutDeadLetter{DeadLetter: letter})
	}
	write(t, state, engine.PutDeadLetter{DeadLetter: engine.DeadLetter{Subscription: "sub_b", Key: want[0].Key}})
	slices.SortFunc(want, func(a, b engine.DeadLetter) int { return a.Key.Compare(b.Key) })

	got, err := state.DeadLetters(t.Context(), "sub_a", want[3].Key, 10)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	equal(t, "page", got, want[4:14])
	one, found, err := state.DeadLetter(t.Context(), "sub_a", want[6].Key)
	if err != nil || !found {
		t.Fatalf("DeadLetter: found %v, %v", found, err)
	}
	equal(t, "one", one, want[6])

	write(t, state, engine.DropDeadLetter{Subscription: "sub_a", Key: want[6].Key})
	if _, found, err := state.DeadLetter(t.Context(), "sub_a", want[6].Key); found || err != nil {
		t.Errorf("after the drop: found %v, %v", found, err)
	}
	equal(t, "counts", load(t, state).DeadCount, map[engine.SubscriptionID]int{"sub_a": 19, "sub_b": 1})
}

// exampleExpired is what expired of a journal: events of the same moment.
func exampleExpired(sub engine.SubscriptionID, journal engine.JournalID, sequences ...uint64) engine.Expired {
	x := engine.Expired{Subscription: sub, ExpiredAt: day}
	for _, sequence := range sequences {
		ref := engine.EventRef{Journal: journal, Sequence: sequence}
		event := &engine.Event{Ref: ref, ID: engine.EventID(ref), Topic: "trip.created", AcceptedAt: day.Add(-time.Hour)}
		if sequence%2 == 0 {
			event.ID, event.Topic = "given", "trip.ended"
		}
		x.Add(event)
	}
	return x
}

// stateExpired: what expired is listed among the other dead letters, one by one and in order.
func stateExpired(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	at := day.UnixMilli()
	var want []engine.DeadLetter
	for n := range uint64(12) { // of two journals, over two seconds
		ref := engine.EventRef{Journal: engine.JournalID(7 + n%2), Sequence: 100 + n/2}
		event := &engine.Event{
			Ref: ref, ID: fmt.Sprint("given-", n%5), Topic: fmt.Sprint("t.", n%3), AcceptedAt: time.UnixMilli(at + int64(n)*150).UTC(),
		}
		want = append(want, engine.DeadLetter{
			Subscription: "sub_a", Key: event.Key(), Reason: engine.ReasonExpired, DiedAt: day.Add(time.Hour), Event: event,
		})
	}
	for _, journal := range []engine.JournalID{7, 8} {
		x := engine.Expired{Subscription: "sub_a", ExpiredAt: day.Add(time.Hour)}
		for _, letter := range want {
			if letter.Key.Event.Journal == journal && !x.Add(letter.Event) {
				write(t, state, engine.PutExpired{Expired: x})
				x = engine.Expired{Subscription: "sub_a", ExpiredAt: x.ExpiredAt}
				x.Add(letter.Event)
			}
		}
		write(t, state, engine.PutExpired{Expired: x})
	}
	again, err := state.Expired(t.Context(), "sub_a", engine.DeliveryKey{}, 1)
	if err != nil || len(again) != 1 || len(again[0].Deliveries) != 3 {
		t.Fatalf("Expired: %+v, %v, want the first three", again, err)
	}
	again[0].Deliveries = again[0].Deliveries[1:] // as another keeper of the journal would
	again[0].Key.Event.Sequence++
	inside := engine.Expired{Subscription: "sub_a", ExpiredAt: day.Add(time.Hour)} // of the second second
	inside.Add(want[8].Event)
	other := engine.DeadLetter{Subscription: "sub_a", Key: deliveryKey(at+1100, 7, 1), Reason: engine.ReasonGone, DiedAt: day}
	write(t, state, engine.PutExpired{Expired: again[0]}, engine.PutExpired{Expired: inside}, engine.PutDeadLetter{DeadLetter: other})
	want = slices.Insert(want, 8, other)

	for limit := 1; limit <= len(want)+1; limit++ {
		var got []engine.DeadLetter
		for after := deliveryKey(-1<<63, 0, 0); ; {
			page, err := state.DeadLetters(t.Context(), "sub_a", after, limit)
			if err != nil {
				t.Fatalf("DeadLetters: %v", err)
			}
			got = append(got, page...)
			if len(page) < limit {
				break
			}
			after = page[limit-1].Key
		}
		equal(t, fmt.Sprintf("pages of %d", limit), got, want)
	}
	for _, letter := range want {
		one, found, err := state.DeadLetter(t.Context(), "sub_a", letter.Key)
		if err != nil || !found {
			t.Fatalf("DeadLetter %+v: found %v, %v", letter.Key, found, err)
		}
		equal(t, "by key", one, letter)
		if one, found, err = state.DeadLetterOf(t.Context(), "sub_a", letter.Key.Event); err != nil || !found {
			t.Fatalf("DeadLetterOf %+v: found %v, %v", letter.Key.Event, found, err)
		}
		equal(t, "by event", one, letter)
	}
	wantNoDeadLetter(t, state, "sub_a", deliveryKey(at, 7, 101), deliveryKey(at, 9, 100), deliveryKey(at-1, 7, 99))
	wantNoDeadLetter(t, state, "sub_b", want[0].Key)
}

func wantNoDeadLetter(t *testing.T, state engine.State, sub engine.SubscriptionID, keys ...engine.DeliveryKey) {
	t.Helper()
	for _, key := range keys {
		if _, found, err := state.DeadLetter(t.Context(), sub, key); found || err != nil {
			t.Errorf("DeadLetter %+v: found %v, %v", key, found, err)
		}
	}
	last := keys[len(keys)-1].Event
	if _, found, err := state.DeadLetterOf(t.Context(), sub, last); found || err != nil {
		t.Errorf("DeadLetterOf %+v: found %v, %v", last, found, err)
	}
}

func stateSweepExpired(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	write(t, state, engine.PutExpired{Expired: exampleExpired("sub_a", 3, 1, 2, 4)})
	end := day.Add(engine.DeadLetterRetention)
	for _, test := range []struct {
		now  time.Time
		want int
	}{{end.Add(-time.Millisecond), 3}, {end, 0}} {
		if _, err := state.Sweep(t.Context(), test.now); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		if got := load(t, state).DeadCount["sub_a"]; got != test.want {
			t.Errorf("%v: %d are left, want %d", test.now, got, test.want)
		}
	}
}

func stateSweep(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	const old, young = 2500, 10
	var group []engine.Write
	for i := range old + young {
		diedAt := day.Add(-time.Duration(i) * time.Millisecond)
		if i >= old {
			diedAt = day.Add(time.Millisecond)
		}
		letter := engine.DeadLetter{Subscription: "sub_a", Key: deliveryKey(1, 1, uint64(i)), DiedAt: diedAt, Event: &engine.Event{}}
		group = append(group, engine.PutDeadLetter{DeadLetter: letter})
		if len(group) == 500 || i == old+young-1 {
			write(t, state, group...)
			group = nil
		}
	}
	// A dropped one leaves nothing to sweep but its entry by time.
	write(t, state, engine.DropDeadLetter{Subscription: "sub_a", Key: deliveryKey(1, 1, 3)})
	left := func() int { return load(t, state).DeadCount["sub_a"] }
	sweep := func(now time.Time) int {
		for calls := 1; ; calls++ {
			before := left()
			more, err := state.Sweep(t.Context(), now)
			if err != nil {
				t.Fatalf("Sweep: %v", err)
			}
			if removed := before - left(); removed > 1000 {
				t.Errorf("one call removed %d, want at most 1000", removed)
			}
			if !more || calls == 100 {
				return calls
			}
		}
	}
	end := day.Add(engine.DeadLetterRetention)
	if sweep(end.Add(-old * time.Millisecond)); left() != old+young-1 {
		t.Errorf("swept before the retention was over: %d left", left())
	}
	if calls := sweep(end); left() != young || calls < 3 {
		t.Errorf("after %d calls %d are left, want %d after at least 3", calls, left(), young)
	}
	if sweep(end.Add(time.Hour)); left() != 0 {
		t.Errorf("%d are left, want 0", left())
	}
}

func stateSweepDiedAgain(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	letter := engine.DeadLetter{Subscription: "sub_a", Key: deliveryKey(1, 1, 1), DiedAt: day, Event: exampleEvent(engine.EventRef{})}
	again := letter
	again.DiedAt = day.Add(time.Hour)
	write(t, state, engine.PutDeadLetter{DeadLetter: letter})
	write(t, state, engine.DropDeadLetter{Subscription: "sub_a", Key: letter.Key})
	write(t, state, engine.PutDeadLetter{DeadLetter: again})
	for _, test := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Hour - time.Millisecond, true}, {time.Hour, false}} {
		if _, err := state.Sweep(t.Context(), day.Add(engine.DeadLetterRetention+test.after)); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		got, found, err := state.DeadLetter(t.Context(), "sub_a", letter.Key)
		if err != nil || found != test.want || (found && !reflect.DeepEqual(got, again)) {
			t.Errorf("%v after the first end: %+v, %v, %v; want found %v", test.after, got, found, err, test.want)
		}
	}
}

// Attempts compare by number, then start.
func compareAttempts(a, b engine.Attempt) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), a.StartedAt.Compare(b.StartedAt))
}

func exampleAttempt(sub engine.SubscriptionID, key engine.DeliveryKey, number int) engine.Attempt {
	return engine.Attempt{
		Subscription: sub, Key: key, Number: number, StartedAt: day.Add(time.Duration(number) * time.Second),
		Duration: 1234 * time.Microsecond, Outcome: engine.OutcomeFailure, Status: 500, Error: "status",
		Excerpt: fmt.Sprintf("attempt %d", number), TraceID: "0af7651916cd43dd8448eb211c80319c",
	}
}
