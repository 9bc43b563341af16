package actors_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"pannier/actors"
	"pannier/engine"
	"pannier/storage"
)

// member is one boot of a member on stores of the test's choice, for the tests of what
// things cost. Those of what survives a crash have a world.
type member struct {
	system *actors.System
	engine *engine.Engine
	table  *engine.Table
}

// newMember starts a member on empty journals in memory; it is stopped with the test.
func newMember(tb testing.TB, snapshot *engine.Snapshot, state engine.State, sender engine.Sender, lanes ...engine.LaneConfig) *member {
	tb.Helper()
	m := &member{table: engine.NewTable(snapshot.Versions)}
	recent, dropped, history := engine.NewRecent(), engine.NewDroppedBatches(nil), noHistory{}
	system, err := actors.Start(actors.Options{
		Table: m.table, State: state, History: history, Sender: sender, Recent: recent, Dropped: dropped,
		Snapshot: snapshot, Lanes: lanes, Retention: 72 * time.Hour,
		OpenJournal: func(lane engine.LaneRecord, _ uint64) (engine.Journal, error) {
			return storage.NewMemoryJournal(lane.Journal), nil
		},
		RemoveJournal: func(engine.LaneRecord) error { return nil },
		Clock:         time.Now, Random: func() float64 { return 0.5 }, Logger: slog.New(slog.DiscardHandler),
		Metrics: actors.Metrics{
			Accepted: func(string, int) {}, Attempted: func(string, engine.Outcome) {},
			Delivered: func(string, time.Duration) {}, DeadEnded: func(string, engine.Reason) {},
		},
		Disable: func(engine.SubscriptionID) {},
		Fatal:   func(err error) { panic(err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	m.system = system
	tb.Cleanup(func() { m.system.Stop(context.Background()) })
	m.engine = engine.New(engine.Options{
		State: state, History: history, Lanes: m.system, Deliveries: m.system, Table: m.table, Recent: recent,
		Endpoints: anyEndpoint{}, Dropped: dropped, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		Member: engine.Member{ID: "mem_test"},
	})
	return m
}

// subscribe makes n subscriptions to one pattern.
func (m *member) subscribe(tb testing.TB, n int, pattern string) {
	tb.Helper()
	spec := engine.DefaultSpec()
	spec.URL, spec.Topics = "https://city.example/hooks", []string{pattern}
	for range n {
		if _, err := m.engine.CreateSubscription(context.Background(), engine.Caller{Role: engine.RoleAdmin}, spec); err != nil {
			tb.Fatal(err)
		}
	}
}

// accept accepts a request of n events that get their ids from the member.
func (m *member) accept(topic string, n int) error {
	drafts := make([]engine.Draft, n)
	for i := range drafts {
		drafts[i] = engine.Draft{Topic: topic, Data: []byte(`{}`)}
	}
	_, err := m.engine.Accept(context.Background(), engine.Caller{Role: engine.RoleAdmin}, drafts, "")
	return err
}

func (m *member) publish(tb testing.TB, topic string, n int) {
	tb.Helper()
	if err := m.accept(topic, n); err != nil {
		tb.Fatal(err)
	}
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// noHistory forgets every attempt: the history is a log on disk, not a part of what is
// measured.
type noHistory struct{}

func (noHistory) Record(...engine.Attempt) {}

func (noHistory) Attempts(context.Context, engine.SubscriptionID, engine.DeliveryKey) ([]engine.Attempt, error) {
	return nil, nil
}

func (noHistory) Close() error { return nil }

// sinkSender succeeds at once and says so.
type sinkSender struct{ sent func(*engine.SendRequest) }

func (s sinkSender) Send(_ context.Context, r *engine.SendRequest) engine.Result {
	s.sent(r)
	return engine.Result{Outcome: engine.OutcomeSuccess, Status: 200, RetryAfter: -1}
}
