package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

// late is how much later than due an attempt may begin on a machine that is busy with
// other tests.
const late = 3 * time.Second

// rounding is what times in milliseconds may be off.
const rounding = 3 * time.Millisecond

// TestScheduleAcrossRestarts restarts the server between all attempts of a delivery: the
// gaps are those of the schedule, and the last failure makes a dead letter.
func TestScheduleAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	receiver := newTestReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	retries := 3
	subscription, _ := s.subscribe(receiver.URL, subscriptionBody{
		Retry: &retryBody{MaxRetries: &retries, MinDelay: "1s", MaxDelay: "2s"},
	}, "trip.created")
	event := s.send("trip.created", "{}")
	// 1 s, 1.414 s and 2 s, ±10 % inside [1 s, 2 s].
	gaps := []struct{ least, most time.Duration }{
		{1000 * time.Millisecond, 1100 * time.Millisecond},
		{1273 * time.Millisecond, 1556 * time.Millisecond},
		{1800 * time.Millisecond, 2000 * time.Millisecond},
	}
	for n, gap := range gaps {
		failed := s.awaitFailure(receiver, subscription, event, n+1)
		due := failed.NextAttemptAt
		s.checkGap(failed, gap.least, gap.most)
		s.restart()
		if again := s.delivery(subscription, event); again.NextAttemptAt.Before(due) && again.State == "waiting" {
			t.Errorf("after the restart attempt %d is due at %v, before it was at %v", n+2, again.NextAttemptAt, due)
		}
		at := receiver.await(n + 2)[n+1].at
		if latest := latestOf(due, s.ready).Add(late); at.Before(due.Add(-rounding)) || at.After(latest) {
			t.Errorf("attempt %d came at %v, want it between %v and %v", n+2, at, due, latest)
		}
	}
	dead := s.awaitState(subscription, event, "dead")
	if dead.Reason != "exhausted" || dead.Attempts != 4 {
		t.Errorf("got %+v, want it exhausted after 4 attempts", dead)
	}
	for n, request := range receiver.got() {
		if got, want := request.header.Get("webhook-attempt"), strconv.Itoa(n+1); got != want {
			t.Errorf("request %d has the attempt %s", n+1, got)
		}
	}
	s.restart()
	if again := s.delivery(subscription, event); again != dead {
		t.Errorf("after a restart the dead letter is %+v, before it was %+v", again, dead)
	}
	if requests := len(receiver.got()); requests != 4 {
		t.Errorf("got %d requests, want 4", requests)
	}
}

// TestRetryAfterAcrossARestart asks for an hour: the delay becomes the longest of the
// schedule, the number of retries stays.
func TestRetryAfterAcrossARestart(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	receiver := newTestReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	retries := 1
	subscription, _ := s.subscribe(receiver.URL, subscriptionBody{
		Retry: &retryBody{MaxRetries: &retries, MinDelay: "1s", MaxDelay: "3s"},
	}, "trip.created")
	event := s.send("trip.created", "{}")
	failed := s.awaitFailure(receiver, subscription, event, 1)
	due := failed.NextAttemptAt
	s.checkGap(failed, 3*time.Second, 3*time.Second)
	s.restart()
	if again := s.awaitState(subscription, event, "waiting").NextAttemptAt; !again.Equal(due) {
		t.Errorf("after the restart the retry is due at %v, before it was at %v", again, due)
	}
	at := receiver.await(2)[1].at
	if latest := latestOf(due, s.ready).Add(late); at.Before(due.Add(-rounding)) || at.After(latest) {
		t.Errorf("the retry came at %v, want it between %v and %v", at, due, latest)
	}
	if dead := s.awaitState(subscription, event, "dead"); dead.Reason != "exhausted" || dead.Attempts != 2 {
		t.Errorf("got %+v, want it exhausted after 2 attempts", dead)
	}
}

// awaitFailure waits until an attempt has come and has failed, and gives the delivery as it
// waits for the next one.
func (s *testServer) awaitFailure(receiver *testReceiver, subscription, event string, number int) testDelivery {
	s.t.Helper()
	receiver.await(number)
	var d testDelivery
	err := eventually(func() bool {
		d = s.delivery(subscription, event)
		return d.Attempts >= number && d.State == "waiting"
	})
	if err != nil || d.Attempts != number {
		s.t.Fatalf("after attempt %d the delivery is %+v", number, d)
	}
	return d
}

// checkGap compares when the next attempt is due with the end of the last one.
func (s *testServer) checkGap(d testDelivery, least, most time.Duration) {
	s.t.Helper()
	ended := s.awaitAttempts(d.ID, d.Attempts)[d.Attempts-1].end()
	if gap := d.NextAttemptAt.Sub(ended); gap < least-rounding || gap > most+rounding {
		s.t.Errorf("after attempt %d the delay is %v, want %v to %v", d.Attempts, gap, least, most)
	}
}

func latestOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
