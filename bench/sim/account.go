package main

import (
	"encoding/binary"
	"slices"

	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/engine/ledger"
)

// account is the keeper's account of a journal: which pairs wait (engine/ledger), and so from
// where the journal is needed.
type account struct {
	life   *life
	ref    protocol.JournalRef
	ledger *ledger.Ledger
	waits  map[wait]bool
	routed uint64 // through
}

// wait is a pair that is not discharged.
type wait struct {
	sequence uint64
	handle   engine.Handle
}

func newAccount(l *life, ref protocol.JournalRef, watermark uint64) *account {
	return &account{life: l, ref: ref, ledger: ledger.New(watermark), waits: make(map[wait]bool), routed: watermark - 1}
}

// accept takes an event from a producer; it is answered when it is committed.
func (l *life) accept(event uint32) {
	sequence := l.next
	l.next++
	l.world.placed[engine.EventRef{Journal: l.journal, Sequence: sequence}] = event
	r := record{event: event, revision: l.table.Revision()}
	l.disk.do(func(c *content) {
		j := c.journals[l.journal]
		j.records = append(j.records, r)
	}, l.guard(func() { l.core.Synced(l.world.now, l.journal, sequence) }))
}

// committed answers events that are durable on as many members as was asked for, and routes
// them.
func (l *life) committed(e protocol.Committed) {
	a := l.accounts[e.Journal]
	if a == nil || e.Journal != l.journal {
		return
	}
	j := l.disk.content.journals[e.Journal]
	for a.routed < e.Through {
		a.routed++
		r, _ := j.get(a.routed)
		matched := a.match(r)
		l.world.judge.accepted(l, e.Journal, a.routed, r, matched)
		a.route(a.routed, r, matched)
	}
}

// match finds whom an event is for, by the versions in force when it was accepted.
func (a *account) match(r record) (subs []engine.SubscriptionID) {
	event := *a.life.world.events[r.event]
	event.Revision = r.revision
	for _, handle := range a.life.table.MatchAt(&event, nil) {
		subs = append(subs, a.life.table.Latest(engine.Handle(handle)).ID)
	}
	slices.Sort(subs)
	return slices.Compact(subs)
}

// route notes whom an event waits for and hands it out.
func (a *account) route(sequence uint64, r record, subs []engine.SubscriptionID) {
	handles := make([]uint32, 0, len(subs))
	for _, id := range subs {
		handle, _ := a.life.table.Known(id)
		a.waits[wait{sequence, handle}] = true
		handles = append(handles, uint32(handle))
	}
	slices.Sort(handles)
	a.ledger.Route(sequence, handles)
	if len(subs) > 0 {
		a.life.core.Route(a.life.world.now, a.ref.ID, sequence, encodeRecord(r), subs)
	}
}

// settled takes pairs off.
func (a *account) settled(id engine.SubscriptionID, sequences []uint64) {
	handle, known := a.life.table.Known(id)
	if !known {
		return
	}
	for _, sequence := range sequences {
		if w := (wait{sequence, handle}); a.waits[w] {
			delete(a.waits, w)
			a.ledger.Discharge(sequence, uint32(handle))
		}
	}
}

// rehand hands pairs out again.
func (a *account) rehand(id engine.SubscriptionID, sequences []uint64) {
	j := a.life.disk.content.journals[a.ref.ID]
	for _, sequence := range sequences {
		if r, found := j.get(sequence); found {
			a.life.core.Route(a.life.world.now, a.ref.ID, sequence, encodeRecord(r), []engine.SubscriptionID{id})
		}
	}
}

// checkpoint writes how far each journal has come, then tells the followers.
func (l *life) checkpoint() {
	for _, id := range sortedJournals(l.accounts) {
		a := l.accounts[id]
		release, state := a.ledger.Watermark(), a.encode()
		l.disk.do(func(c *content) {
			if j := c.journals[id]; j != nil {
				j.release, j.state = release, state
			}
		}, l.guard(func() { l.core.Checkpoint(l.world.now, id, release, state) }))
		if j := l.disk.content.journals[id]; id != l.journal && j != nil && release >= j.next() {
			l.world.note("%s finishes %x", l.member.id, id)
			l.core.Finish(l.world.now, id)
		}
	}
}

// encode writes the account down: through which sequence events were handed out, and the pairs
// that wait.
func (a *account) encode() []byte {
	open, through := a.ledger.Open()
	state := binary.BigEndian.AppendUint64(nil, through)
	for _, handle := range sortedHandles(open) {
		id := a.life.table.Latest(engine.Handle(handle)).ID
		for _, sequence := range open[handle] {
			state = binary.BigEndian.AppendUint64(state, sequence)
			state = append(append(state, byte(len(id))), id...) //nolint:gosec // an id is short
		}
	}
	return state
}

// decodeAccount is the inverse of encode.
func decodeAccount(state []byte) (through uint64, open map[uint64][]engine.SubscriptionID) {
	open = make(map[uint64][]engine.SubscriptionID)
	if len(state) == 0 {
		return 0, open
	}
	through, state = binary.BigEndian.Uint64(state), state[8:]
	for len(state) > 0 {
		sequence, n := binary.BigEndian.Uint64(state), int(state[8])
		open[sequence] = append(open[sequence], engine.SubscriptionID(state[9:9+n]))
		state = state[9+n:]
	}
	return through, open
}

// adopt goes on with a journal whose keeper is gone.
func (l *life) adopt(e protocol.Adopt) {
	j := l.disk.content.journals[e.Journal.ID]
	if j == nil {
		return
	}
	l.world.note("%s adopts %x of %s from %d to %d", l.member.id, e.Journal.ID, e.Journal.Origin, e.Release, j.next())
	a := newAccount(l, e.Journal, e.Release)
	l.accounts[e.Journal.ID] = a
	through, open := decodeAccount(e.State)
	for sequence := e.Release; sequence < j.next(); sequence++ {
		r, found := j.get(sequence)
		if !found {
			a.ledger.Route(sequence, nil)
			continue
		}
		subs := a.match(r)
		if sequence <= through {
			subs = slices.DeleteFunc(open[sequence], func(id engine.SubscriptionID) bool {
				_, known := l.table.Known(id)
				return !known
			})
		}
		subs = slices.DeleteFunc(subs, func(id engine.SubscriptionID) bool {
			_, settled := slices.BinarySearch(e.Settled[id], sequence)
			return settled
		})
		a.routed = sequence
		a.route(sequence, r, subs)
	}
}

func encodeRecord(r record) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, recordBytes), r.event)
	return binary.BigEndian.AppendUint64(b, r.revision)
}

const recordBytes = 12

func decodeRecord(b []byte) record {
	return record{event: binary.BigEndian.Uint32(b), revision: binary.BigEndian.Uint64(b[4:])}
}

// readFrames reads records of a kept journal for a follower, as many as are synced.
func (l *life) readFrames(e protocol.ReadFrames) {
	var frames []byte
	next := e.From
	l.world.on(track{onReading, 0, l.member.index}, l.world.between(20, 200_000), l.guard(func() { // nanoseconds
		if j := l.disk.content.journals[e.Journal]; j != nil {
			for r, found := j.get(next); found && len(frames) < 16*recordBytes; r, found = j.get(next) {
				frames = append(frames, encodeRecord(r)...)
				next++
			}
			if len(frames) == 0 && next < j.next() {
				next = j.behind(next)
			}
		}
		l.core.FramesRead(l.world.now, e, next, frames)
	}))
}

// readBefore reads for the front of a copy: a few records, up to the next that is damaged.
func (l *life) readBefore(e protocol.ReadBefore) {
	l.world.on(track{onReading, 0, l.member.index}, l.world.between(20, 200_000), l.guard(func() { // nanoseconds
		first, frames := e.Before, []byte(nil)
		if j := l.disk.content.journals[e.Journal]; j != nil {
			for r, found := j.get(first - 1); found && len(frames) < 16*recordBytes; r, found = j.get(first - 1) {
				frames = append(encodeRecord(r), frames...)
				first--
			}
		}
		l.core.FramesBefore(l.world.now, e, first, frames)
	}))
}

// prependReplica puts records in front of a copy; those that are not to be had are damaged.
func (l *life) prependReplica(e protocol.PrependReplica) {
	l.disk.do(func(c *content) {
		j := c.journals[e.Journal]
		if j == nil || j.base != e.Next {
			return
		}
		front := make([]record, 0, e.Next-e.First)
		for b := e.Frames; len(b) > 0; b = b[recordBytes:] {
			front = append(front, decodeRecord(b))
		}
		for n := e.First; len(e.Frames) == 0 && n < e.Next; n++ {
			front = append(front, record{damaged: true})
		}
		j.records, j.base = append(front, j.records...), e.First
	}, l.guard(func() { l.core.Written(l.world.now, e.Token) }))
}

// examine looks for damage in a copy.
func (l *life) examine(e protocol.Examine) {
	damage := uint64(0)
	l.disk.do(func(c *content) {
		if j := c.journals[e.Journal]; j != nil {
			damage = j.damage(e.From)
		}
	}, l.guard(func() { l.core.Examined(l.world.now, e.Journal, damage) }))
}

// writeReplica appends to a copy.
func (l *life) writeReplica(e protocol.WriteReplica) {
	l.disk.do(func(c *content) {
		j := c.journals[e.Journal.ID]
		if e.Begin {
			j = &journal{ref: e.Journal, base: e.First, release: e.First}
			c.journals[e.Journal.ID] = j
		}
		if j == nil || j.next() != e.First {
			return // the copy was dropped meanwhile
		}
		records := slices.Clip(j.records)
		for b := e.Frames; len(b) > 0; b = b[recordBytes:] {
			records = append(records, decodeRecord(b))
		}
		for lost := e.First; len(e.Frames) == 0 && lost < e.Next; lost++ {
			records = append(records, record{damaged: true})
		}
		j.records = records
	}, l.guard(func() { l.core.Written(l.world.now, e.Token) }))
}
