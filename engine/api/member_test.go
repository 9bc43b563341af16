package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/actors"
	"pannier/engine"
	"pannier/engine/api"
	"pannier/engine/egress"
	"pannier/storage"
)

// member is the whole engine behind the real server, on the twins in memory: everything but
// disks and sockets. It lives in a bubble of virtual time.
type member struct {
	*testing.T
	server  *api.Server
	engine  *engine.Engine
	journal *storage.MemoryJournal // of the shared lane
	full    atomic.Bool            // the journals refuse with storage_full

	mu     sync.Mutex
	status int // of every attempt
	sent   []*engine.SendRequest
}

// The keys of a member: the admin's own, and those that makeKeys makes.
const adminKey = "the-admin-key-of-the-tests"

type policy struct{ *egress.Guard }

func (policy) CheckHeaders(headers map[string]string) error { return egress.CheckHeaders(headers) }

// inBubble runs a test against a member of its own.
func inBubble(t *testing.T, test func(m *member)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &member{T: t, status: 200}
		stop := m.start()
		defer stop()
		test(m)
	})
}

func (m *member) start() (stop func()) {
	logger := slog.New(slog.DiscardHandler)
	state, history := storage.NewMemoryState(time.Now), storage.NewMemoryHistory()
	table, recent, dropped := engine.NewTable(nil), engine.NewRecent(), engine.NewDroppedBatches(nil)
	system, err := actors.Start(actors.Options{
		Table: table, State: state, History: history, Sender: sender{m}, Recent: recent, Dropped: dropped,
		Snapshot: &engine.Snapshot{}, Retention: engine.DefaultRetention, OpenJournal: m.openJournal,
		RemoveJournal: func(engine.LaneRecord) error { return nil },
		Clock:         time.Now, Random: func() float64 { return 0.5 }, Logger: logger,
		Metrics: actors.Metrics{
			Accepted: func(string, int) {}, Attempted: func(string, engine.Outcome) {},
			Delivered: func(string, time.Duration) {}, DeadEnded: func(string, engine.Reason) {},
		},
		Disable: func(engine.SubscriptionID) {},
		Fatal:   func(err error) { panic(err) },
	})
	if err != nil {
		m.Fatal(err)
	}
	m.engine = engine.New(engine.Options{
		State: state, History: history, Lanes: system, Deliveries: system, Table: table, Recent: recent,
		Endpoints: policy{egress.NewGuard(egress.GuardOptions{})}, Dropped: dropped, AdminKey: adminKey,
		Clock: time.Now, Logger: logger,
		Member: engine.Member{ID: "mem_test", Address: "127.0.0.1:8080", Boot: 1, StartedAt: time.Now()},
	})
	m.server = api.New(api.Options{Engine: m.engine, Version: "1.2.3", Clock: time.Now, Logger: logger})
	return func() {
		m.engine.Close()
		system.Stop(context.Background())
	}
}

func (m *member) openJournal(lane engine.LaneRecord, _ uint64) (engine.Journal, error) {
	m.journal = storage.NewMemoryJournal(lane.Journal)
	return limitedJournal{m.journal, &m.full}, nil
}

// limitedJournal refuses as a journal whose disk is nearly full.
type limitedJournal struct {
	*storage.MemoryJournal
	full *atomic.Bool
}

func (j limitedJournal) Append(records []engine.Record, done func()) (uint64, error) {
	if j.full.Load() {
		return 0, engine.Errorf(engine.CodeStorageFull, "the storage is full")
	}
	return j.MemoryJournal.Append(records, done)
}

// sender answers every attempt with the member's status.
type sender struct{ m *member }

func (s sender) Send(_ context.Context, r *engine.SendRequest) engine.Result {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.sent = append(s.m.sent, r)
	result := engine.Result{Outcome: engine.OutcomeSuccess, Status: s.m.status, RetryAfter: -1}
	if s.m.status >= 400 {
		result.Outcome = engine.OutcomeFailure
	}
	return result
}

// answer says what endpoints answer from now on.
func (m *member) answer(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
}

func (m *member) attempts() []*engine.SendRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*engine.SendRequest(nil), m.sent...)
}

// settle lets everything that can happen now happen.
func settle() { synctest.Wait() }

// pass lets virtual time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// object is a JSON object of an answer.
type object = map[string]any

// do makes a request that must be answered with a status and gives the answer.
func (m *member) do(status int, method, target, key, body string, headers ...string) (object, *httptest.ResponseRecorder) {
	m.Helper()
	w := ask(m, m.server, method, target, key, body, headers...)
	if w.Code != status {
		m.Fatalf("%s %s: got %d %s, want %d", method, target, w.Code, w.Body, status)
	}
	answer := object{}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			m.Fatalf("%s %s answers %q: %v", method, target, w.Body, err)
		}
	}
	return answer, w
}

// refused makes a request that must be refused and gives the problem.
func (m *member) refused(status int, method, target, key, body string, headers ...string) api.Problem {
	m.Helper()
	w := ask(m, m.server, method, target, key, body, headers...)
	if w.Code != status {
		m.Fatalf("%s %s: got %d %s, want %d", method, target, w.Code, w.Body, status)
	}
	return problemOf(m.T, w)
}

// subscribe makes a subscription and gives its id. members are further ones of the body.
func (m *member) subscribe(members ...string) string {
	m.Helper()
	body := `{"url":"https://city.example/hooks","topics":["*"]` + strings.Join(append([]string{""}, members...), ",") + `}`
	answer, _ := m.do(201, "POST", "/v1/subscriptions", adminKey, body)
	return text(answer["id"])
}

// publish posts one event of a topic and gives its id.
func (m *member) publish(topic string, members ...string) string {
	m.Helper()
	body := `{"topic":"` + topic + `","data":{"n":1}` + strings.Join(append([]string{""}, members...), ",") + `}`
	answer, _ := m.do(202, "POST", "/v1/events", adminKey, body)
	return text(answer["id"])
}

// key makes an API key and gives its text; tenant "" binds it to none.
func (m *member) key(role, tenant string) string {
	m.Helper()
	body := `{"role":"` + role + `"}`
	if tenant != "" {
		body = `{"role":"` + role + `","tenant":"` + tenant + `"}`
	}
	answer, _ := m.do(201, "POST", "/v1/keys", adminKey, body)
	return text(answer["key"])
}

// text is a string of an answer, "" when it is none.
func text(value any) string {
	s, _ := value.(string)
	return s
}

// items are the objects of a list.
func items(list object) []object {
	var all []object
	data, _ := list["data"].([]any)
	for _, item := range data {
		one, _ := item.(object)
		all = append(all, one)
	}
	return all
}
