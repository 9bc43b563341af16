package protocol

import (
	"pannier/cluster/placement"
	"pannier/engine"
)

// Message is what one member tells another. The kinds are the types of this file; what each
// asks of the receiver is said where it is handled.
type Message interface {
	message()
	// Bytes is about what the message takes on the wire and in an outbox.
	Bytes() int
}

// JournalRef names a journal and where it comes from. A journal has one writer: one life of
// one member. When that life is over the journal is closed for ever.
type JournalRef struct {
	ID     engine.JournalID
	Origin placement.MemberID
	Boot   uint64
	Lane   string
}

// Copies of journals (replication.go, replica.go, custody.go).
type (
	// Append carries the encoded records from First to Next, Next excluded; without Frames the
	// keeper has lost what lies between. Begin asks for a copy that begins at First, where there
	// is none that can be gone on with.
	Append struct {
		Journal     JournalRef
		Begin       bool
		First, Next uint64
		Frames      []byte
	}
	// Appended tells from where and up to where (excluded) the copy is synced; a Next of 0 answers
	// Unfollow.
	Appended struct {
		Journal    engine.JournalID
		Base, Next uint64
	}
	// Prepend carries the encoded records from First to Next, Next excluded, which is where the copy
	// begins; without Frames nothing of them is retained. It is answered with Appended.
	Prepend struct {
		Journal     engine.JournalID
		First, Next uint64
		Frames      []byte
	}
	// Progress tells what of a journal is discharged: nothing below Release is needed, and
	// State is the keeper's account of the rest.
	Progress struct {
		Journal engine.JournalID
		Release uint64
		State   []byte
	}
	// Unfollow tells that a copy is not needed: enough others have one. It is answered with
	// Appended.
	Unfollow struct{ Journal engine.JournalID }
	// Holdings lists every journal of another life that the sender has, and those that it knows
	// to be over.
	Holdings struct {
		Journals []Holding
		Finished []Ending
	}
	// Finished names journals of which nothing is needed any more.
	Finished struct{ Journals []Ending }
)

// Ending tells that everything of a journal below Next is discharged, and that what lies from
// Base on has left the retention. A copy that reaches further knows of more, and one that begins
// earlier may hold what is still to be listed.
type Ending struct {
	Journal    engine.JournalID
	Base, Next uint64
}

// Holding is one member's copy of a journal.
type Holding struct {
	Journal JournalRef
	Base    uint64 // the copy was begun there; the retention may have taken its beginning since
	Next    uint64 // it ends before
	Release uint64 // everything below is discharged, as far as the member knows
	Keeping bool   // the member is responsible for what is undischarged
	Damage  uint64 // the last sequence that is undischarged and cannot be read; 0: there is none
}

// reach is how far a copy can be relied on: one that is damaged is as good as one that ends there.
func (h *Holding) reach() uint64 {
	if h.Damage > 0 {
		return h.Damage
	}
	return h.Next
}

// Deliveries (routing.go).
type (
	// Route hands the event at Sequence out to subscriptions that the receiver owns.
	Route struct {
		Journal       engine.JournalID
		Sequence      uint64
		Event         []byte
		Subscriptions []engine.SubscriptionID
	}
	// Done tells that these pairs are discharged (I2).
	Done struct {
		Journal      engine.JournalID
		Subscription engine.SubscriptionID
		Sequences    []uint64
	}
	// Back returns pairs that were not attempted: the sender does not own the subscription or,
	// when it is Busy, its endpoint cannot keep up.
	Back struct {
		Journal      engine.JournalID
		Subscription engine.SubscriptionID
		Sequences    []uint64
		Busy         bool
	}
)

// Subscriptions (versions.go).
type (
	// Versions puts versions of subscriptions in force where no later one is known.
	Versions struct {
		Token    uint64 // 0: no answer is wanted
		Versions []*engine.Subscription
	}
	// VersionsStored answers Versions once they are durable. Token 0 ends the answer to a
	// TableDigest.
	VersionsStored struct{ Token uint64 }
	// TableDigest sums up the sender's versions by bucket; the receiver answers with its own of
	// those buckets that differ.
	TableDigest struct{ Buckets []uint64 }
	// Want asks for the versions of subscriptions that the sender does not know.
	Want struct{ Subscriptions []engine.SubscriptionID }
)

// Retry state (shards.go, reconcile.go).
type (
	// Group is one change of a shard's retry state.
	Group struct {
		Token   uint64 // 0: no answer is wanted
		Shard   int
		Entries []engine.Entry
	}
	// GroupStored answers Group once it is durable.
	GroupStored struct{ Token uint64 }
	// ShardAsk has a replica compare shards with the sender, their owner.
	ShardAsk struct{ Shards []int }
	// ShardDigest tells the owner of shards what the sender has of them.
	ShardDigest struct{ Sums []ShardSum }
	// ShardSame answers that the owner has the same of these shards; of those that are
	// Released every replica has.
	ShardSame struct{ Shards, Released []int }
	// ShardEntries are all entries the sender has of a shard, page by page; the owner sends its
	// own first.
	ShardEntries struct {
		Shard   int
		Entries []engine.Entry
		Last    bool
	}
)

func (*Append) message()         {}
func (*Appended) message()       {}
func (*Prepend) message()        {}
func (*Progress) message()       {}
func (*Unfollow) message()       {}
func (*Holdings) message()       {}
func (*Finished) message()       {}
func (*Route) message()          {}
func (*Done) message()           {}
func (*Back) message()           {}
func (*Versions) message()       {}
func (*VersionsStored) message() {}
func (*TableDigest) message()    {}
func (*Want) message()           {}
func (*Group) message()          {}
func (*GroupStored) message()    {}
func (*ShardAsk) message()       {}
func (*ShardDigest) message()    {}
func (*ShardSame) message()      {}
func (*ShardEntries) message()   {}

// messageBytes is the least that a message takes.
const messageBytes = 32

// Bytes implements Message.
func (m *Append) Bytes() int { return messageBytes + len(m.Frames) }

// Bytes implements Message.
func (*Appended) Bytes() int { return messageBytes }

// Bytes implements Message.
func (m *Prepend) Bytes() int { return messageBytes + len(m.Frames) }

// Bytes implements Message.
func (m *Progress) Bytes() int { return messageBytes + len(m.State) }

// Bytes implements Message.
func (*Unfollow) Bytes() int { return messageBytes }

// Bytes implements Message.
func (m *Holdings) Bytes() int { return messageBytes*(1+2*len(m.Journals)) + 24*len(m.Finished) }

// Bytes implements Message.
func (m *Finished) Bytes() int { return messageBytes + 24*len(m.Journals) }

// Bytes implements Message.
func (m *Route) Bytes() int {
	return messageBytes + len(m.Event) + subscriptionBytes*len(m.Subscriptions)
}

// Bytes implements Message.
func (m *Done) Bytes() int { return messageBytes + subscriptionBytes + 8*len(m.Sequences) }

// Bytes implements Message.
func (m *Back) Bytes() int { return messageBytes + subscriptionBytes + 8*len(m.Sequences) }

// Bytes implements Message.
func (m *Versions) Bytes() int { return messageBytes + versionBytes*len(m.Versions) }

// Bytes implements Message.
func (*VersionsStored) Bytes() int { return messageBytes }

// Bytes implements Message.
func (m *TableDigest) Bytes() int { return messageBytes + 8*len(m.Buckets) }

// Bytes implements Message.
func (m *Want) Bytes() int { return messageBytes + subscriptionBytes*len(m.Subscriptions) }

// Bytes implements Message.
func (m *Group) Bytes() int { return messageBytes + entriesBytes(m.Entries) }

// Bytes implements Message.
func (*GroupStored) Bytes() int { return messageBytes }

// Bytes implements Message.
func (m *ShardAsk) Bytes() int { return messageBytes + 2*len(m.Shards) }

// Bytes implements Message.
func (m *ShardDigest) Bytes() int { return messageBytes + 12*len(m.Sums) }

// Bytes implements Message.
func (m *ShardSame) Bytes() int { return messageBytes + 2*len(m.Shards) + 2*len(m.Released) }

// Bytes implements Message.
func (m *ShardEntries) Bytes() int { return messageBytes + entriesBytes(m.Entries) }

const (
	subscriptionBytes = 26  // "sub_", 20 characters, a length
	versionBytes      = 600 // a common subscription
)

func entriesBytes(entries []engine.Entry) (n int) {
	for i := range entries {
		n += entries[i].Bytes()
	}
	return n
}
