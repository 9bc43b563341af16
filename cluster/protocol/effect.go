package protocol

import (
	"pannier/cluster/placement"
	"pannier/engine"
)

// Effect is what a driver must do for a member. Those with a Token are answered by
// Member.Written when they are durable; the driver keeps the order of the writes of one
// journal, and of one shard.
type Effect interface{ effect() }

// The effects.
type (
	// Send gives an envelope to the link. It may be lost.
	Send struct{ Envelope Envelope }

	// ReadFrames reads up to Bytes of a kept journal's encoded records from a sequence on, at
	// least one record, or tells where it goes on behind what is lost, and answers with
	// Member.FramesRead.
	ReadFrames struct {
		Journal engine.JournalID
		From    uint64
		To      placement.MemberID
		Bytes   int
	}
	// ReadBefore reads up to Bytes of a kept journal's encoded records that end right before a
	// sequence, at least one record, and answers with Member.FramesBefore.
	ReadBefore struct {
		Journal engine.JournalID
		Before  uint64
		To      placement.MemberID
		Bytes   int
	}
	// PrependReplica puts records in front of a copy that begins at Next; without Frames it is noted
	// that the copy reaches back to First as it is.
	PrependReplica struct {
		Token       uint64
		Journal     engine.JournalID
		First, Next uint64
		Frames      []byte
	}
	// Examine reads a copy of an earlier life from a sequence on and answers with
	// Member.Examined.
	Examine struct {
		Journal engine.JournalID
		From    uint64
	}
	// WriteReplica appends to a copy, or without Frames steps over what its keeper has lost;
	// Begin makes an empty one that begins at First, in the place of one that is there.
	WriteReplica struct {
		Token       uint64
		Journal     JournalRef
		Begin       bool
		First, Next uint64
		Frames      []byte
	}
	// WriteProgress keeps the account of a copy; a crash may lose the latest.
	WriteProgress struct {
		Journal engine.JournalID
		Release uint64
		State   []byte
	}
	// DropReplica removes a copy.
	DropReplica struct{ Journal engine.JournalID }
	// Committed tells that a kept journal has as many copies through a sequence as the
	// replication asks for: its events are answered and routed.
	Committed struct {
		Journal engine.JournalID
		Through uint64
	}
	// Adopt makes this member the keeper of a journal that it has a copy of: what is
	// undischarged, by State, is routed again, but for what has ended here, whether or not
	// State knows.
	Adopt struct {
		Journal JournalRef
		Release uint64
		State   []byte
		Settled map[engine.SubscriptionID][]uint64 // ascending
	}
	// Relinquish ends Adopt: another member keeps the journal. The copy stays.
	Relinquish struct{ Journal engine.JournalID }

	// Deliver hands an event to subscriptions that this member owns; each pair is answered by
	// Member.Discharged or Member.Returned.
	Deliver struct {
		Journal       engine.JournalID
		Sequence      uint64
		Event         []byte
		Subscriptions []engine.SubscriptionID
	}
	// Settled takes pairs off the account of a kept journal.
	Settled struct {
		Journal      engine.JournalID
		Subscription engine.SubscriptionID
		Sequences    []uint64
	}
	// Rehand asks for pairs of a kept journal to be routed again with Member.Route, at once or,
	// when the subscription is Busy, once there may be room.
	Rehand struct {
		Journal      engine.JournalID
		Subscription engine.SubscriptionID
		Sequences    []uint64
		Busy         bool
	}

	// WriteVersions makes versions durable and puts them in force.
	WriteVersions struct {
		Token    uint64
		Versions []*engine.Subscription
	}
	// Propagated tells that a version is in force here and on every member that is seen but those
	// that did not answer in time; Copies counts the others, this one included.
	Propagated struct {
		Token  uint64
		Silent []placement.MemberID
		Copies int
	}
	// ClockAhead tells that a change of another member was refused: its clock is too far ahead.
	ClockAhead struct{ From placement.MemberID }

	// WriteEntries writes the entries that win over what is there (Entry.Wins), all or none.
	WriteEntries struct {
		Token   uint64
		Shard   int
		Entries []engine.Entry
	}
	// Durable tells that a group given to Member.Store is on the shard's replicas.
	Durable struct{ Token uint64 }
	// ScanShard lists every entry of a shard, those of writes given before included, and answers
	// with Member.Scanned.
	ScanShard struct {
		Token uint64
		Shard int
	}
	// Merged tells the owner of entries that came from elsewhere.
	Merged struct {
		Shard   int
		Entries []engine.Entry
	}
	// DropShard removes a shard that this member is no replica of and that all replicas have.
	DropShard struct{ Shard int }
	// Gained and Lost tell which shards this member owns.
	Gained struct{ Shards []int }
	// Lost ends Gained: no attempt is started any more.
	Lost struct{ Shards []int }

	// BecomeActive tells that this member has what its shards need.
	BecomeActive struct{}
	// Rejoin asks for members to be found again that were seen once: membership by gossip never
	// heals a partition by itself.
	Rejoin struct{ Members []placement.MemberID }
)

func (Send) effect()           {}
func (ReadFrames) effect()     {}
func (ReadBefore) effect()     {}
func (PrependReplica) effect() {}
func (Examine) effect()        {}
func (WriteReplica) effect()   {}
func (WriteProgress) effect()  {}
func (DropReplica) effect()    {}
func (Committed) effect()      {}
func (Adopt) effect()          {}
func (Relinquish) effect()     {}
func (Deliver) effect()        {}
func (Settled) effect()        {}
func (Rehand) effect()         {}
func (WriteVersions) effect()  {}
func (Propagated) effect()     {}
func (ClockAhead) effect()     {}
func (WriteEntries) effect()   {}
func (Durable) effect()        {}
func (ScanShard) effect()      {}
func (Merged) effect()         {}
func (DropShard) effect()      {}
func (Gained) effect()         {}
func (Lost) effect()           {}
func (BecomeActive) effect()   {}
func (Rejoin) effect()         {}
