package cluster

import (
	"context"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// Disk is what a node needs of its member's data folder. No method waits for a disk but where
// it says so; callbacks may come from any goroutine.
type Disk interface {
	// ReadFrames reads encoded, synced records of a journal that this member keeps, from a
	// sequence on: whole ones, at least one, up to limit bytes; next is the sequence to go on
	// from, `from` itself when there is nothing yet. Without frames, what lies before a later
	// next is lost.
	ReadFrames(journal engine.JournalID, from uint64, limit int) (frames []byte, next uint64, err error)
	// ReadBefore reads encoded records of such a journal that end right before a sequence, as many as
	// fit into limit bytes; there are none where nothing is retained. It waits for the disk.
	ReadBefore(journal engine.JournalID, before uint64, limit int) (first uint64, frames []byte, err error)
	// PrependCopy does what p says. It waits for the disk.
	PrependCopy(p protocol.PrependReplica) error
	// Examine reads a copy from a sequence on and gives the last one that cannot be read; 0: none.
	// It waits for the disk, unless ctx ends.
	Examine(ctx context.Context, journal engine.JournalID, from uint64) (damage uint64, err error)
	// WriteCopy does what w says and calls done when it is synced. Errors mean that the copy is
	// not as the protocol thinks: the keeper begins it again.
	WriteCopy(w protocol.WriteReplica, done func()) error
	// SaveAccount keeps the keeper's account of a copy; a crash may lose the latest.
	SaveAccount(journal engine.JournalID, release uint64, account []byte)
	// OpenCopy opens a copy for reading. It waits for the disk.
	OpenCopy(journal engine.JournalID) (engine.Journal, error)
	// DropCopy removes a copy.
	DropCopy(journal engine.JournalID)
	// MergeEntries writes the entries that win over what is there, and changes beside them, and
	// calls done when all is synced.
	MergeEntries(entries []engine.Entry, changes []engine.Write, done func()) error
	// Entries lists a shard, with every write that was given before. It waits for the disk.
	Entries(shard int) ([]engine.Entry, error)
	// DropShard removes a shard.
	DropShard(shard int) error
	// PutVersions makes versions durable.
	PutVersions(versions []*engine.Subscription, done func()) error
	// SavePeers remembers where other members were seen.
	SavePeers(addresses map[string]string) error
}

// Actors is what a node needs of the actors of its member (actors.System, through cmd/pannier).
type Actors interface {
	Deliver(event *engine.Event, ids []engine.SubscriptionID)
	Settled(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64)
	Returned(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, busy bool)
	Moved(shards map[int]bool)
	// Merged takes in retry state that another member wrote.
	Merged(entries []engine.Entry)
	// Wake starts the actors of subscriptions that have retry state: they read it when they start.
	Wake(entries []engine.Entry)
	// Changed tells that other versions of subscriptions are in force.
	Changed(ids []engine.SubscriptionID)
	// Adopt goes on with a journal. It waits for the disk.
	Adopt(journal engine.Journal, how protocol.Adopt) error
	Relinquish(journal engine.JournalID)
}

// Codec turns what the protocol carries without looking at it into bytes and back
// (storage's encodings, through cmd/pannier).
type Codec struct {
	EncodeEvent func(*engine.Event) []byte
	DecodeEvent func(ref engine.EventRef, b []byte) (*engine.Event, error)
	// EncodeAccount and the Adopt of Actors agree on what an account is.
	EncodeAccount func(mark engine.Watermark, cursors []engine.Cursor) []byte
	// EntriesOf splits changes into entries of one subscription's retry state and the rest.
	EntriesOf func(changes []engine.Write) (entries []engine.Entry, rest []engine.Write, err error)
}
