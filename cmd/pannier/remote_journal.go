package main

import (
	"context"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
	"pannier/storage"
)

// journalsHere answers callJournals.
func (c *clustered) journalsHere() (here journalsHere) {
	for _, orphan := range c.node.Orphans() {
		here.Orphans = append(here.Orphans, orphan.Origin)
	}
	for _, lane := range c.member.system.Journals(context.Background()) {
		first, next := lane.Journal.Bounds()
		here.Kept = append(here.Kept, journalAt{Lane: lane.Lane, ID: lane.Journal.ID(), Frontier: lane.Frontier, First: first, Next: next})
	}
	return here
}

// kept finds a journal that this member keeps. Errors: not_found.
func (c *clustered) kept(id engine.JournalID) (engine.Journal, error) {
	for _, lane := range c.member.system.Journals(context.Background()) {
		if lane.Journal.ID() == id {
			return lane.Journal, nil
		}
	}
	return nil, engine.Errorf(engine.CodeNotFound, "another member keeps the journal")
}

// maxReadBytes bounds one page of a journal.
const maxReadBytes = 512 << 10

// likelyRecordBytes is what is asked for a record: where they are larger, the read goes on.
const likelyRecordBytes = 2 << 10

// readFor reads a page of a journal for another member. What is damaged or gone is passed over,
// as every read does.
func (c *clustered) readFor(r readRequest) (readAnswer, error) {
	disk := clusterDisk{c}
	frames, next, err := disk.ReadFrames(r.Journal, r.From, min(r.Bytes, maxReadBytes))
	if missing, gone := missingIn(err); gone {
		r.From = missing.Next
		frames, next, err = disk.ReadFrames(r.Journal, r.From, min(r.Bytes, maxReadBytes))
	}
	return readAnswer{Frames: frames, First: r.From, Next: next}, err
}

// remoteJournal is another member's journal, read page by page.
type remoteJournal struct {
	cluster *clustered
	keeper  placement.MemberID
	at      journalAt
}

// ID implements engine.Journal.
func (j *remoteJournal) ID() engine.JournalID { return j.at.ID }

// Append implements engine.Journal: only its keeper's lanes append.
func (j *remoteJournal) Append([]engine.Record, func()) (uint64, error) {
	return 0, engine.Errorf(engine.CodeUnavailable, "the journal is another member's")
}

// Read implements engine.Journal.
func (j *remoteJournal) Read(from uint64, limit int, visit func(uint64, engine.Record) bool) (next uint64, err error) {
	for next = from; limit > 0; {
		bytes := min(limit, maxReadBytes/likelyRecordBytes) * likelyRecordBytes
		page, err := ask[readAnswer](context.Background(), j.cluster, j.keeper, callRead, readRequest{j.at.ID, next, bytes})
		if err != nil || page.Next <= next {
			return next, err
		}
		more := true
		err = storage.VisitFrames(j.at.ID, page.First, page.Frames, func(sequence uint64, record engine.Record) bool {
			limit--
			next = sequence + 1
			more = visit(sequence, record) && limit > 0
			return more
		})
		if err != nil || !more {
			return next, err
		}
		next = page.Next
	}
	return next, nil
}

// Search implements engine.Journal.
func (j *remoteJournal) Search(from uint64, limit int, wanted, visit func(*engine.Event) bool) (uint64, error) {
	return j.Read(from, limit, func(_ uint64, record engine.Record) bool {
		return record.Event == nil || !wanted(record.Event) || visit(record.Event)
	})
}

// Get implements engine.Journal.
func (j *remoteJournal) Get(sequence uint64) (found engine.Record, err error) {
	page, err := ask[readAnswer](context.Background(), j.cluster, j.keeper, callRead, readRequest{j.at.ID, sequence, 1})
	if err != nil {
		return found, err
	}
	got := false
	err = storage.VisitFrames(j.at.ID, page.First, page.Frames, func(at uint64, record engine.Record) bool {
		if at == sequence {
			found, got = record, true
		}
		return false
	})
	if err == nil && !got {
		err = engine.Errorf(engine.CodeNotFound, "no such record")
	}
	return found, err
}

// Seek implements engine.Journal.
func (j *remoteJournal) Seek(t time.Time) (uint64, error) {
	return ask[uint64](context.Background(), j.cluster, j.keeper, callSeek, seekRequest{j.at.ID, t})
}

// Bounds implements engine.Journal.
func (j *remoteJournal) Bounds() (first, next uint64) { return j.at.First, j.at.Next }

// Synced implements engine.Journal.
func (j *remoteJournal) Synced() uint64 { return j.at.Next - 1 }

// Segments implements engine.Journal: its retention is its keeper's matter.
func (j *remoteJournal) Segments() []engine.Segment { return nil }

// Trim implements engine.Journal.
func (j *remoteJournal) Trim(engine.Segment) error { return nil }

// Damage implements engine.Journal.
func (j *remoteJournal) Damage() []engine.Range { return nil }

// Close implements engine.Journal.
func (j *remoteJournal) Close() error { return nil }
