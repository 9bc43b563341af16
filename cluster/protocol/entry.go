package protocol

import (
	"bytes"
	"encoding/binary"

	"pannier/engine"

	"github.com/cespare/xxhash/v2"
)

// Kind tells what an entry is about.
type Kind uint8

// The kinds of entries.
const (
	// KindDelivery is one delivery: its retry record or its dead letter; a tombstone of one is
	// a done mark.
	KindDelivery Kind = iota + 1
	// KindQueue is the circuit of a subscription.
	KindQueue
	// KindReplay is the order of a replay.
	KindReplay
)

// Entry is one register of a shard's retry state. The latest write wins; a tombstone is a
// write like any other, and is kept for a day so that a copy that missed it cannot bring the
// entry back.
type Entry struct {
	Kind         Kind
	Subscription engine.SubscriptionID
	Key          string // inside its kind and subscription
	Stamp        Stamp
	Value        []byte // nil: a tombstone
}

// EntryKey names a register.
type EntryKey struct {
	Kind         Kind
	Subscription engine.SubscriptionID
	Key          string
}

// ID names the register of e.
func (e *Entry) ID() EntryKey { return EntryKey{e.Kind, e.Subscription, e.Key} }

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

// Sum sums a set of entries up: equal sums, equal sets.
type Sum struct {
	Count int
	Hash  uint64
}

// ShardSum is the sum of a shard.
type ShardSum struct {
	Shard int
	Sum   Sum
}

// SumOf sums entries up, in any order.
func SumOf(entries []Entry) (s Sum) {
	for i := range entries {
		s.Count++
		s.Hash ^= entries[i].hash()
	}
	return s
}

func (e *Entry) hash() uint64 {
	b := append(make([]byte, 0, 128), byte(e.Kind))
	b = append(append(b, e.Subscription...), 0)
	b = append(append(b, e.Key...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Stamp))
	return xxhash.Sum64(b)
}
