// Package placement decides which member owns a subscription, which members keep copies of
// its retry state, and which follow a journal: rendezvous hashing over the active members, so
// that every member that sees the same members decides the same, without a word between
// them. Pure: no I/O, no clock, no goroutine.
package placement

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// MemberID names a member for ever: it lies on its disk.
type MemberID string

// State is what a member says of itself.
//
//	joining ──► active ──► draining ──► (gone)
//
// Only active members own shards and keep copies.
type State uint8

// The states of a member.
const (
	Joining State = iota + 1
	Active
	Draining
)

// String is the state as the API shows it.
func (s State) String() string {
	switch s {
	case Joining:
		return "joining"
	case Active:
		return "active"
	case Draining:
		return "draining"
	}
	return "dead"
}

// Member is one life of one member.
type Member struct {
	ID MemberID
	// Boot numbers the lives of a member: a higher one supersedes a lower one at once.
	Boot  uint64
	State State
	// Salt is the place that the member chose (see ChooseSalt); 0: none yet.
	Salt      uint16
	Address   string // of its streams
	API       string // of its HTTP interface, for people
	StartedAt time.Time
}

// seed is what places the member among others.
func (m Member) seed() uint64 { return score(xxhash.Sum64String(string(m.ID)), uint64(m.Salt)) }
