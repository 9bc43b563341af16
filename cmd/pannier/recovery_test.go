package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHistoryLost deletes the history between two boots. It is a log: no delivery is lost,
// no delivered one is made again, and the lists still know what became of each.
func TestHistoryLost(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	var back atomic.Bool
	failing := func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !back.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	good, waits, dies := newTestReceiver(t, nil), newTestReceiver(t, failing), newTestReceiver(t, failing)
	none, many := 0, 20
	healthy, _ := s.subscribe(good.URL, subscriptionBody{}, "trip.created")
	waiting, _ := s.subscribe(waits.URL, subscriptionBody{Retry: &retryBody{MaxRetries: &many, MinDelay: "3s", MaxDelay: "3s"}}, "trip.created")
	dead, _ := s.subscribe(dies.URL, subscriptionBody{Retry: &retryBody{MaxRetries: &none}}, "trip.created")
	events := s.sendMany("trip.created", 20)
	for _, event := range events {
		s.awaitState(healthy, event, "delivered")
		s.awaitState(dead, event, "dead")
	}
	waits.await(len(events))

	s.stop()
	if err := os.RemoveAll(filepath.Join(s.config.Data, "history")); err != nil {
		t.Fatal(err)
	}
	back.Store(true)
	s.start()

	events = append(events, s.send("trip.created", "{}"))
	for _, event := range events {
		s.awaitState(healthy, event, "delivered")
		s.awaitState(waiting, event, "delivered")
	}
	for _, event := range events[:len(events)-1] {
		if d := s.delivery(dead, event); d.State != "dead" || d.Reason != "exhausted" {
			t.Errorf("a dead letter is %+v after the loss", d)
		}
	}
	slices.Sort(events)
	if got := good.events(); !slices.Equal(got, events) {
		t.Errorf("the healthy receiver got %d requests for %d events", len(got), len(events))
	}
	if got := slices.Compact(waits.events()); !slices.Equal(got, events) {
		t.Errorf("the receiver that came back got %d of %d events", len(got), len(events))
	}
	if got, want := len(dies.got()), len(events); got != want {
		t.Errorf("the receiver of the dead letters got %d requests, want %d", got, want)
	}
}

// TestIdentityAcrossARestart posts the same ids and keys again after a restart: nothing is
// accepted twice.
func TestIdentityAcrossARestart(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	receiver := newTestReceiver(t, nil)
	s.subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	posts := []struct {
		name, body, kind, key string
	}{
		{"id", `{"id":"trip-1","topic":"trip.created","data":{"a":1}}`, "application/json", ""},
		{"key", `{"topic":"trip.created","data":{"a":2}}`, "application/json", "key-1"},
		{"id and key", `{"id":"trip-2","topic":"trip.created","data":{"a":3}}`, "application/json", "key-2"},
		{"batch of ids", `[{"id":"trip-3","topic":"trip.created","data":4},{"id":"trip-4","topic":"trip.created","data":5}]`, "application/json", ""},
		{"batch with key", "{\"topic\":\"trip.created\",\"data\":6}\n{\"topic\":\"trip.created\",\"data\":7}\n", "application/x-ndjson", "key-3"},
	}
	const events = 7
	answers := map[string]string{}
	post := func(name, body, kind, key string) (int, http.Header, string) {
		if key == "" {
			return s.raw(body, kind)
		}
		return s.raw(body, kind, "Idempotency-Key", key)
	}
	for _, p := range posts {
		status, header, answer := post(p.name, p.body, p.kind, p.key)
		if status != http.StatusAccepted || header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s: status %d, %s", p.name, status, answer)
		}
		answers[p.name] = answer
	}
	receiver.await(events)
	for range 2 { // the second boot has the ids from the state, not from the journal's end
		s.restart()
		for _, p := range posts {
			status, header, answer := post(p.name, p.body, p.kind, p.key)
			if status != http.StatusAccepted || header.Get("Idempotency-Replayed") != "true" || ids(answer) != ids(answers[p.name]) {
				t.Errorf("%s once more: status %d, replayed %q, %s; want %s", p.name, status, header.Get("Idempotency-Replayed"), answer, answers[p.name])
			}
		}
		if status, _, answer := s.raw(`{"id":"trip-1","topic":"trip.created","data":{"a": 1}}`, "application/json"); status != http.StatusConflict {
			t.Errorf("another event with the id: status %d, %s", status, answer)
		}
		if status, _, answer := post("", `{"topic":"trip.updated","data":{"a":2}}`, "application/json", "key-1"); status != http.StatusConflict {
			t.Errorf("another event with the key: status %d, %s", status, answer)
		}
	}
	last := s.send("trip.created", "{}")
	receiver.await(events + 1)
	if got := receiver.events(); len(got) != events+1 || len(slices.Compact(got)) != events+1 || !slices.Contains(got, last) {
		t.Errorf("the receiver got %v, want %d events, once each", got, events+1)
	}
}

// ids is the part of an answer that names the events.
func ids(answer string) string {
	_, rest, _ := strings.Cut(answer, `"id`)
	return rest
}
