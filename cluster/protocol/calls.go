package protocol

import (
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

// Keep begins a journal of this life, empty.
func (m *Member) Keep(now time.Time, ref JournalRef) {
	m.now = now
	m.replication.keep(ref, 1, 1, 0, nil)
}

// Synced tells that a kept journal is on this member's own disk through a sequence.
func (m *Member) Synced(now time.Time, id engine.JournalID, through uint64) {
	m.now = now
	m.replication.syncedThrough(id, through)
}

// FramesRead answers ReadFrames; nothing could be read when next equals From, and what lies
// between is lost when it does not and there are no frames.
func (m *Member) FramesRead(now time.Time, read ReadFrames, next uint64, frames []byte) {
	m.now = now
	m.replication.framesRead(read.Journal, read.To, read.From, next, frames)
}

// FramesBefore answers ReadBefore: the frames begin at first. Nothing is retained there when there
// are none.
func (m *Member) FramesBefore(now time.Time, read ReadBefore, first uint64, frames []byte) {
	m.now = now
	m.replication.framesBefore(read, first, frames)
}

// PrependFailed tells that records could not be put in front of a copy: its keeper tries again.
func (m *Member) PrependFailed(p PrependReplica) { delete(m.awaiting, p.Token) }

// Examined answers Examine: damage is the last sequence that cannot be read, 0 where all can.
func (m *Member) Examined(now time.Time, id engine.JournalID, damage uint64) {
	m.now = now
	m.replicas.examined(id, damage)
	m.custody.viewed()
}

// CopyFailed tells that a copy could not be written: its keeper has it go on from what is there.
func (m *Member) CopyFailed(w WriteReplica) {
	delete(m.awaiting, w.Token)
	switch c := m.replicas.copies[w.Journal.ID]; {
	case c == nil:
	case w.Begin:
		delete(m.replicas.copies, w.Journal.ID)
	default:
		c.next = c.synced
	}
}

// Checkpoint gives the account of a kept journal, from which it would be adopted: nothing below
// release is needed. It is durable here already.
func (m *Member) Checkpoint(now time.Time, id engine.JournalID, release uint64, state []byte) {
	m.now = now
	if len(state) > MaxAccountBytes {
		state = nil
	}
	m.replication.checkpoint(id, release, state)
	if c := m.replicas.copies[id]; c != nil && m.custody.keeping[id] && release >= c.release {
		c.release, c.state = release, state
		m.emit(WriteProgress{Journal: id, Release: c.release, State: state})
	}
}

// AdoptFailed tells that a journal could not be adopted.
func (m *Member) AdoptFailed(now time.Time, id engine.JournalID) {
	m.now = now
	m.custody.failed(id)
}

// Orphans are the journals that this member has a copy of and nobody keeps yet.
func (m *Member) Orphans() []JournalRef { return m.custody.waiting() }

// Finish ends a kept journal of an earlier life of which nothing is needed any more.
func (m *Member) Finish(now time.Time, id engine.JournalID) {
	m.now = now
	m.custody.finish(id)
}

// Ready tells why new events would not be answered; nil: they are. Errors: unavailable.
func (m *Member) Ready() error {
	if n := 1 + len(m.view.Followers(m.id)); n < m.replication.required() {
		return &engine.Error{
			Code: engine.CodeUnavailable, RetryAfter: time.Second,
			Message: "too few members are there to keep the copies that the replication asks for",
		}
	}
	if !m.versions.complete() {
		return &engine.Error{
			Code: engine.CodeUnavailable, RetryAfter: time.Second,
			Message: "this member does not know the subscriptions of the others yet",
		}
	}
	return nil
}

// Route hands the event at a sequence of a kept journal out to the owners of subscriptions.
// Pairs that cannot be handed out now come back as Rehand.
func (m *Member) Route(now time.Time, journal engine.JournalID, sequence uint64, event []byte, subs []engine.SubscriptionID) {
	m.now = now
	m.routing.route(journal, sequence, event, subs)
}

// Discharged tells that pairs that came with Deliver are discharged (I2).
func (m *Member) Discharged(now time.Time, journal engine.JournalID, sub engine.SubscriptionID, sequences []uint64) {
	m.now = now
	m.routing.discharged(pairs{journal, sub}, sequences)
}

// Returned gives pairs back that came with Deliver and were not attempted; busy tells that the
// endpoint cannot keep up.
func (m *Member) Returned(now time.Time, journal engine.JournalID, sub engine.SubscriptionID, sequences []uint64, busy bool) {
	m.now = now
	m.routing.returned(pairs{journal, sub}, sequences, busy)
}

// Store makes a change of a shard's retry state; Durable carries the token once it is on the
// shard's replicas. The stamps of the entries are set.
func (m *Member) Store(now time.Time, shard int, entries []engine.Entry) (token uint64) {
	m.now = now
	return m.shards.store(shard, entries)
}

// PutVersion puts a new version of a subscription in force on every member; Propagated carries
// the token then. Its revision is set.
func (m *Member) PutVersion(now time.Time, version *engine.Subscription) (token uint64) {
	m.now = now
	return m.versions.put(version)
}

// Keeps tells whether this member keeps a journal, of this life or adopted.
func (m *Member) Keeps(id engine.JournalID) bool {
	_, kept := m.replication.journals[id]
	return kept
}

// Owns tells whether this member owns a subscription, as it sees the cluster.
func (m *Member) Owns(sub engine.SubscriptionID) bool {
	return m.view.Owner(engine.ShardOf(sub)) == m.id
}

// Replicas counts the members that are to have a subscription's retry state.
func (m *Member) Replicas(sub engine.SubscriptionID) int {
	return len(m.view.Replicas(engine.ShardOf(sub)))
}

// ReplicasOf lists the members that are to have a shard's retry state, its owner first. It is
// not to be changed.
func (m *Member) ReplicasOf(shard int) []placement.MemberID { return m.view.Replicas(shard) }

// Lag counts, by follower, the records of kept journals that it has yet to copy.
func (m *Member) Lag() map[placement.MemberID]uint64 { return m.replication.lag() }

// UnderReplicated counts the owned shards and kept journals that have fewer complete copies
// than asked for, and the journals that wait for a keeper.
func (m *Member) UnderReplicated() int {
	return m.reconciling.underReplicated() + m.replication.underReplicated() + len(m.custody.waiting())
}

// OwesAnswers tells whether another member has yet to learn what became of deliveries that it
// handed out to this one: it would have them made again.
func (m *Member) OwesAnswers() bool {
	return slices.ContainsFunc(m.ordered, func(s *stream) bool { return m.sees(s.peer) && s.owesAnswer() })
}
