package main

import (
	"net/http"
	"testing"
	"time"
)

// TestStopWhileAnAttemptHangs stops the server under an endpoint that never answers: the
// stop ends in time, the attempt is cut off and uses nothing up, and the delivery is made
// after the next start.
func TestStopWhileAnAttemptHangs(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	receiver := newTestReceiver(t, func(number int, _ http.ResponseWriter, r *http.Request) {
		if number == 1 {
			<-r.Context().Done() // the sender gives up
		}
	})
	none := 0 // an attempt that counted would be the last one
	subscription, _ := s.subscribe(receiver.URL, subscriptionBody{Retry: &retryBody{MaxRetries: &none}}, "trip.created")
	event := s.send("trip.created", "{}")
	receiver.await(1)
	if took := s.stop(); took > stopTimeout {
		t.Errorf("the stop took %v, want at most %v", took, stopTimeout)
	}
	s.start()
	receiver.await(2)
	d := s.awaitState(subscription, event, "delivered")
	attempts := s.awaitAttempts(d.ID, 2)
	if attempts[0].Outcome != "interrupted" || attempts[1].Outcome != "success" {
		t.Errorf("got the attempts %+v, want an interrupted one and a success", attempts)
	}
	if requests := receiver.got(); len(requests) != 2 || requests[1].header.Get("webhook-attempt") != "1" {
		t.Errorf("got %d requests, the last with attempt %s; want 2, the last with attempt 1 once more",
			len(requests), requests[len(requests)-1].header.Get("webhook-attempt"))
	}
}

// TestStopWaitsForAttempts stops the server under an endpoint that is slow: the attempts
// under way end by themselves and are not made again.
func TestStopWaitsForAttempts(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	stopping := make(chan struct{})
	receiver := newTestReceiver(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
		case <-r.Context().Done():
		}
	})
	subscription, _ := s.subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	events := s.sendMany("trip.created", 5)
	receiver.await(len(events))
	api := s.api
	stopped := make(chan time.Duration)
	go func() { stopped <- s.stop() }()
	// The API refuses connections: the stop has begun, and no answer has come yet.
	if eventually(func() bool {
		_, err := api.do(t.Context(), call{method: http.MethodGet, path: pathOf("stats")})
		return err != nil
	}) != nil {
		t.Error("the API still answers")
	}
	close(stopping)
	<-stopped
	s.start()
	last := s.send("trip.created", "{}")
	s.awaitState(subscription, last, "delivered")
	for _, event := range events {
		s.awaitState(subscription, event, "delivered")
	}
	if got, want := len(receiver.got()), len(events)+1; got != want {
		t.Errorf("the receiver got %d requests, want %d: none is made again", got, want)
	}
}
