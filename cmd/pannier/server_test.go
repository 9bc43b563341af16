package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/engine"
)

// testServer is the whole server on a folder of its own, asked over its API.
type testServer struct {
	t      *testing.T
	config Config
	server *server // nil while it is stopped
	ready  time.Time
	api    *client
}

// startTestServer starts a server that may reach receivers on this machine; change may be
// nil. It is stopped when the test ends.
func startTestServer(t *testing.T, change func(*Config)) *testServer {
	t.Helper()
	s := &testServer{t: t, config: Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Retention: engine.DefaultRetention,
		AllowInsecureEndpoints: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		LogLevel: slog.LevelWarn,
	}}
	if change != nil {
		change(&s.config)
	}
	t.Cleanup(func() {
		if s.server != nil {
			s.stop()
		}
	})
	s.start()
	return s
}

func (s *testServer) start() {
	s.t.Helper()
	server, err := startServer(s.t.Context(), s.config, s.t.Output())
	if err != nil {
		s.t.Fatal(err)
	}
	s.server, s.ready = server, time.Now()
	if s.api, err = newClient(server.URL(), s.config.AdminKey); err != nil {
		s.t.Fatal(err)
	}
	s.api.http.Transport = &http.Transport{DisableKeepAlives: true} // none outlives the test
}

// stop stops it as a signal does, and gives how long that took.
func (s *testServer) stop() time.Duration {
	s.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.server.Close(ctx); err != nil {
		s.t.Errorf("stop: %v", err)
	}
	s.server = nil
	return time.Since(began)
}

func (s *testServer) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// call asks the API; what it answers goes into answer, which may be nil.
func (s *testServer) call(r call, answer any) {
	s.t.Helper()
	body, err := s.api.do(s.t.Context(), r)
	if err == nil && answer != nil {
		err = json.Unmarshal(body, answer)
	}
	if err != nil {
		s.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
}

func (s *testServer) get(answer any, path ...string) {
	s.t.Helper()
	s.call(call{method: http.MethodGet, path: pathOf(path...)}, answer)
}

// subscribe makes a subscription and gives its id and secret.
func (s *testServer) subscribe(url string, body subscriptionBody, topics ...string) (id, secret string) {
	s.t.Helper()
	body.URL, body.Topics = &url, topics
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	var created struct{ ID, Secret string }
	s.call(call{method: http.MethodPost, path: pathOf("subscriptions"), body: text}, &created)
	return created.ID, created.Secret
}

// update changes a subscription.
func (s *testServer) update(id string, change subscriptionBody) {
	s.t.Helper()
	text, err := json.Marshal(change)
	if err != nil {
		s.t.Fatal(err)
	}
	s.call(call{
		method: http.MethodPatch, path: pathOf("subscriptions", id), body: text, kind: "application/merge-patch+json",
	}, nil)
}

// send posts an event and gives its id.
func (s *testServer) send(topic, data string) string {
	s.t.Helper()
	body, err := eventBody{Topic: topic, data: []byte(data)}.encode()
	if err != nil {
		s.t.Fatal(err)
	}
	var accepted struct{ ID string }
	s.call(call{method: http.MethodPost, path: pathOf("events"), body: body}, &accepted)
	return accepted.ID
}

// sendMany posts n events at once and gives their ids.
func (s *testServer) sendMany(topic string, n int) []string {
	s.t.Helper()
	var lines bytes.Buffer
	for i := range n {
		fmt.Fprintf(&lines, "{\"topic\":%q,\"data\":%d}\n", topic, i)
	}
	var accepted struct{ IDs []string }
	s.call(call{method: http.MethodPost, path: pathOf("events"), body: lines.Bytes(), kind: "application/x-ndjson"}, &accepted)
	return accepted.IDs
}

// raw posts a body with headers and gives the whole answer.
func (s *testServer) raw(body, kind string, headers ...string) (status int, header http.Header, answer string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.api.server+pathOf("events"), strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	for n := 0; n+1 < len(headers); n += 2 {
		request.Header.Set(headers[n], headers[n+1])
	}
	response, err := s.api.http.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

// testDelivery is a delivery as the API shows it.
type testDelivery struct {
	ID            string    `json:"id"`
	State         string    `json:"state"`
	Reason        string    `json:"reason"`
	Attempts      int       `json:"attempts"`
	NextAttemptAt time.Time `json:"next_attempt_at"`
}

// delivery is what became of an event for a subscription.
func (s *testServer) delivery(subscription, event string) testDelivery {
	s.t.Helper()
	id := "dlv_" + strings.TrimPrefix(event, "evt_") + strings.TrimPrefix(subscription, "sub_")
	var d testDelivery
	s.get(&d, "deliveries", id)
	return d
}

// awaitState waits until a delivery has a state.
func (s *testServer) awaitState(subscription, event, state string) testDelivery {
	s.t.Helper()
	var d testDelivery
	if eventually(func() bool { d = s.delivery(subscription, event); return d.State == state }) != nil {
		s.t.Fatalf("delivery is %+v, want it %s", d, state)
	}
	return d
}

// testAttempt is an attempt as the API shows it.
type testAttempt struct {
	Number     int       `json:"number"`
	StartedAt  time.Time `json:"started_at"`
	DurationMS int       `json:"duration_ms"`
	Outcome    string    `json:"outcome"`
	Error      string    `json:"error"`
}

func (a testAttempt) end() time.Time {
	return a.StartedAt.Add(time.Duration(a.DurationMS) * time.Millisecond)
}

// awaitAttempts waits until n attempts of a delivery are in the log.
func (s *testServer) awaitAttempts(delivery string, n int) []testAttempt {
	s.t.Helper()
	var p page[testAttempt]
	if eventually(func() bool { s.get(&p, "deliveries", delivery, "attempts"); return len(p.Data) >= n }) != nil {
		s.t.Fatalf("attempts are %+v, want %d", p.Data, n)
	}
	return p.Data
}

// testRequest is a request that a receiver got.
type testRequest struct {
	at     time.Time
	header http.Header
	body   []byte
}

// testReceiver is an endpoint that keeps what it got. Safe for concurrent use.
type testReceiver struct {
	t      *testing.T
	URL    string
	answer func(number int, w http.ResponseWriter, r *http.Request)

	mu       sync.Mutex
	requests []testRequest
}

// newTestReceiver starts an endpoint; answer may be nil: 200. number counts from 1.
func newTestReceiver(t *testing.T, answer func(number int, w http.ResponseWriter, r *http.Request)) *testReceiver {
	t.Helper()
	r := &testReceiver{t: t, answer: answer}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *testReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // it was cut off
	}
	r.mu.Lock()
	r.requests = append(r.requests, testRequest{at: at, header: request.Header, body: body})
	number := len(r.requests)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(number, w, request)
	}
}

// got gives the requests so far.
func (r *testReceiver) got() []testRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// await waits until n requests are there and gives them.
func (r *testReceiver) await(n int) []testRequest {
	r.t.Helper()
	if eventually(func() bool { return len(r.got()) >= n }) != nil {
		r.t.Fatalf("the receiver got %d requests, want %d", len(r.got()), n)
	}
	return r.got()
}

// events gives the ids of the requests so far, sorted.
func (r *testReceiver) events() []string {
	var ids []string
	for _, request := range r.got() {
		ids = append(ids, request.header.Get("webhook-id"))
	}
	slices.Sort(ids)
	return ids
}
