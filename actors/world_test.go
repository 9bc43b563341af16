package actors_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/actors"
	"pannier/engine"
	"pannier/storage"
)

// world is what survives a crash of the member: the durable stores and the receivers.
type world struct {
	t       *testing.T
	state   *storage.MemoryState
	history *storage.MemoryHistory
	lanes   []engine.LaneConfig
	promote float64 // AutoPromoteRate
	retain  time.Duration
	random  func() float64
	fatal   func(error)
	// writeTakes is how long the state takes to call a write done.
	writeTakes time.Duration
	// cluster is the other members, as a life sees them; nil: it runs alone. A life of a cluster
	// has journals of its own.
	cluster engine.Cluster
	// written hears of every write; it may be nil.
	written func([]engine.Write)
	// crashAfter tells that nothing after this write becomes durable.
	crashAfter func([]engine.Write) bool

	mu       sync.Mutex
	journals map[string]*storage.MemoryJournal
	commits  func(lane string) time.Duration // how long an append takes; nil: no time
	refuse   func(lane string) error         // what an append is answered with; nil: it is done
	received map[pair]int
	behave   func(pair, int) engine.Result
	sent     []time.Time
	last     pair
}

// pair is a delivery as the tests name it.
type pair struct {
	sub   engine.SubscriptionID
	event string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		t: t, state: storage.NewMemoryState(time.Now), history: storage.NewMemoryHistory(),
		journals: make(map[string]*storage.MemoryJournal), received: make(map[pair]int),
		behave: func(pair, int) engine.Result { return engine.Result{Outcome: engine.OutcomeSuccess, Status: 200} },
		random: func() float64 { return 0.5 }, retain: 72 * time.Hour,
		fatal: func(err error) { panic(err) },
	}
}

// open gives the journal of a lane, as the life sees it.
func (l *life) open(lane engine.LaneRecord, _ uint64) (engine.Journal, error) {
	w := l.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.journals[lane.Name] == nil {
		w.journals[lane.Name] = storage.NewMemoryJournal(lane.Journal)
	}
	return fencedJournal{w.journals[lane.Name], l, lane.Name}, nil
}

func (l *life) remove(lane engine.LaneRecord) error {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	delete(l.world.journals, lane.Name)
	return nil
}

// life is one boot of the member. After kill nothing it does reaches the world.
type life struct {
	world  *world
	dead   atomic.Bool
	system *actors.System
	engine *engine.Engine
	table  *engine.Table
}

// boot starts the member on what the world holds.
func (w *world) boot() *life {
	w.t.Helper()
	l := &life{world: w}
	state := fencedState{w.state, l}
	snapshot, err := w.state.Load(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	if w.cluster != nil {
		snapshot.Lanes = nil
	}
	l.table = engine.NewTable(snapshot.Versions)
	recent, dropped := engine.NewRecent(), engine.NewDroppedBatches(snapshot.Dropped)
	l.system, err = actors.Start(actors.Options{
		Table: l.table, State: state, Cluster: w.cluster, History: w.history, Sender: fencedSender{l}, Recent: recent, Dropped: dropped,
		Snapshot: snapshot, Lanes: w.lanes, Retention: w.retain,
		AutoPromoteRate: w.promote, OpenJournal: l.open, RemoveJournal: l.remove,
		Clock: time.Now, Random: w.random, Logger: slog.New(slog.DiscardHandler),
		Metrics: actors.Metrics{
			Accepted: func(string, int) {}, Attempted: func(string, engine.Outcome) {},
			Delivered: func(string, time.Duration) {}, DeadEnded: func(string, engine.Reason) {},
		},
		Disable: func(id engine.SubscriptionID) { _ = l.engine.Disable(context.Background(), id) },
		Fatal:   w.fatal,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	l.engine = engine.New(engine.Options{
		State: state, History: w.history, Lanes: l.system, Deliveries: l.system, Table: l.table, Recent: recent,
		Endpoints: anyEndpoint{}, Dropped: dropped, Replays: snapshot.Replays,
		Clock: time.Now, Logger: slog.New(slog.DiscardHandler), Member: engine.Member{ID: "mem_test"},
	})
	l.engine.Resume()
	return l
}

// kill ends the member as a crash would: nothing more becomes durable or is sent.
func (l *life) kill() {
	l.dead.Store(true)
	l.stop()
}

// stop ends the member gracefully.
func (l *life) stop() {
	l.engine.Close()
	l.system.Stop(context.Background())
}

func (l *life) subscribe(change func(*engine.SubscriptionSpec)) engine.SubscriptionID {
	l.world.t.Helper()
	spec := engine.DefaultSpec()
	spec.URL, spec.Topics = "https://city.example/hooks", []string{"*"}
	if change != nil {
		change(&spec)
	}
	view, err := l.engine.CreateSubscription(context.Background(), engine.Caller{Role: engine.RoleAdmin}, spec)
	if err != nil {
		l.world.t.Fatal(err)
	}
	return view.ID
}

func (l *life) accept(drafts []engine.Draft) {
	l.world.t.Helper()
	if _, err := l.engine.Accept(context.Background(), engine.Caller{Role: engine.RoleAdmin}, drafts, ""); err != nil {
		l.world.t.Fatal(err)
	}
}

// publish accepts one event of a topic for each id.
func (l *life) publish(topic string, ids ...string) {
	l.world.t.Helper()
	drafts := make([]engine.Draft, 0, len(ids))
	for _, id := range ids {
		drafts = append(drafts, engine.Draft{ID: id, Topic: topic, Data: []byte(`{}`)})
	}
	l.accept(drafts)
}

func (w *world) count(sub engine.SubscriptionID, event string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.received[pair{sub, event}]
}

// attempts are the moments of all attempts so far.
func (w *world) attempts() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent)
}

// answer says how the receivers behave from now on.
func (w *world) answer(behave func(pair, int) engine.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behave = behave
}

// poison has the deliveries of an event crash the actor that makes them. It comes before boot.
func (w *world) poison(event string) {
	w.answer(func(p pair, n int) engine.Result {
		if p.event == event {
			return failing(p, n)
		}
		return succeeding(p, n)
	})
	w.random = func() float64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.last.event == event {
			panic("poison")
		}
		return 0.5
	}
}

func failing(pair, int) engine.Result {
	return engine.Result{Outcome: engine.OutcomeFailure, Status: 500, RetryAfter: -1}
}

func succeeding(pair, int) engine.Result {
	return engine.Result{Outcome: engine.OutcomeSuccess, Status: 200, RetryAfter: -1}
}

type fencedSender struct{ life *life }

func (s fencedSender) Send(ctx context.Context, r *engine.SendRequest) engine.Result {
	w := s.life.world
	if s.life.dead.Load() {
		return engine.Result{Outcome: engine.OutcomeInterrupted}
	}
	p := pair{r.Subscription.ID, r.Event.ID}
	w.mu.Lock()
	w.last = p
	w.sent = append(w.sent, time.Now())
	behave := w.behave
	w.mu.Unlock()
	result := behave(p, r.Number)
	if ctx.Err() != nil {
		result = engine.Result{Outcome: engine.OutcomeInterrupted}
	}
	if result.Outcome == engine.OutcomeSuccess {
		w.mu.Lock()
		w.received[p]++
		w.mu.Unlock()
	}
	return result
}

// fencedState swallows the writes of a dead life.
type fencedState struct {
	*storage.MemoryState
	life *life
}

func (s fencedState) Write(changes []engine.Write, done func()) error {
	if s.life.dead.Load() {
		done()
		return nil
	}
	if takes := s.life.world.writeTakes; takes > 0 {
		now := done
		done = func() { time.AfterFunc(takes, now) }
	}
	err := s.MemoryState.Write(changes, done)
	if s.life.world.written != nil {
		s.life.world.written(changes)
	}
	if crash := s.life.world.crashAfter; crash != nil && crash(changes) {
		s.life.dead.Store(true)
	}
	return err
}

type fencedJournal struct {
	*storage.MemoryJournal
	life *life
	lane string
}

func (j fencedJournal) Trim(s engine.Segment) error {
	if j.life.dead.Load() {
		return engine.Errorf(engine.CodeUnavailable, "dead")
	}
	return j.MemoryJournal.Trim(s)
}

func (j fencedJournal) Append(records []engine.Record, done func()) (uint64, error) {
	if j.life.dead.Load() {
		return 0, engine.Errorf(engine.CodeUnavailable, "dead")
	}
	if refuse := j.life.world.refuse; refuse != nil {
		if err := refuse(j.lane); err != nil {
			return 0, err
		}
	}
	if commits := j.life.world.commits; commits != nil {
		now := done
		done = func() { time.AfterFunc(commits(j.lane), now) }
	}
	return j.MemoryJournal.Append(records, done)
}

type anyEndpoint struct{}

func (anyEndpoint) CheckURL(string) error                { return nil }
func (anyEndpoint) CheckHeaders(map[string]string) error { return nil }

// settle lets everything that can happen now happen.
func settle() { synctest.Wait() }
