package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/engine/signature"
)

// twin is a small server with the same contract, in memory, that can be told to break it.
// Pages of its feed hold 7 items.
type twin struct {
	t *testing.T
	// deliver says how often an event is sent to a subscription (1, unless it lies) and what
	// the feed says of it.
	deliver func(topic string, n int) (times int, listed string)
	// refuse gives the status of the n-th request to post; 0 accepts it.
	refuse func(n int) int

	mu       sync.Mutex
	subs     map[string]*twinSubscription
	answers  map[string][]string // by Idempotency-Key or id
	accepted int
	requests int
	deleted  int
	under    sync.WaitGroup
	client   *http.Client
}

type twinSubscription struct {
	id, url string
	taste   taste
	secret  signature.Secret
	feed    []map[string]any
	pending int
}

func startTwin(t *testing.T) (*twin, string) {
	t.Helper()
	w := &twin{
		t: t, subs: map[string]*twinSubscription{}, answers: map[string][]string{},
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 5 * time.Second},
		deliver: func(string, int) (int, string) { return 1, "delivered" },
		refuse:  func(int) int { return 0 },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", w.post)
	mux.HandleFunc("POST /v1/subscriptions", w.subscribe)
	mux.HandleFunc("GET /v1/subscriptions/{id}", w.look)
	mux.HandleFunc("DELETE /v1/subscriptions/{id}", w.unsubscribe)
	mux.HandleFunc("GET /v1/subscriptions/{id}/events", w.list)
	api := httptest.NewServer(mux)
	t.Cleanup(func() {
		w.under.Wait()
		w.client.CloseIdleConnections()
		api.Close()
	})
	return w, api.URL
}

func (w *twin) subscribe(out http.ResponseWriter, r *http.Request) {
	var asked struct {
		URL    string
		Topics []string
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &twinSubscription{id: fmt.Sprint("sub_", len(w.subs)), url: asked.URL, taste: taste{"", asked.Topics}, secret: signature.NewSecret()}
	w.subs[s.id] = s
	out.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(out).Encode(map[string]any{"id": s.id, "secret": s.secret.Reveal(), "created_at": time.Now()})
}

func (w *twin) look(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = json.NewEncoder(out).Encode(map[string]any{"id": r.PathValue("id"), "pending": w.subs[r.PathValue("id")].pending})
}

func (w *twin) unsubscribe(out http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleted++
	out.WriteHeader(http.StatusNoContent)
}

// list pages through the feed; the cursor is a place in it.
func (w *twin) list(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	feed, page, next := w.subs[r.PathValue("id")].feed, []map[string]any{}, any(nil)
	for n := from; n < len(feed); n++ {
		delivered := feed[n]["delivery"].(map[string]any)["state"] == "delivered"
		if r.URL.Query().Get("state") == "undelivered" && delivered {
			continue
		}
		if len(page) == 7 {
			next = fmt.Sprint(n)
			break
		}
		page = append(page, feed[n])
	}
	_ = json.NewEncoder(out).Encode(map[string]any{"data": page, "next_cursor": next})
}

type twinEvent struct {
	ID, Topic, Timestamp string
	Data                 json.RawMessage
}

func (w *twin) post(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	events := make([]twinEvent, len(lines))
	for i, line := range lines {
		if err := json.Unmarshal(line, &events[i]); err != nil || events[i].Topic == "" || len(events[i].Data) == 0 {
			w.t.Errorf("posted %q: %v", line, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	status := w.refuse(w.requests)
	if status != 0 && status != http.StatusGatewayTimeout {
		out.Header().Set("Retry-After", "0")
		out.WriteHeader(status)
		return
	}
	name := events[0].ID + r.Header.Get("Idempotency-Key")
	ids, repeated := w.answers[name]
	if !repeated || name == "" {
		ids = nil
		for _, event := range events {
			ids = append(ids, w.accept(event))
		}
		w.answers[name] = ids
	}
	if status == http.StatusGatewayTimeout { // accepted, but nobody hears of it
		connection, _, _ := http.NewResponseController(out).Hijack()
		_ = connection.Close()
		return
	}
	out.WriteHeader(http.StatusAccepted)
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.NewEncoder(out).Encode(map[string]any{"id": ids[0]})
		return
	}
	_ = json.NewEncoder(out).Encode(map[string]any{"accepted": len(ids), "ids": ids})
}

func (w *twin) accept(event twinEvent) string {
	w.accepted++
	if event.ID == "" {
		event.ID = fmt.Sprint("evt_", w.accepted)
	}
	times, listed := w.deliver(event.Topic, w.accepted)
	for s := range maps.Values(w.subs) {
		if !s.taste.wants(event.Topic) {
			continue
		}
		if listed != "" {
			s.feed = append(s.feed, map[string]any{
				"id": event.ID, "topic": event.Topic, "data": event.Data, "delivery": map[string]any{"state": listed},
			})
		}
		s.pending++
		w.under.Go(func() { w.send(s, event, times) })
	}
	return event.ID
}

// send attempts a delivery until it succeeds, so many times over.
func (w *twin) send(s *twinSubscription, event twinEvent, times int) {
	body := fmt.Sprintf(`{"id":"%s","topic":"%s","timestamp":"%s","data":%s}`, event.ID, event.Topic, event.Timestamp, event.Data)
	for done := 0; done < times && w.t.Context().Err() == nil; {
		request, _ := http.NewRequestWithContext(w.t.Context(), http.MethodPost, s.url, strings.NewReader(body))
		now := time.Now()
		request.Header.Set("Webhook-Id", event.ID)
		request.Header.Set("Webhook-Topic", event.Topic)
		request.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
		request.Header.Set("Webhook-Signature", signature.Sign(event.ID, now, []byte(body), s.secret))
		if response, err := w.client.Do(request); err == nil {
			_ = response.Body.Close()
			done++
			continue
		}
		<-time.After(10 * time.Millisecond) // the receiver is down
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.pending--
}
