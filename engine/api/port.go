package api

import (
	"context"
	"time"

	"pannier/engine"
)

// Engine is what the server calls. Errors are *engine.Error; any other error is internal
// and its text never reaches the caller. Everything is scoped by the caller: what belongs
// to another tenant is not_found. *engine.Engine fills it; the tests have a twin.
type Engine interface {
	// Authenticate finds who holds an API key. Errors: unauthorized. Without any key
	// configured (development mode) every request is an admin's.
	Authenticate(ctx context.Context, key string) (engine.Caller, error)
	DevelopmentMode() bool

	// Accept makes drafts durable, all or none. key is the Idempotency-Key or "". Errors:
	// invalid, forbidden, conflict, too_large, throttled, unavailable, storage_full.
	Accept(ctx context.Context, caller engine.Caller, drafts []engine.Draft, key string) (engine.Accepted, error)
	Event(ctx context.Context, caller engine.Caller, id string) (*engine.Event, error)
	Events(ctx context.Context, caller engine.Caller, filter engine.EventFilter, page engine.Page) (engine.Listed[*engine.Event], error)
	EventDeliveries(ctx context.Context, caller engine.Caller, id string, page engine.Page) (engine.Listed[engine.DeliveryView], error)

	CreateSubscription(ctx context.Context, caller engine.Caller, spec engine.SubscriptionSpec) (engine.SubscriptionView, error)
	Subscription(ctx context.Context, caller engine.Caller, id engine.SubscriptionID) (engine.SubscriptionView, error)
	Subscriptions(ctx context.Context, caller engine.Caller, page engine.Page) (engine.Listed[engine.SubscriptionView], error)
	// UpdateSubscription applies change to the latest version. spec.Secret is "" when change
	// is called and must stay so unless the secret is to be replaced at once.
	UpdateSubscription(ctx context.Context, caller engine.Caller, id engine.SubscriptionID, change func(spec engine.SubscriptionSpec) (engine.SubscriptionSpec, error)) (engine.SubscriptionView, error)
	DeleteSubscription(ctx context.Context, caller engine.Caller, id engine.SubscriptionID) error
	// RotateSecret makes a new secret; the old ones stay valid for grace.
	RotateSecret(ctx context.Context, caller engine.Caller, id engine.SubscriptionID, grace time.Duration) (engine.Rotation, error)
	// TestSubscription sends a signed pannier.test event to this endpoint only.
	TestSubscription(ctx context.Context, caller engine.Caller, id engine.SubscriptionID) (eventID string, err error)
	Replay(ctx context.Context, caller engine.Caller, id engine.SubscriptionID, order engine.ReplayOrder) (engine.Replayed, error)
	Deliveries(ctx context.Context, caller engine.Caller, id engine.SubscriptionID, filter engine.DeliveryFilter, page engine.Page) (engine.Listed[engine.DeliveryView], error)
	Feed(ctx context.Context, caller engine.Caller, id engine.SubscriptionID, filter engine.FeedFilter, page engine.Page) (engine.Listed[engine.FeedItem], error)

	Delivery(ctx context.Context, caller engine.Caller, id string) (engine.DeliveryView, error)
	Attempts(ctx context.Context, caller engine.Caller, deliveryID string, page engine.Page) (engine.Listed[engine.Attempt], error)
	// RetryDelivery makes one attempt at once for a dead letter or a delivered one. Errors:
	// not_found, conflict (still waiting, or its body is gone).
	RetryDelivery(ctx context.Context, caller engine.Caller, id string) error

	CreateAPIKey(ctx context.Context, caller engine.Caller, role engine.Role, tenant, name string) (engine.NewAPIKey, error)
	APIKeys(ctx context.Context, caller engine.Caller, page engine.Page) (engine.Listed[engine.APIKey], error)
	RevokeAPIKey(ctx context.Context, caller engine.Caller, id string) error

	Ready() engine.Readiness
	Cluster(ctx context.Context) engine.ClusterView
	Lanes(ctx context.Context) []engine.LaneView
	Stats(ctx context.Context) engine.StatsView
}
