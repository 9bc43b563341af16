package engine

import (
	"context"
	"time"

	"pannier/engine/match"
)

// SharedLane is the lane of every topic that has none of its own.
const SharedLane = "shared"

// LaneConfig is a lane as the operator configured it.
type LaneConfig struct {
	Name        string
	Topics      []match.Pattern
	Retention   time.Duration
	MaxInFlight int     // of the lane, on this member
	WindowShare float64 // of each subscription's window
}

// Lanes is the port to the ingress actors (actors.System). Safe for concurrent use.
type Lanes interface {
	// Lane names the lane of a topic.
	Lane(topic string) string
	// Append makes a part durable in a lane's journal and returns when it is synced. Then the
	// ingress actor hands its events to the subscriptions, at once or after Release when
	// part.Held. Errors: unavailable, storage_full, throttled.
	Append(lane string, part *Part) error
	// Release lets the ingress actor hand out a held part.
	Release(lane string, part *Part)
	// Abandon gives up a held part: another part of its request could not be made durable.
	Abandon(lane string, part *Part)
	// Journals lists the journals of every lane, those that are only drained included; in a cluster
	// those of every member that answers (see NoteSilent).
	Journals(ctx context.Context) []LaneJournal
	// Views describes the lanes; in a cluster what all members that answer (see NoteSilent) have of
	// each together.
	Views(ctx context.Context) []LaneView
}

// LaneJournal is a journal that can be read, and how far.
type LaneJournal struct {
	Lane    string
	Journal Journal
	// Frontier is the last sequence that may be shown: what is above it may belong to a
	// request that is not answered yet.
	Frontier uint64
}

// Part is the share of one request that belongs to one lane.
type Part struct {
	Events  []*Event
	Request *Request
	// Answer is what Request will be remembered with; its ids are completed by the ingress
	// actor from Events unless they are all there.
	Answer Answer
	Held   bool
	// Digests are those of Events that have a GivenID, by position.
	Digests map[int][32]byte
}

// Deliveries is the port to the subscription actors (actors.System). Safe for concurrent
// use.
type Deliveries interface {
	// Changed tells that a new version is in force. It returns when no attempt of an earlier
	// version can start any more.
	Changed(ctx context.Context, id SubscriptionID) error
	// Insert adds a retry record, due at once, and the writes that belong to it; it returns
	// when they are durable. Errors: conflict (the delivery is under way).
	Insert(ctx context.Context, record RetryRecord, with []Write) error
	// Look describes a subscription's deliveries. In a cluster its owner must answer.
	Look(ctx context.Context, id SubscriptionID) (SubscriptionWork, error)
	// Standings tells how subscriptions fare, in the order of ids; in a cluster what all members
	// that answer (see NoteSilent) know of it.
	Standings(ctx context.Context, ids []SubscriptionID) ([]Standing, error)
	// Stats gives the totals; in a cluster those of every member that answers (see NoteSilent).
	Stats(ctx context.Context) StatsView
}

// Standing is how a subscription fares.
type Standing struct {
	Health      Health
	Pending     uint64
	OldestMilli int64 // accept time of the oldest pending delivery; 0: none
}

// SubscriptionWork is what is in memory of a subscription's deliveries.
type SubscriptionWork struct {
	Standing

	// Attempting are the deliveries under way, with the attempts before this one.
	Attempting map[EventRef]int
	// Mailbox are events that wait in memory.
	Mailbox map[EventRef]bool
	// Behind are the stretches that wait behind a cursor, by journal.
	Behind map[JournalID][]Range
	// Due is when the retry records in memory are due, in wall time.
	Due map[DeliveryKey]time.Time
}

// NoteOldest takes one more pending delivery into account for OldestMilli.
func (w *SubscriptionWork) NoteOldest(key DeliveryKey) { w.NoteOldestMilli(key.AcceptedMilli) }

// NoteOldestMilli takes the oldest of several pending deliveries into account for
// OldestMilli; 0 is none.
func (s *Standing) NoteOldestMilli(milli int64) {
	if milli != 0 && (s.OldestMilli == 0 || milli < s.OldestMilli) {
		s.OldestMilli = milli
	}
}
