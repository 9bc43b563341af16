package engine

import (
	"encoding/json"
	"strconv"
	"time"
)

// JournalID names one journal for ever: it is drawn at random when the journal is made.
type JournalID uint64

// EventRef is where an event lies: a journal and a sequence in it. Sequences of a journal
// start at 1 and have no gaps.
type EventRef struct {
	Journal  JournalID
	Sequence uint64
}

// Event is an accepted event. It is immutable after accept and shared between actors.
type Event struct {
	Ref EventRef
	// ID is the client's id, or EventID(Ref) when the client gave none.
	ID     string
	Topic  string
	Tenant string // "" reaches the subscriptions of all tenants
	// Timestamp is the producer's time; the accept time when it gave none.
	Timestamp  time.Time
	AcceptedAt time.Time // millisecond precision, never goes back inside a journal
	Data       json.RawMessage
	Extensions json.RawMessage // CloudEvents source and extensions; nil for plain events
	// TraceParent and TraceState are the W3C trace context of the span `accept`.
	TraceParent string
	TraceState  string
	// Revision is the revision of the subscription table the event was matched with.
	Revision uint64
	// Directed names the only subscription of a test event; such an event is never matched.
	Directed SubscriptionID
	// Batch is set on events that were accepted together.
	Batch BatchPart
	// GivenID tells that the client chose ID.
	GivenID bool
}

// A traceparent is version-trace-parent-flags in hexadecimal (W3C Trace Context section 3.2.2):
// where its parts begin, each but the first behind a dash, and how long it is.
const (
	TraceParentTrace = 2 + 1
	TraceParentSpan  = TraceParentTrace + 32 + 1
	TraceParentFlags = TraceParentSpan + 16 + 1
	TraceParentChars = TraceParentFlags + 2
)

// Sampled tells whether the span `accept` is recorded: the last bit of TraceParent.
func (e *Event) Sampled() bool {
	if len(e.TraceParent) < TraceParentChars {
		return false
	}
	last, err := strconv.ParseUint(e.TraceParent[TraceParentChars-1:TraceParentChars], 16, 8)
	return err == nil && last&1 == 1
}

// Unsampled gives the id of an event's trace of which nothing is recorded; ok is false for any
// other event.
func (e *Event) Unsampled() (traceID string, ok bool) {
	if len(e.TraceParent) != TraceParentChars || e.Sampled() {
		return "", false
	}
	return e.TraceParent[TraceParentTrace : TraceParentSpan-1], true
}

// BatchPart ties together the records of one request: recovery drops a batch of which
// fewer than Count records are there, because it was never answered.
type BatchPart struct {
	ID    uint64 // 0: the event was accepted alone
	Index uint32
	Count uint32 // records of the batch, over all lanes, its request record included
}

// Request is a journal record beside the events of a request that carried an
// Idempotency-Key: it makes the key as durable as the events.
type Request struct {
	Key    string // scope and key, as Idempotency.scope builds it
	Digest [32]byte
	// Known are the events of the request that were already accepted earlier by their own
	// id, by position; the other ids are those of the batch's records.
	Known map[uint32]string
	Batch BatchPart
	// AcceptedAt bounds how long the key is remembered.
	AcceptedAt time.Time
}

// Record is one record of a journal: exactly one of the two is set.
type Record struct {
	Event   *Event
	Request *Request
}

// Draft is an event as a producer posted it, decoded and checked.
type Draft struct {
	ID          string
	Topic       string
	Tenant      string
	Timestamp   time.Time // zero: the accept time
	Data        json.RawMessage
	Extensions  json.RawMessage
	TraceParent string
	TraceState  string
	Directed    SubscriptionID
}
