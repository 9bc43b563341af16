package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"pannier/actors"
	"pannier/cluster/placement"
	"pannier/engine"
	"pannier/storage"
)

// gathered is the actors of this member as the engine sees them in a cluster: lists, feeds and
// totals are about all members.
type gathered struct {
	*actors.System

	cluster *clustered
}

// Journals implements engine.Lanes: those of every member that answers.
func (g gathered) Journals() []engine.LaneJournal {
	self := placement.MemberID(g.cluster.member.folder.Member())
	journals := g.System.Journals()
	answers, _ := askAll[[]journalAt](context.Background(), g.cluster, callJournals, all(true))
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		if id == self {
			continue
		}
		for _, at := range answers[id] {
			journals = append(journals, engine.LaneJournal{
				Lane: at.Lane, Frontier: at.Frontier, Journal: &remoteJournal{cluster: g.cluster, keeper: id, at: at},
			})
		}
	}
	// Two members may keep a journal for a moment: it is shown once.
	slices.SortStableFunc(journals, func(a, b engine.LaneJournal) int { return cmp.Compare(a.Journal.ID(), b.Journal.ID()) })
	return slices.CompactFunc(journals, func(a, b engine.LaneJournal) bool { return a.Journal.ID() == b.Journal.ID() })
}

// Look implements engine.Deliveries: the owner says what it attempts and retries, every keeper
// what it has not handed out.
func (g gathered) Look(ctx context.Context, id engine.SubscriptionID) (engine.SubscriptionWork, error) {
	answers, silent := askAll[engine.SubscriptionWork](ctx, g.cluster, callLook, id)
	owner := g.cluster.node.View().Owner(engine.ShardOf(id))
	work, answered := answers[owner]
	if !answered {
		if len(silent) == 0 {
			return work, engine.Errorf(engine.CodeUnavailable, "no member owns the subscription now")
		}
		return work, doesNotAnswer(owner)
	}
	work.Mailbox, work.Behind = maps.Clone(work.Mailbox), maps.Clone(work.Behind)
	for member, theirs := range answers {
		if member != owner {
			addWork(&work, theirs)
		}
	}
	return work, nil
}

// Insert implements engine.Deliveries: the owner makes the attempt, whoever carries the replay
// out.
func (g gathered) Insert(ctx context.Context, record engine.RetryRecord, with []engine.Write) error {
	owner := g.cluster.node.View().Owner(engine.ShardOf(record.Subscription))
	if owner == placement.MemberID(g.cluster.member.folder.Member()) {
		return g.System.Insert(ctx, record, with)
	}
	request := insertRequest{Record: record}
	var rest []engine.Write
	for _, w := range with {
		if dead, again := w.(engine.DropDeadLetter); again {
			request.Dead = &dead
		} else {
			rest = append(rest, w)
		}
	}
	if _, err := ask[all](ctx, g.cluster, owner, callInsert, request); err != nil {
		return err
	}
	return g.cluster.member.state.Write(rest, func() {})
}

// insertHere answers callInsert.
func (c *clustered) insertHere(ctx context.Context, r insertRequest) (all, error) {
	var with []engine.Write
	if r.Dead != nil {
		with = append(with, *r.Dead)
	}
	return true, c.member.system.Insert(ctx, r.Record, with)
}

// addWork adds what a keeper has of a subscription that another member owns.
func addWork(work *engine.SubscriptionWork, theirs engine.SubscriptionWork) {
	work.Pending += theirs.Pending
	work.NoteOldestMilli(theirs.OldestMilli)
	for ref := range theirs.Mailbox {
		if _, begun := work.Attempting[ref]; !begun {
			if work.Mailbox == nil {
				work.Mailbox = make(map[engine.EventRef]bool)
			}
			work.Mailbox[ref] = true
		}
	}
	for journal, ranges := range theirs.Behind {
		if work.Behind == nil {
			work.Behind = make(map[engine.JournalID][]engine.Range)
		}
		work.Behind[journal] = append(slices.Clip(work.Behind[journal]), ranges...)
	}
}

// Stats implements engine.Deliveries: the totals of every member that answers.
func (g gathered) Stats() (sum engine.StatsView) {
	answers, _ := askAll[memberTotals](context.Background(), g.cluster, callStats, all(true))
	var discarded uint64
	for _, totals := range answers {
		sum.Accepted += totals.Stats.Accepted
		sum.Matched += totals.Stats.Matched
		sum.Retried += totals.Stats.Retried
		sum.Dead += totals.Stats.Dead
		sum.Pending += totals.Stats.Pending
		sum.Waiting += totals.Stats.Waiting
		sum.Attempting += totals.Stats.Attempting
		discarded += totals.Discarded
	}
	// Matched counts where the event was accepted, the rest where it ends.
	sum.Delivered = sum.Matched - min(sum.Matched, sum.Pending+sum.Dead+discarded)
	return sum
}

// keptJournals describes what this member keeps.
func (c *clustered) keptJournals() []journalAt {
	kept := c.member.system.Journals()
	described := make([]journalAt, len(kept))
	for n, lane := range kept {
		first, next := lane.Journal.Bounds()
		described[n] = journalAt{Lane: lane.Lane, ID: lane.Journal.ID(), Frontier: lane.Frontier, First: first, Next: next}
	}
	return described
}

// kept finds a journal that this member keeps. Errors: not_found.
func (c *clustered) kept(id engine.JournalID) (engine.Journal, error) {
	for _, lane := range c.member.system.Journals() {
		if lane.Journal.ID() == id {
			return lane.Journal, nil
		}
	}
	return nil, engine.Errorf(engine.CodeNotFound, "another member keeps the journal")
}

// maxReadBytes bounds one page of a journal.
const maxReadBytes = 512 << 10

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
		page, err := ask[readAnswer](context.Background(), j.cluster, j.keeper, callRead, readRequest{j.at.ID, next, maxReadBytes})
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
func (j *remoteJournal) Search(from uint64, limit int, wanted func(*engine.Event) bool, visit func(*engine.Event) bool) (uint64, error) {
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
func (j *remoteJournal) Trim(engine.Segment, bool) error { return nil }

// RemoveStub implements engine.Journal.
func (j *remoteJournal) RemoveStub(engine.Segment) error { return nil }

// Damage implements engine.Journal.
func (j *remoteJournal) Damage() []engine.Range { return nil }

// Close implements engine.Journal.
func (j *remoteJournal) Close() error { return nil }
