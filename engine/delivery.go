package engine

import (
	"time"

	"pannier/engine/match"
)

// DeliveryKey places a delivery among those of its subscription: in order of accept.
type DeliveryKey struct {
	AcceptedMilli int64
	Event         EventRef
}

// Key is the key of the deliveries of e.
func (e *Event) Key() DeliveryKey {
	return DeliveryKey{AcceptedMilli: e.AcceptedAt.UnixMilli(), Event: e.Ref}
}

// Compare orders keys by accept time, journal and sequence.
func (k DeliveryKey) Compare(other DeliveryKey) int {
	switch {
	case k.AcceptedMilli != other.AcceptedMilli:
		return compare(k.AcceptedMilli, other.AcceptedMilli)
	case k.Event.Journal != other.Event.Journal:
		return compare(k.Event.Journal, other.Event.Journal)
	default:
		return compare(k.Event.Sequence, other.Event.Sequence)
	}
}

func compare[T int64 | uint64 | JournalID](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// DeliveryState is the state of a delivery as the API shows it.
//
//	accepted ──► waiting ──► attempting ──► delivered
//	                ▲            │
//	                ├── failed ──┤
//	                │            ▼
//	             replay ◄────── dead
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting    DeliveryState = "waiting"
	DeliveryAttempting DeliveryState = "attempting"
	DeliveryDelivered  DeliveryState = "delivered"
	DeliveryDead       DeliveryState = "dead"
)

// Reason says why a delivery is a dead letter.
type Reason string

// The reasons of a dead letter.
const (
	ReasonExhausted   Reason = "exhausted"
	ReasonExpired     Reason = "expired"
	ReasonGone        Reason = "gone"
	ReasonBlocked     Reason = "blocked"
	ReasonQuarantined Reason = "quarantined"
)

// RetryRecord is a delivery that did not end well at once: it lives in the state until it
// is settled, and carries the retry schedule's position.
type RetryRecord struct {
	Subscription SubscriptionID
	Key          DeliveryKey
	// Attempts counts every attempt of the delivery, over replays too: the next attempt
	// carries Attempts+1 in webhook-attempt.
	Attempts int
	// Used counts the attempts of the present schedule.
	Used int
	// Due is when the next attempt is due, on the subscription's own clock, which stands
	// still while its circuit is open (see delivery.Circuit).
	Due         time.Time
	LastOutcome Outcome
	LastStatus  int
	// Once marks a manual retry: one attempt, then dead again.
	Once bool
	// Delivered marks a delivery that had a success before it was retried or replayed by hand.
	Delivered bool
	// Body is the whole event, set when the journal may no longer hold it.
	Body *Event
	// Carried tells, in memory only, that the stored record has a Body.
	Carried bool
}

// DeadLetter is a delivery that ended without success. It carries its event.
type DeadLetter struct {
	Subscription SubscriptionID
	Key          DeliveryKey
	Reason       Reason
	Attempts     int
	LastOutcome  Outcome
	LastStatus   int
	DiedAt       time.Time
	Event        *Event // without Data where it expired
}

// DoneMark remembers that a retry record was settled while the journal's watermark had not
// passed its event yet: without it a crash would bring the delivery back.
type DoneMark struct {
	Subscription SubscriptionID
	Event        EventRef
}

// Queue is the durable timer of a subscription with retry records, and its circuit.
type Queue struct {
	Subscription SubscriptionID
	// NextDue is the wall time at which the subscription must be awake (zero: never).
	NextDue time.Time
	// Records counts the retry records; Oldest is the accept time of the oldest.
	Records     int
	OldestMilli int64
	Circuit     CircuitState
}

// CircuitState is the durable part of a circuit (see delivery.Circuit for the machine).
type CircuitState struct {
	Open          bool
	Failures      int       // consecutive
	FirstFailure  time.Time // of the consecutive ones
	OpenedAt      time.Time
	ProbeAt       time.Time
	ProbeInterval time.Duration
	// Frozen is how long the circuit has been open in all, up to its last closing: the
	// subscription's own clock is the wall clock less this.
	Frozen time.Duration
}

// Range is a stretch of a journal that waits for one subscription: sequences From to
// Through, both included; Through 0 has no end yet.
type Range struct {
	From    uint64
	Through uint64
}

// Cursor is what lies in one lane for one lagging subscription. Everything inside the
// ranges waits; Waiting counts the matched events among them.
type Cursor struct {
	Subscription SubscriptionID
	Journal      JournalID
	Ranges       []Range
	Waiting      uint64
	OldestMilli  int64
}

// Watermark is how far a journal is discharged. Everything below Sequence is, and from there
// through OpenThrough everything but the pairs of Open: a crash repeats what was settled
// since, not what waited beside a slow delivery. Routed is the last sequence that had been
// matched and handed out when the watermark was taken.
type Watermark struct {
	Journal     JournalID
	Sequence    uint64 // first sequence that is not discharged
	OpenThrough uint64
	Open        []OpenPairs
	Routed      uint64
	Synced      uint64 // last sequence known to be synced; compared with the journal at start
	// Released are the batches whose routing had begun and of which a part is at or above
	// Sequence.
	Released []uint64
	Totals   Totals
}

// Release is the first sequence that is needed of the journal: that of the watermark, or the
// one before it at which the first of its cursors lags.
func (w *Watermark) Release(cursors []Cursor) uint64 {
	release := w.Sequence
	for _, c := range cursors {
		for _, r := range c.Ranges {
			release = min(release, r.From)
		}
	}
	return release
}

// OpenPairs are the events that wait for one subscription.
type OpenPairs struct {
	Subscription SubscriptionID
	Sequences    []uint64 // ascending
}

// Totals are the counts behind /v1/stats.
type Totals struct {
	Accepted uint64
	Matched  uint64
	Retried  uint64
	// Dead and Discarded are below zero where a member of a cluster took off what another counted.
	Dead      int64
	Discarded int64 // pending or dead when their subscription was deleted
}

// Replay is a durable order to deliver once more what a subscription should have had.
type Replay struct {
	ID           string
	Subscription SubscriptionID
	Since, Until time.Time
	Topics       []match.Pattern
	DeadOnly     bool
	Rate         float64 // per second; 0: the subscription's own
	CreatedAt    time.Time
	// After is the last delivery that has become a retry record again.
	After DeliveryKey
	Count int
}
