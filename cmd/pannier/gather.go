package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"pannier/actors"
	"pannier/cluster/placement"
	"pannier/engine"
)

// gathered is the actors of this member as the engine sees them in a cluster: lists, feeds and
// totals are about all members.
type gathered struct {
	*actors.System

	cluster *clustered
}

// Journals implements engine.Lanes: those of every member that answers. Whoever wrote one that nobody
// keeps yet is as silent as one that does not answer.
func (g gathered) Journals(ctx context.Context) []engine.LaneJournal {
	self := placement.MemberID(g.cluster.member.folder.Member())
	journals := g.System.Journals(ctx)
	answers, _ := askAll[journalsHere](ctx, g.cluster, callJournals, all(true))
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		for _, origin := range answers[id].Orphans {
			engine.NoteSilent(ctx, string(origin))
		}
		if id == self {
			continue
		}
		for _, at := range answers[id].Kept {
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
			return work, errNoOwner
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
	for _, w := range with { // how far a replay has come is the owner's to say
		if dead, again := w.(engine.DropDeadLetter); again {
			request.Dead = &dead
		}
	}
	_, err := ask[all](ctx, g.cluster, owner, callInsert, request)
	return err
}

// insertHere answers callInsert.
func (c *clustered) insertHere(ctx context.Context, r insertRequest) (all, error) {
	var with []engine.Write
	if r.Dead != nil {
		with = append(with, *r.Dead)
	}
	return true, c.member.system.Insert(ctx, r.Record, with)
}

// Standings implements engine.Deliveries: the owner's word on the health, or this member's where the
// owner does not answer, and what all have pending.
func (g gathered) Standings(ctx context.Context, ids []engine.SubscriptionID) ([]engine.Standing, error) {
	standings, err := g.System.Standings(ctx, ids)
	if err != nil || len(ids) == 0 {
		return standings, err
	}
	self := placement.MemberID(g.cluster.member.folder.Member())
	answers, _ := askAll[[]engine.Standing](ctx, g.cluster, callStandings, ids)
	for member, theirs := range answers {
		if member == self || len(theirs) != len(ids) {
			continue
		}
		for n, id := range ids {
			if g.cluster.Owner(id) == string(member) {
				standings[n].Health = theirs[n].Health
			}
			standings[n].Pending += theirs[n].Pending
			standings[n].NoteOldestMilli(theirs[n].OldestMilli)
		}
	}
	return standings, nil
}

// standingsHere answers callStandings.
func (c *clustered) standingsHere(ctx context.Context, ids []engine.SubscriptionID) ([]engine.Standing, error) {
	if len(ids) > engine.MaxPageSize {
		return nil, engine.Errorf(engine.CodeInvalid, "at most %d subscriptions may be asked for at once", engine.MaxPageSize)
	}
	return c.member.system.Standings(ctx, ids)
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

// Views implements engine.Lanes. A journal that was adopted counts with the lane that it was of.
func (g gathered) Views(ctx context.Context) []engine.LaneView {
	answers, _ := askAll[[]engine.LaneView](ctx, g.cluster, callLanes, all(true))
	sum := make(map[string]engine.LaneView)
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		for _, lane := range answers[id] {
			lane.Name, _, _ = strings.Cut(lane.Name, adoptedMark)
			if known, found := sum[lane.Name]; found {
				lane = addLane(known, lane)
			}
			sum[lane.Name] = lane
		}
	}
	return slices.SortedFunc(maps.Values(sum), func(a, b engine.LaneView) int { return cmp.Compare(a.Name, b.Name) })
}

func addLane(a, b engine.LaneView) engine.LaneView {
	if len(a.Topics) == 0 { // of an adopted journal
		a.Topics, a.Retention = b.Topics, b.Retention
	}
	a.Promoted = a.Promoted || b.Promoted
	a.EventsPerSecond += b.EventsPerSecond
	a.Backlog += b.Backlog
	a.OldestAge = max(a.OldestAge, b.OldestAge)
	a.InFlight += b.InFlight
	return a
}

// Stats implements engine.Deliveries: the totals of every member that answers.
func (g gathered) Stats(ctx context.Context) (sum engine.StatsView) {
	answers, _ := askAll[memberTotals](ctx, g.cluster, callStats, all(true))
	var dead, discarded int64
	for _, totals := range answers {
		sum.Accepted += totals.Stats.Accepted
		sum.Matched += totals.Stats.Matched
		sum.Retried += totals.Stats.Retried
		dead += totals.Dead
		sum.Pending += totals.Stats.Pending
		sum.Waiting += totals.Stats.Waiting
		sum.Attempting += totals.Stats.Attempting
		discarded += totals.Discarded
	}
	// Matched counts where the event was accepted, the rest where it ends.
	sum.Dead = uint64(max(0, dead))
	sum.Delivered = sum.Matched - min(sum.Matched, sum.Pending+sum.Dead+uint64(max(0, discarded)))
	return sum
}
