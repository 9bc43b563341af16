package main

import (
	"context"
	"encoding/json"
	"os"

	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/storage"
)

// clusterDisk implements cluster.Disk.
type clusterDisk struct{ *clustered }

// ReadFrames implements cluster.Disk.
func (d clusterDisk) ReadFrames(id engine.JournalID, from uint64, limit int) ([]byte, uint64, error) {
	journal, err := d.kept(id)
	if err != nil {
		return nil, from, err
	}
	frames, next, err := journal.ReadFrames(from, limit)
	if missing, is := missingIn(err); is {
		return nil, missing.Next, nil
	}
	return frames, next, err
}

// kept finds a journal that this member keeps.
func (d clusterDisk) kept(id engine.JournalID) (*storage.Journal, error) {
	if journal := d.member.journals.byID(id); journal != nil {
		return journal, nil
	}
	held, err := d.copies.Journal(id)
	if err != nil {
		return nil, err
	}
	return held.Journal, nil
}

// ReadBefore implements cluster.Disk.
func (d clusterDisk) ReadBefore(id engine.JournalID, before uint64, limit int) (first uint64, frames []byte, err error) {
	journal, err := d.kept(id)
	if err != nil {
		return before, nil, err
	}
	return journal.ReadFramesBefore(before, limit)
}

// PrependCopy implements cluster.Disk.
func (d clusterDisk) PrependCopy(p protocol.PrependReplica) error {
	return d.copies.Prepend(p.Journal, p.First, p.Next, p.Frames)
}

// Examine implements cluster.Disk.
func (d clusterDisk) Examine(ctx context.Context, id engine.JournalID, from uint64) (damage uint64, err error) {
	return d.copies.Examine(ctx, id, from)
}

// WriteCopy implements cluster.Disk.
func (d clusterDisk) WriteCopy(w protocol.WriteReplica, done func()) error {
	switch {
	case w.Begin:
	case len(w.Frames) == 0:
		return d.copies.Skip(w.Journal.ID, w.First, w.Next, done)
	default:
		return d.copies.Append(w.Journal.ID, w.First, w.Frames, done)
	}
	of := storage.CopyOf{Journal: w.Journal.ID, Origin: string(w.Journal.Origin), Boot: w.Journal.Boot, Lane: w.Journal.Lane}
	if err := d.copies.Begin(of, w.First); err != nil {
		return err
	}
	done()
	return nil
}

// SaveAccount implements cluster.Disk.
func (d clusterDisk) SaveAccount(id engine.JournalID, release uint64, account []byte) {
	if err := d.copies.SaveAccount(id, release, account); err != nil {
		d.logger.Warn("account of a journal could not be saved", "error", err)
	}
}

// OpenCopy implements cluster.Disk.
func (d clusterDisk) OpenCopy(id engine.JournalID) (engine.Journal, error) {
	return d.copies.Journal(id)
}

// DropCopy implements cluster.Disk.
func (d clusterDisk) DropCopy(id engine.JournalID) {
	if err := d.copies.Drop(id); err != nil {
		d.logger.Error("copy of a journal could not be removed", "error", err)
	}
}

// MergeEntries implements cluster.Disk.
func (d clusterDisk) MergeEntries(entries []engine.Entry, changes []engine.Write, done func()) error {
	groups := storage.SplitEntries(entries)
	for n, group := range groups {
		if n == len(groups)-1 {
			return d.member.state.MergeEntries(group, changes, done)
		}
		if err := d.member.state.MergeEntries(group, nil, func() {}); err != nil {
			return err
		}
	}
	return d.member.state.Write(changes, done)
}

// Entries implements cluster.Disk.
func (d clusterDisk) Entries(shard int) ([]engine.Entry, error) {
	if err := d.member.writeAndWait(); err != nil { // what was queued before is in it
		return nil, err
	}
	return d.member.state.Entries(context.Background(), shard)
}

// DropShard implements cluster.Disk.
func (d clusterDisk) DropShard(shard int) error { return d.member.state.DropShard(shard, func() {}) }

// PutVersions implements cluster.Disk.
func (d clusterDisk) PutVersions(versions []*engine.Subscription, done func()) error {
	writes := make([]engine.Write, len(versions))
	for n, version := range versions {
		writes[n] = engine.PutVersion{Subscription: version}
	}
	return d.member.state.Write(writes, done)
}

// SavePeers implements cluster.Disk.
func (d clusterDisk) SavePeers(addresses map[string]string) error {
	content, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.peers+".tmp", content, 0o600); err != nil {
		return err
	}
	return os.Rename(d.peers+".tmp", d.peers)
}
