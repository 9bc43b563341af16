package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/api"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
)

// twin is an engine in memory: enough of the domain to see what the server asks for and
// does with the answers.
type twin struct {
	mu            sync.Mutex
	development   bool
	keys          map[string]engine.Caller
	accepted      []engine.Draft
	idempotency   []string
	subscriptions []*engine.Subscription
	apiKeys       []engine.APIKey
	order         engine.ReplayOrder
	page          engine.Page
	window        engine.Window
	ready         engine.Readiness
	fail          error // of every call, when set
	silent        []string
}

var now = time.Date(2026, 5, 12, 7, 41, 20, 512_000_000, time.UTC)

func newTwin() *twin {
	return &twin{
		keys: map[string]engine.Caller{
			"admin-key":      {Role: engine.RoleAdmin, KeyID: "key_a"},
			"publisher-key":  {Role: engine.RolePublisher, KeyID: "key_p"},
			"subscriber-key": {Role: engine.RoleSubscriber, Tenant: "nantes", KeyID: "key_s"},
			"viewer-key":     {Role: engine.RoleViewer, KeyID: "key_v"},
		},
		ready: engine.Readiness{Ready: true},
	}
}

// newServer serves a twin; the metrics page is one line.
func newServer(t *twin) *api.Server {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "pannier_accepted 1") })
	return api.New(api.Options{Engine: t, Metrics: metrics, Version: "1.2.3", Clock: func() time.Time { return now }})
}

// ask makes one request of the whole server. headers are name, value pairs.
func ask(tb testing.TB, s *api.Server, method, target, key, body string, headers ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func (t *twin) Authenticate(_ context.Context, key string) (engine.Caller, error) {
	caller, ok := t.keys[key]
	if !ok {
		return caller, engine.Errorf(engine.CodeUnauthorized, "unknown API key")
	}
	return caller, nil
}

func (t *twin) DevelopmentMode() bool { return t.development }

func (t *twin) Accept(_ context.Context, _ engine.Caller, drafts []engine.Draft, key string) (engine.Accepted, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return engine.Accepted{}, t.fail
	}
	var ids []string
	for i, d := range drafts {
		if d.ID == "" {
			d.ID = "evt_" + strconv.Itoa(len(t.accepted)+i)
		}
		ids = append(ids, d.ID)
	}
	replayed := key != "" && slices.Contains(t.idempotency, key)
	t.accepted, t.idempotency = append(t.accepted, drafts...), append(t.idempotency, key)
	return engine.Accepted{IDs: ids, Replayed: replayed}, nil
}

func (t *twin) event() *engine.Event {
	return &engine.Event{
		ID: "evt_1", Topic: "trip.created", Timestamp: now, AcceptedAt: now,
		Data: []byte(`{"big":9223372036854775809,"html":"<&>"}`), Extensions: []byte(`{"source":"/fleet"}`),
	}
}

func (t *twin) delivery(state engine.DeliveryState) engine.DeliveryView {
	return engine.DeliveryView{
		ID: "dlv_1", EventID: "evt_1", SubscriptionID: "sub_1", Topic: "trip.created", State: state,
		Attempts: 1, AcceptedAt: now,
	}
}

func (t *twin) Event(_ context.Context, _ engine.Caller, id string) (*engine.Event, error) {
	if id != "evt_1" {
		return nil, engine.Errorf(engine.CodeNotFound, "there is no event %s", id)
	}
	return t.event(), t.fail
}

func (t *twin) Events(_ context.Context, _ engine.Caller, filter engine.EventFilter, page engine.Page) (engine.Listed[*engine.Event], error) {
	t.page, t.window = page, filter.Window
	if page.Cursor == "forged" {
		return engine.Listed[*engine.Event]{}, engine.Invalid("cursor", "is not a cursor of this list")
	}
	return engine.Listed[*engine.Event]{Items: []*engine.Event{t.event()}, Next: "c/2"}, t.fail
}

func (t *twin) EventDeliveries(context.Context, engine.Caller, string, engine.Page) (engine.Listed[engine.DeliveryView], error) {
	return engine.Listed[engine.DeliveryView]{Items: []engine.DeliveryView{t.delivery(engine.DeliveryWaiting)}}, t.fail
}

func (t *twin) find(caller engine.Caller, id engine.SubscriptionID) (int, error) {
	for i, s := range t.subscriptions {
		if s.ID == id && caller.Sees(s.Tenant) {
			return i, t.fail
		}
	}
	return 0, engine.Errorf(engine.CodeNotFound, "there is no subscription %s", id)
}

func (t *twin) CreateSubscription(_ context.Context, _ engine.Caller, spec engine.SubscriptionSpec) (engine.SubscriptionView, error) {
	if t.fail != nil {
		return engine.SubscriptionView{}, t.fail
	}
	if !strings.HasPrefix(spec.URL, "https://") {
		return engine.SubscriptionView{}, engine.Invalid("/url", "must be https")
	}
	s := version(spec)
	s.ID, s.Version, s.CreatedAt, s.UpdatedAt = engine.SubscriptionID("sub_"+strconv.Itoa(len(t.subscriptions)+1)), 1, now, now
	s.Secrets = []engine.ValidSecret{{Secret: secretOf(spec.Secret)}}
	t.subscriptions = append(t.subscriptions, s)
	return view(s), nil
}

func secretOf(text string) signature.Secret {
	if text == "" {
		return signature.NewSecret()
	}
	secret, err := signature.ParseSecret(text)
	if err != nil {
		panic(err)
	}
	return secret
}

func version(spec engine.SubscriptionSpec) *engine.Subscription {
	s := &engine.Subscription{
		URL: spec.URL, Tenant: spec.Tenant, Description: spec.Description, Enabled: spec.Enabled,
		Headers: spec.Headers, Timeout: spec.Timeout, Success: spec.Success, MaxInFlight: spec.MaxInFlight,
		RatePerSecond: spec.RatePerSecond, DisableOnGone: spec.DisableOnGone,
		Retry: retry.Schedule{MaxRetries: spec.MaxRetries, MinDelay: spec.MinDelay, MaxDelay: spec.MaxDelay},
	}
	for _, topic := range spec.Topics {
		s.Topics = append(s.Topics, match.Pattern(topic))
	}
	return s
}

func specOf(s *engine.Subscription) engine.SubscriptionSpec {
	spec := engine.SubscriptionSpec{
		URL: s.URL, Tenant: s.Tenant, Description: s.Description, Enabled: s.Enabled, Headers: s.Headers,
		MaxRetries: s.Retry.MaxRetries, MinDelay: s.Retry.MinDelay, MaxDelay: s.Retry.MaxDelay,
		Timeout: s.Timeout, Success: s.Success, MaxInFlight: s.MaxInFlight, RatePerSecond: s.RatePerSecond,
		DisableOnGone: s.DisableOnGone,
	}
	for _, p := range s.Topics {
		spec.Topics = append(spec.Topics, string(p))
	}
	return spec
}

func view(s *engine.Subscription) engine.SubscriptionView {
	return engine.SubscriptionView{Subscription: s, Owner: "m1", State: engine.HealthHealthy, Pending: 2}
}

func (t *twin) Subscription(_ context.Context, caller engine.Caller, id engine.SubscriptionID) (engine.SubscriptionView, error) {
	i, err := t.find(caller, id)
	if err != nil {
		return engine.SubscriptionView{}, err
	}
	return view(t.subscriptions[i]), nil
}

func (t *twin) Subscriptions(_ context.Context, caller engine.Caller, _ engine.Page) (engine.Listed[engine.SubscriptionView], error) {
	var found engine.Listed[engine.SubscriptionView]
	for _, s := range t.subscriptions {
		if caller.Sees(s.Tenant) {
			found.Items = append(found.Items, view(s))
		}
	}
	return found, t.fail
}

func (t *twin) UpdateSubscription(_ context.Context, caller engine.Caller, id engine.SubscriptionID, change func(engine.SubscriptionSpec) (engine.SubscriptionSpec, error)) (engine.SubscriptionView, error) {
	i, err := t.find(caller, id)
	if err != nil {
		return engine.SubscriptionView{}, err
	}
	before := t.subscriptions[i]
	spec, err := change(specOf(before))
	if err != nil {
		return engine.SubscriptionView{}, err
	}
	s := version(spec)
	s.ID, s.Version, s.CreatedAt, s.UpdatedAt, s.Secrets = id, before.Version+1, now, now, before.Secrets
	if spec.Secret != "" {
		s.Secrets = []engine.ValidSecret{{Secret: secretOf(spec.Secret)}}
	}
	t.subscriptions[i] = s
	return view(s), nil
}

func (t *twin) DeleteSubscription(_ context.Context, caller engine.Caller, id engine.SubscriptionID) error {
	i, err := t.find(caller, id)
	if err == nil {
		t.subscriptions = slices.Delete(t.subscriptions, i, i+1)
	}
	return err
}

func (t *twin) RotateSecret(_ context.Context, caller engine.Caller, id engine.SubscriptionID, grace time.Duration) (engine.Rotation, error) {
	_, err := t.find(caller, id)
	return engine.Rotation{Secret: "whsec_rotated", PreviousValidUntil: now.Add(grace)}, err
}

func (t *twin) TestSubscription(_ context.Context, caller engine.Caller, id engine.SubscriptionID) (string, error) {
	_, err := t.find(caller, id)
	return "evt_test", err
}

func (t *twin) Replay(_ context.Context, caller engine.Caller, id engine.SubscriptionID, order engine.ReplayOrder) (engine.Replayed, error) {
	t.order = order
	_, err := t.find(caller, id)
	if order.DryRun {
		return engine.Replayed{Count: 3}, err
	}
	return engine.Replayed{ID: "rpl_1", Count: 3}, err
}

func (t *twin) Deliveries(_ context.Context, caller engine.Caller, id engine.SubscriptionID, filter engine.DeliveryFilter, page engine.Page) (engine.Listed[engine.DeliveryView], error) {
	t.page, t.window = page, filter.Window
	_, err := t.find(caller, id)
	return engine.Listed[engine.DeliveryView]{Items: []engine.DeliveryView{t.delivery(filter.State)}}, err
}

func (t *twin) Feed(_ context.Context, caller engine.Caller, id engine.SubscriptionID, filter engine.FeedFilter, page engine.Page) (engine.Listed[engine.FeedItem], error) {
	t.page, t.window = page, filter.Window
	_, err := t.find(caller, id)
	state := engine.DeliveryDelivered
	if filter.UndeliveredOnly {
		state = engine.DeliveryDead
	}
	return engine.Listed[engine.FeedItem]{Items: []engine.FeedItem{{Event: t.event(), Delivery: t.delivery(state)}}}, err
}

func (t *twin) Delivery(_ context.Context, _ engine.Caller, id string) (engine.DeliveryView, error) {
	if id != "dlv_1" {
		return engine.DeliveryView{}, engine.Errorf(engine.CodeNotFound, "there is no delivery %s", id)
	}
	d := t.delivery(engine.DeliveryDead)
	d.Reason, d.LastOutcome, d.LastStatus = engine.ReasonExhausted, engine.OutcomeFailure, 500
	return d, t.fail
}

func (t *twin) Attempts(context.Context, engine.Caller, string, engine.Page) (engine.Listed[engine.Attempt], error) {
	return engine.Listed[engine.Attempt]{Items: []engine.Attempt{
		{Number: 1, StartedAt: now, Duration: 1500 * time.Millisecond, Outcome: engine.OutcomeFailure, Error: "timeout"},
		{Number: 2, StartedAt: now, Duration: 20 * time.Millisecond, Outcome: engine.OutcomeSuccess, Status: 204, TraceID: "0af7651916cd43dd8448eb211c80319c"},
	}}, t.fail
}

func (t *twin) RetryDelivery(_ context.Context, _ engine.Caller, id string) error {
	if id != "dlv_1" {
		return engine.Errorf(engine.CodeNotFound, "there is no delivery %s", id)
	}
	return t.fail
}

func (t *twin) CreateAPIKey(_ context.Context, _ engine.Caller, role engine.Role, tenant, name string) (engine.NewAPIKey, error) {
	key := engine.APIKey{ID: "key_1", Role: role, Tenant: tenant, Name: name, CreatedAt: now}
	t.apiKeys = append(t.apiKeys, key)
	return engine.NewAPIKey{APIKey: key, Text: "pk_secret"}, t.fail
}

func (t *twin) APIKeys(context.Context, engine.Caller, engine.Page) (engine.Listed[engine.APIKey], error) {
	return engine.Listed[engine.APIKey]{Items: t.apiKeys}, t.fail
}

func (t *twin) RevokeAPIKey(_ context.Context, _ engine.Caller, id string) error {
	if id != "key_1" {
		return engine.Errorf(engine.CodeNotFound, "there is no key %s", id)
	}
	return t.fail
}

func (t *twin) Ready() engine.Readiness { return t.ready }

func (t *twin) Cluster(context.Context) engine.ClusterView {
	return engine.ClusterView{Name: "pannier", Replication: 1, Shards: 1024, Members: []engine.MemberView{
		{ID: "m1", Address: "127.0.0.1:7946", State: "active", Boot: 7, StartedAt: now, OwnedShards: 1024},
	}}
}

func (t *twin) Lanes(context.Context) []engine.LaneView {
	return []engine.LaneView{{Name: "shared", EventsPerSecond: 1.5, OldestAge: 250 * time.Millisecond, Retention: 72 * time.Hour}}
}

func (t *twin) Stats(ctx context.Context) engine.StatsView {
	for _, member := range t.silent {
		engine.NoteSilent(ctx, member)
	}
	return engine.StatsView{Accepted: 4, Pending: 1}
}
