// Package history is what a fault run wrote down: every operation of its publishers and
// administrators, every attempt its receivers saw, every fault, and what the final reader
// found. One harness process writes it with one monotonic clock, so it outlives every
// member that is killed; bench/check judges it. The package decides nothing and shares no
// code with the engine.
package history

import "time"

// Type says what a record is.
type Type string

// The types of records. An operation has an invoke, written before its first byte goes
// out, and one end: ok, fail (the answer promises that nothing happened) or info (nobody
// will ever know).
const (
	Invoke Type = "invoke"
	OK     Type = "ok"
	Fail   Type = "fail"
	Info   Type = "info"
	Recv   Type = "recv"
	Caused Type = "fault"
	Read   Type = "read"
)

// Op names an operation, a fault or a kind of reading.
type Op string

// The operations of publishers and administrators.
const (
	OpPublish Op = "publish"
	OpCreate  Op = "create"
	OpUpdate  Op = "update" // enabling, disabling and a new secret included
	OpRotate  Op = "rotate"
	OpDelete  Op = "delete"
	OpReplay  Op = "replay"
)

// The faults.
const (
	OpKill Op = "kill" // SIGKILL
	OpStop Op = "stop" // a graceful end
	OpDown Op = "down" // a receiver takes no connections
)

// What the final reader reads.
const (
	OpEvent        Op = "event"        // one event by id
	OpListed       Op = "listed"       // one row of the list of events
	OpDelivery     Op = "delivery"     // one row of a subscription's deliveries
	OpFeed         Op = "feed"         // one row of a reconciliation feed
	OpSubscription Op = "subscription" // one subscription
	OpStats        Op = "stats"        // the totals
)

// Record is one line of a history. Of the pointers exactly those are set that its Type
// and Op ask for.
type Record struct {
	At   time.Duration `json:"t_ns"` // since the run began
	Role string        `json:"role"` // publisher, admin, receiver, fault, reader
	Proc string        `json:"proc"` // who
	Type Type          `json:"type"`
	Op   Op            `json:"op"`
	ID   string        `json:"id,omitempty"` // ties an end to its invoke

	Publish      *Publish      `json:"publish,omitempty"`
	Change       *Change       `json:"change,omitempty"`
	Attempt      *Attempt      `json:"attempt,omitempty"`
	Fault        *Fault        `json:"fault,omitempty"`
	Event        *Event        `json:"event,omitempty"`
	Delivery     *Delivery     `json:"delivery,omitempty"`
	Subscription *Subscription `json:"subscription,omitempty"`
	Stats        *Stats        `json:"stats,omitempty"`
}

// Publish is one request to accept events.
type Publish struct {
	Events []Posted `json:"events,omitempty"` // of an invoke
	IDs    []string `json:"ids,omitempty"`    // of an ok: one for each event
}

// Posted is an event as its publisher sent it. Its data holds Ref as the member "ref", so
// that the event is known wherever it turns up, whatever id the server gave it.
type Posted struct {
	Ref    string `json:"ref"`
	ID     string `json:"id,omitempty"` // "" lets the server choose
	Topic  string `json:"topic"`
	Tenant string `json:"tenant,omitempty"`
	Data   string `json:"data"` // byte for byte
}

// Change is one operation on a subscription. Operations on one subscription never overlap.
type Change struct {
	Name     string `json:"name"`         // the harness's own name, the path of its URL
	ID       string `json:"id,omitempty"` // the server's, of the ok of a create
	Settings `json:"settings,omitzero"`
	// Grace keeps the secrets before a rotation valid.
	Grace time.Duration `json:"grace,omitempty"`
}

// Settings are what a subscription asks for after a change. A rotation knows its Secret
// only in its ok.
type Settings struct {
	Topics     []string      `json:"topics,omitempty"`
	Tenant     string        `json:"tenant,omitempty"`
	Enabled    bool          `json:"enabled,omitempty"`
	Secret     string        `json:"secret,omitempty"`
	MaxRetries int           `json:"max_retries,omitempty"`
	MinDelay   time.Duration `json:"min_delay,omitempty"`
	Timeout    time.Duration `json:"timeout,omitempty"` // of one attempt
}

// Answer says how a receiver ended an attempt.
type Answer string

// How a receiver ends an attempt.
const (
	Answered  Answer = "answered"  // with Status
	Reset     Answer = "reset"     // read, then cut off
	Abandoned Answer = "abandoned" // the sender went away first
	Cut       Answer = "cut"       // the sender went away before its body was whole
)

// Attempt is one request that a receiver saw.
type Attempt struct {
	Name           string        `json:"name"`            // of the subscription, from the path
	SubscriptionID string        `json:"subscription_id"` // from the header
	WebhookID      string        `json:"webhook_id"`
	Topic          string        `json:"topic"`
	Timestamp      string        `json:"timestamp"` // of the header, Unix seconds
	Signature      string        `json:"signature"`
	Number         int           `json:"number"`
	Body           string        `json:"body"`
	Started        time.Duration `json:"started_ns"`
	Wall           time.Time     `json:"wall"` // of Started
	Ended          time.Duration `json:"ended_ns"`
	Answer         Answer        `json:"answer"`
	Status         int           `json:"status,omitempty"`
}

// Success tells whether the receiver took the event: any status below 400.
func (a *Attempt) Success() bool { return a.Answer == Answered && a.Status < 400 }

// Fault is one fault that happened.
type Fault struct {
	Target string        `json:"target"`  // the server, or the name of a subscription whose receiver was down
	From   time.Duration `json:"from_ns"` // begun
	To     time.Duration `json:"to_ns"`   // over: the process is gone, the receiver is back
}

// Event is a retained event as the server showed it.
type Event struct {
	ID         string    `json:"id"`
	Topic      string    `json:"topic"`
	Tenant     string    `json:"tenant,omitempty"`
	AcceptedAt time.Time `json:"accepted_at,omitzero"`
	Status     int       `json:"status,omitempty"` // of reading it by id
	Data       string    `json:"data,omitempty"`   // absent in lists
}

// Delivery is a delivery, or a row of the feed, as the server showed it.
type Delivery struct {
	Name       string    `json:"name"` // of the subscription
	EventID    string    `json:"event_id"`
	State      string    `json:"state"`
	Reason     string    `json:"reason,omitempty"`
	Attempts   int       `json:"attempts"`
	AcceptedAt time.Time `json:"accepted_at"`
}

// Subscription is a subscription as the server showed it at the end.
type Subscription struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Pending uint64 `json:"pending"`
}

// Stats are the server's totals at the end.
type Stats struct {
	Accepted  uint64 `json:"accepted"`
	Matched   uint64 `json:"matched"`
	Delivered uint64 `json:"delivered"`
	Dead      uint64 `json:"dead"`
	Pending   uint64 `json:"pending"`
}
