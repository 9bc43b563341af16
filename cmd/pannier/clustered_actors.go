package main

import (
	"context"
	"fmt"
	"slices"

	"pannier/actors"
	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/storage"
)

// adoptedMark is what follows the name of a lane in that of an adopted journal of it.
const adoptedMark = "@"

// clusterActors implements cluster.Actors.
type clusterActors struct{ *clustered }

func (a clusterActors) Deliver(event *engine.Event, ids []engine.SubscriptionID) {
	a.member.system.Deliver(event, ids)
}

func (a clusterActors) Settled(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64) {
	a.member.system.Settled(journal, id, sequences)
}

func (a clusterActors) Returned(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, busy bool) {
	a.member.system.Returned(journal, id, sequences, busy)
}

func (a clusterActors) Moved(shards map[int]bool) { a.member.system.Moved(shards) }

func (a clusterActors) Relinquish(journal engine.JournalID) { a.member.system.Relinquish(journal) }

// Wake implements cluster.Actors.
func (a clusterActors) Wake(entries []engine.Entry) {
	a.hear(entries, func(id engine.SubscriptionID, value storage.EntryValue) {
		if value.Retry != nil {
			a.member.system.WakeFor(id)
		}
	})
}

// Merged implements cluster.Actors. Entries are hints: what won over them is in the state.
func (a clusterActors) Merged(entries []engine.Entry) {
	a.hear(entries, func(id engine.SubscriptionID, value storage.EntryValue) {
		record, found, err := a.member.state.RetryRecord(context.Background(), id, value.Key)
		switch {
		case err != nil: // the actor reads it when it starts anew
		case found:
			record.Carried, record.Body = record.Body != nil, nil // read again when it is due
			a.member.system.Merge(id, value.Key, &record)
		default:
			a.member.system.Merge(id, value.Key, nil)
		}
	})
}

// hear gives the timers among entries to their actors, the replays to the engine, and what they
// say of deliveries to delivery.
func (a clusterActors) hear(entries []engine.Entry, delivery func(engine.SubscriptionID, storage.EntryValue)) {
	for _, timers := range []bool{true, false} { // an actor that a delivery wakes begins with its timer
		for n := range entries {
			if (entries[n].Kind == engine.EntryQueue) == timers {
				a.hearOne(&entries[n], delivery)
			}
		}
	}
}

func (a clusterActors) hearOne(entry *engine.Entry, delivery func(engine.SubscriptionID, storage.EntryValue)) {
	value, err := storage.DecodeEntry(entry)
	switch {
	case err != nil:
		a.logger.Error("entry of the retry state could not be read", "subscription", string(entry.Subscription), "error", err)
	case value.Queue != nil:
		a.member.system.MergeQueue(*value.Queue)
	case value.Replay != nil:
		a.member.engine.GoOn(*value.Replay)
	case entry.Kind == engine.EntryReplay:
		a.member.engine.Ended(entry.Key)
	case entry.Kind == engine.EntryDelivery:
		delivery(entry.Subscription, value)
	}
}

// Changed implements cluster.Actors.
func (a clusterActors) Changed(ids []engine.SubscriptionID) {
	go func() {
		for _, id := range ids {
			_ = a.member.system.Changed(context.Background(), id) // it ends with the system
		}
	}()
}

// Adopt implements cluster.Actors.
func (a clusterActors) Adopt(journal engine.Journal, how protocol.Adopt) error {
	ref, release := how.Journal, how.Release
	mark := engine.Watermark{Journal: ref.ID, Sequence: release, Routed: release - 1, OpenThrough: release - 1}
	var cursors []engine.Cursor
	if len(how.State) > 0 {
		var err error
		if mark, cursors, err = storage.DecodeAccount(how.State); err != nil {
			return err
		}
	}
	_, next := journal.Bounds()
	mark, cursors = upTo(next, mark, cursors)
	return a.member.system.Adopt(actors.Adoption{
		Name: fmt.Sprintf("%s%s%016x", ref.Lane, adoptedMark, uint64(ref.ID)), Lane: ref.Lane, Journal: journal, Mark: mark, Cursors: cursors, Settled: how.Settled,
		Foreign: string(ref.Origin) != a.member.folder.Member(),
	})
}

// upTo is an account as far as a copy goes that ends before next: its keeper may have come further.
func upTo(next uint64, mark engine.Watermark, cursors []engine.Cursor) (engine.Watermark, []engine.Cursor) {
	mark.Sequence, mark.Routed, mark.OpenThrough = min(mark.Sequence, next), min(mark.Routed, next-1), min(mark.OpenThrough, next-1)
	for n := range mark.Open {
		open := &mark.Open[n]
		open.Sequences = slices.DeleteFunc(open.Sequences, func(sequence uint64) bool { return sequence >= next })
	}
	var within []engine.Cursor
	for _, c := range cursors {
		ranges := make([]engine.Range, 0, len(c.Ranges))
		for _, r := range c.Ranges {
			if r.From < next {
				ranges = append(ranges, engine.Range{From: r.From, Through: min(r.Through, next-1)})
			}
		}
		if c.Ranges = ranges; len(ranges) > 0 {
			within = append(within, c)
		}
	}
	return mark, within
}
