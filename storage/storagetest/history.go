package storagetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// OpenHistory opens an empty history for one test and closes it at its end.
type OpenHistory func(t *testing.T) engine.History

// History is the conformance suite of engine.History.
func History(t *testing.T, open OpenHistory) {
	tests := []struct {
		name string
		test func(*testing.T, engine.History)
	}{
		{"attempts are listed by number", historyOrder},
		{"an interrupted attempt keeps its line", historyInterrupted},
		{"an attempt recorded twice is one", historyTwice},
		{"no more are listed than the bound", historyBound},
		{"many may record at once", historyConcurrent},
		{"a closed history is unavailable", historyClosed},
		{"a cancelled read ends", historyCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.test(t, open(t))
		})
	}
}

func attempts(t *testing.T, history engine.History, sub engine.SubscriptionID, key engine.DeliveryKey) []engine.Attempt {
	t.Helper()
	got, err := history.Attempts(t.Context(), sub, key)
	if err != nil {
		t.Fatalf("Attempts: %v", err)
	}
	return got
}

func historyOrder(t *testing.T, history engine.History) {
	key, other := deliveryKey(5, 6, 7), deliveryKey(5, 6, 8)
	var want []engine.Attempt
	for number := range 300 {
		want = append(want, exampleAttempt("sub_a", key, number+1))
	}
	for _, i := range rand.Perm(len(want)) {
		history.Record(want[i], exampleAttempt("sub_a", other, i), exampleAttempt("sub_aa", key, i))
	}
	equal(t, "attempts", attempts(t, history, "sub_a", key), want)
	equal(t, "of no delivery", len(attempts(t, history, "sub_", key)), 0)
}

func historyInterrupted(t *testing.T, history engine.History) {
	key := deliveryKey(1, 2, 3)
	interrupted := engine.Attempt{
		Subscription: "sub_a", Key: key, Number: 1, StartedAt: day, Outcome: engine.OutcomeInterrupted,
	}
	again := interrupted
	again.StartedAt, again.Outcome = day.Add(time.Minute), engine.OutcomeSuccess
	history.Record(again)
	history.Record(interrupted)
	want := []engine.Attempt{interrupted, again}
	if !slices.IsSortedFunc(want, compareAttempts) {
		t.Fatal("the attempts of this test are not in order")
	}
	equal(t, "attempts", attempts(t, history, "sub_a", key), want)
}

func historyTwice(t *testing.T, history engine.History) {
	attempt := exampleAttempt("sub_a", deliveryKey(1, 2, 3), 1)
	history.Record(attempt, attempt)
	equal(t, "attempts", attempts(t, history, "sub_a", attempt.Key), []engine.Attempt{attempt})
	history.Record(attempt)
	equal(t, "attempts", attempts(t, history, "sub_a", attempt.Key), []engine.Attempt{attempt})
}

func historyBound(t *testing.T, history engine.History) {
	key := deliveryKey(1, 2, 3)
	for number := storage.MaxAttemptsListed + 1; number > 0; number-- {
		history.Record(exampleAttempt("sub_a", key, number))
	}
	got := attempts(t, history, "sub_a", key)
	if len(got) != storage.MaxAttemptsListed || got[0].Number != 1 {
		t.Errorf("got %d attempts from %d on, want %d from 1 on", len(got), got[0].Number, storage.MaxAttemptsListed)
	}
}

func historyConcurrent(t *testing.T, history engine.History) {
	key := deliveryKey(1, 2, 3)
	const writers, each = 8, 100
	var writing sync.WaitGroup
	for writer := range writers {
		writing.Go(func() {
			for i := range each {
				history.Record(exampleAttempt("sub_a", key, writer*each+i))
				if i%25 == 0 {
					if _, err := history.Attempts(t.Context(), "sub_a", key); err != nil {
						t.Errorf("Attempts: %v", err)
					}
				}
			}
		})
	}
	writing.Wait()
	got := attempts(t, history, "sub_a", key)
	if len(got) != writers*each || !slices.IsSortedFunc(got, compareAttempts) {
		t.Errorf("got %d attempts, want %d in order", len(got), writers*each)
	}
}

func historyClosed(t *testing.T, history engine.History) {
	if err := history.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	history.Record(exampleAttempt("sub_a", deliveryKey(1, 2, 3), 1))
	_, err := history.Attempts(t.Context(), "sub_a", deliveryKey(1, 2, 3))
	if engine.ErrorCode(err) != engine.CodeUnavailable {
		t.Errorf("Attempts after Close: %v, want unavailable", err)
	}
	if err := history.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func historyCancelled(t *testing.T, history engine.History) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := history.Attempts(ctx, "sub_a", engine.DeliveryKey{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Attempts: %v, want context.Canceled", err)
	}
}
