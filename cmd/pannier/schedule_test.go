package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

const (
	// late is how much later than due an attempt may begin on a machine that is busy with
	// other tests. How exact the schedule is does not depend on it.
	late = 10 * time.Second
	// rounding is what times in milliseconds may be off.
	rounding = 3 * time.Millisecond
)

// gap is the delay after an attempt.
type gap struct{ least, most time.Duration }

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
	s.followSchedule(receiver, subscription, event, []gap{
		{1000 * time.Millisecond, 1100 * time.Millisecond},
		{1273 * time.Millisecond, 1556 * time.Millisecond},
		{1800 * time.Millisecond, 2000 * time.Millisecond},
	})
	dead := s.delivery(subscription, event)
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
		Retry: &retryBody{MaxRetries: &retries, MinDelay: "1s", MaxDelay: "2s"},
	}, "trip.created")
	event := s.send("trip.created", "{}")
	s.followSchedule(receiver, subscription, event, []gap{{2 * time.Second, 2 * time.Second}})
}

// followSchedule restarts the server in each gap between the attempts of a delivery that
// always fails, until it is a dead letter, and compares the gaps: as the API announces them
// and as they are.
func (s *testServer) followSchedule(receiver *testReceiver, subscription, event string, gaps []gap) {
	s.t.Helper()
	ready := make([]time.Time, len(gaps)) // after the restart in each gap
	for n, gap := range gaps {
		receiver.await(n + 1)
		s.checkAnnounced(subscription, event, n+1, gap)
		s.restart()
		ready[n] = s.ready
	}
	dead := s.awaitState(subscription, event, "dead")
	if dead.Reason != "exhausted" || dead.Attempts != len(gaps)+1 {
		s.t.Errorf("got %+v, want it exhausted after %d attempts", dead, len(gaps)+1)
	}
	attempts := s.awaitAttempts(dead.ID, len(gaps)+1)
	for n, gap := range gaps {
		earliest, latest := attempts[n].end().Add(gap.least), attempts[n].end().Add(gap.most)
		if ready[n].After(latest) {
			latest = ready[n]
		}
		if at := attempts[n+1].StartedAt; at.Before(earliest.Add(-rounding)) || at.After(latest.Add(late)) {
			s.t.Errorf("attempt %d began at %v, want it between %v and %v", n+2, at, earliest, latest)
		}
	}
	for n, request := range receiver.got() {
		if got, want := request.header.Get("webhook-attempt"), strconv.Itoa(n+1); got != want {
			s.t.Errorf("request %d has the attempt %s", n+1, got)
		}
	}
}

// checkAnnounced compares when the next attempt is due with the end of the last one. Where
// the machine is so busy that another attempt came in between there is nothing to compare.
func (s *testServer) checkAnnounced(subscription, event string, number int, gap gap) {
	s.t.Helper()
	var d testDelivery
	err := eventually(func() bool {
		d = s.delivery(subscription, event)
		return d.Attempts >= number && d.State != "attempting"
	})
	if err != nil {
		s.t.Fatalf("attempt %d does not end: %+v", number, d)
	}
	attempts := s.awaitAttempts(d.ID, number)
	if len(attempts) > number || d.State != "waiting" {
		s.t.Logf("attempt %d came before the one before it was looked at", number+1)
		return
	}
	if delay := d.NextAttemptAt.Sub(attempts[number-1].end()); delay < gap.least-rounding || delay > gap.most+rounding {
		s.t.Errorf("after attempt %d the delay is %v, want %v to %v", number, delay, gap.least, gap.most)
	}
}
