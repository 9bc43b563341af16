package engine

import (
	"time"
)

// Page asks for one page of a list.
type Page struct {
	Limit  int    // 1..MaxPageSize
	Cursor string // opaque, from the page before; "" for the first
}

// Listed is one page of a list; Next is "" on the last one.
type Listed[T any] struct {
	Items []T
	Next  string
}

// Window is a half-open window on accept time; zero ends are open.
type Window struct {
	Since, Until time.Time
}

// Contains tells whether t lies in the window.
func (w Window) Contains(t time.Time) bool {
	return !t.Before(w.Since) && (w.Until.IsZero() || t.Before(w.Until))
}

// Accepted answers Accept.
type Accepted struct {
	IDs []string // of the distinct events, in the order they were posted
	// Replayed tells that nothing new was accepted: every event, or the whole request, was a
	// repetition.
	Replayed bool
}

// SubscriptionView is a subscription with what is happening to it.
type SubscriptionView struct {
	*Subscription
	Owner           string // member id
	State           Health
	Pending         uint64
	OldestPendingAt time.Time // zero: nothing is pending
}

// DeliveryView is a delivery as lists show it.
type DeliveryView struct {
	ID             string
	EventID        string
	SubscriptionID SubscriptionID
	Topic          string
	State          DeliveryState
	Reason         Reason // of a dead letter
	Attempts       int
	AcceptedAt     time.Time
	NextAttemptAt  time.Time // zero: unknown or none
	DeliveredAt    time.Time // zero: unknown or not delivered
	LastOutcome    Outcome
	LastStatus     int
}

// FeedItem is one event of a subscription's reconciliation feed.
type FeedItem struct {
	Event    *Event
	Delivery DeliveryView
}

// DeliveryFilter narrows a list of deliveries.
type DeliveryFilter struct {
	Window
	State DeliveryState // "": all
}

// FeedFilter narrows a reconciliation feed.
type FeedFilter struct {
	Window
	UndeliveredOnly bool
}

// EventFilter narrows a list of events.
type EventFilter struct {
	Window
	Topic string // "": all
}

// ReplayOrder asks for deliveries to be made once more.
type ReplayOrder struct {
	Window
	Topics   []string
	DeadOnly bool
	Rate     float64
	DryRun   bool
}

// Replayed answers a ReplayOrder; ID is "" after a dry run.
type Replayed struct {
	ID    string
	Count int
}

// SubscriptionSpec is the part of a subscription that its user writes. Durations, topics
// and secrets are text here and are checked by the engine.
type SubscriptionSpec struct {
	URL           string
	Topics        []string
	Tenant        string
	Description   string
	Enabled       bool
	Secret        string // "": one is generated
	Headers       map[string]string
	MaxRetries    int
	MinDelay      time.Duration
	MaxDelay      time.Duration
	Timeout       time.Duration
	Success       Success
	MaxInFlight   int
	RatePerSecond float64
	DisableOnGone bool
}

// DefaultSpec holds the contract's defaults.
func DefaultSpec() SubscriptionSpec {
	return SubscriptionSpec{
		Tenant: "default", Enabled: true,
		MaxRetries: 5, MinDelay: 10 * time.Second, MaxDelay: 30 * time.Minute,
		Timeout: MaxTimeout, Success: SuccessBelow400, MaxInFlight: 64,
	}
}

// NewAPIKey is an API key at the only moment its text is known.
type NewAPIKey struct {
	APIKey
	Text string
}

// MemberView describes one member of the cluster.
type MemberView struct {
	ID                 string
	Address            string
	State              string // joining, active, draining, dead
	Boot               uint64
	StartedAt          time.Time
	OwnedShards        int
	OwnedSubscriptions int
	Replicas           int // shards whose retry state it keeps, owned ones included
	Backlog            uint64
	// Lag is how many records of this member's journals each of its followers has yet to copy.
	Lag map[string]uint64
	// Silent tells that the member did not answer: what only it knows is missing.
	Silent bool
}

// ClusterView describes the cluster; a single member is a cluster of one.
type ClusterView struct {
	Name            string
	Replication     int
	Shards          int
	UnderReplicated int
	Members         []MemberView
}

// LaneView describes a lane.
type LaneView struct {
	Name            string
	Topics          []string
	Promoted        bool
	EventsPerSecond float64
	Backlog         uint64
	OldestAge       time.Duration // age of the oldest delivery that is due and not settled
	InFlight        int
	Retention       time.Duration
}

// StatsView are the totals since the data folder was made.
type StatsView struct {
	Accepted   uint64
	Matched    uint64
	Delivered  uint64
	Retried    uint64 // attempts beyond the first of a delivery
	Dead       uint64
	Pending    uint64
	Waiting    uint64 // the part of pending that has no attempt under way
	Attempting uint64
}

// Readiness is why a member is or is not ready.
type Readiness struct {
	Ready    bool
	Reasons  []string // why not ready
	Warnings []string // ready, but an operator should look (damaged records)
}

// Rotation answers a rotation of the secret; it is one of the two places that show one.
type Rotation struct {
	Secret             string
	PreviousValidUntil time.Time
}
