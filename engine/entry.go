package engine

import "bytes"

// Stamp is a moment of a cluster's hybrid logical clock (cluster/protocol). A later change has
// a higher one, on whatever members the two were made.
type Stamp uint64

// stampLowBits are below the milliseconds of a stamp.
const stampLowBits = 20

// Milli is the wall time of the stamp.
func (s Stamp) Milli() int64 { return int64(s >> stampLowBits) }

// StampAt is the lowest stamp of a wall time.
func StampAt(milli int64) Stamp { return Stamp(milli) << stampLowBits } //nolint:gosec // after 1970

// EntryKind tells what an entry is about.
type EntryKind uint8

// The kinds of entries.
const (
	// EntryDelivery is one delivery: its retry record or its dead letter; a tombstone of one is
	// a done mark.
	EntryDelivery EntryKind = iota + 1
	// EntryQueue is the durable timer and the circuit of a subscription.
	EntryQueue
	// EntryReplay is the order of a replay.
	EntryReplay
	// EntryExpired is the dead letters of deliveries that expired together.
	EntryExpired
)

// EntryKey names a register.
type EntryKey struct {
	Kind         EntryKind
	Subscription SubscriptionID
	Key          string // inside its kind and subscription
}

// Entry is one register of a shard's retry state, which several members of a cluster keep. The
// latest write wins; a tombstone is a write like any other, and is kept for a while so that a
// copy that missed it cannot bring the entry back.
type Entry struct {
	EntryKey

	Stamp Stamp
	Value []byte // nil: a tombstone
}

// Wins tells whether e takes the place of other, another write of the same register. Every
// member gives the same answer, so copies that have seen the same writes are the same. The
// sides of a partition may both settle a delivery: whichever wins, it was delivered, or is
// still a retry record or a dead letter, which repeats it and does not lose it.
func (e *Entry) Wins(other *Entry) bool {
	if e.Stamp != other.Stamp {
		return e.Stamp > other.Stamp
	}
	return bytes.Compare(e.Value, other.Value) > 0
}

// Bytes is about what the entry takes on the wire.
func (e *Entry) Bytes() int {
	const fixed = 16
	return fixed + len(e.Subscription) + len(e.Key) + len(e.Value)
}
