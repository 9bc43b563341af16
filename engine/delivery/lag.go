package delivery

import (
	"slices"
	"time"

	"pannier/engine"
)

// A subscription and a lane:
//
//	             mailbox full, or its events wait 5 s
//	       ┌────────── Lagging(from) ──────────┐
//	       │                                   ▼
//	     live                               lagging ──┐ Read / ReadDone: from the journal,
//	       ▲                                   │ ◄────┘ when there is room
//	       └── Flipped(through), all of it ────┘
//	           read: the ingress actor named     CaughtUp: read to the end
//	           its last sequence
//
// Both flips are the ingress actor's, so each event comes by mailbox or by the journal,
// never by both.

// Lagging opens a stretch: what lies in it comes from the journal. A closed range is what
// waited too long in the mailbox of a subscription that lags already.
func (m *Machine) Lagging(journal engine.JournalID, r engine.Range) {
	if l := m.lane(journal); l != nil {
		l.stretches = append(l.stretches, newStretch(r))
		l.changed = true
	}
}

// Flipped closes the open stretch of a lane: after through, events come by mailbox again.
func (m *Machine) Flipped(journal engine.JournalID, through uint64) {
	l := m.lane(journal)
	if l == nil {
		return
	}
	l.flipping = false
	for _, s := range l.stretches {
		if s.through == 0 {
			s.through = through
		}
	}
	l.prune()
}

// ReadDone answers a Read: the subscription's events among those from read.From up to next,
// in order; end tells that nothing more was handed out yet.
func (m *Machine) ReadDone(read Read, events []*engine.Event, next uint64, end bool) {
	l := m.lane(read.Journal)
	if l == nil {
		return
	}
	l.reading = false
	s := l.unread()
	if s == nil || s.next != read.From {
		return // cut off by Expire: read again
	}
	s.next = max(s.next, next)
	for _, event := range events {
		if f, flying := m.flights[event.Ref]; flying && !f.kept {
			s.open[event.Ref.Sequence] = struct{}{} // it ends with the attempt that is under way
			continue
		}
		if s.wasSkipped(event.Ref.Sequence) || m.known(event) || m.arrived[event.Ref] {
			l.settledCount++
			continue
		}
		s.open[event.Ref.Sequence] = struct{}{}
		l.buffer = append(l.buffer, event)
	}
	// At the end of what was handed out the ingress actor answers when there is more to read,
	// or nothing: events of a part that is held may still come into a stretch that is closed.
	if end && !l.flipping {
		l.flipping = true
		m.out.CaughtUp = append(m.out.CaughtUp, l.journal)
	}
	l.prune()
}

// known tells that the event is in this machine's hands already, as a retry record written
// just before a crash moved the cursor back.
func (m *Machine) known(event *engine.Event) bool {
	if _, flying := m.flights[event.Ref]; flying {
		return true
	}
	_, waits := m.retries.get(event.Key())
	return waits
}

// Expire gives up what lies behind the cursor up to and including through, because it has
// left the retention: it returns the ranges that were cut off. What is under way there gets
// a retry record that carries its event.
func (m *Machine) Expire(journal engine.JournalID, through uint64, now time.Time) []engine.Range {
	l := m.lane(journal)
	if l == nil {
		return nil
	}
	for _, f := range m.flights {
		if m.forward != nil {
			break // the owner has the events of hand-outs, and their records
		}
		if f.lane == l && !f.live && !f.kept && f.key.Event.Sequence <= through {
			f.record.Carried = true
			m.keep(f, engine.Result{}, m.circuit.Own(now))
		}
	}
	gone := l.dropBuffered(through)
	for _, s := range l.stretches {
		if s.next > through || !s.unread() {
			continue
		}
		last := through
		if s.through != 0 {
			last = min(last, s.through)
		}
		gone = append(gone, engine.Range{From: s.next, Through: last})
		s.next = last + 1
	}
	l.prune()
	return gone
}

// dropBuffered gives up what was read and not attempted up to and including through.
func (l *lane) dropBuffered(through uint64) (gone []engine.Range) {
	kept := l.buffer[:0]
	for _, event := range l.buffer {
		sequence := event.Ref.Sequence
		if sequence > through {
			kept = append(kept, event)
			continue
		}
		gone = append(gone, engine.Range{From: sequence, Through: sequence})
		for _, s := range l.stretches {
			delete(s.open, sequence)
		}
	}
	clear(l.buffer[len(kept):])
	l.buffer = kept
	l.again = slices.DeleteFunc(l.again, func(event *engine.Event) bool {
		sequence := event.Ref.Sequence
		if sequence > through {
			return false
		}
		gone = append(gone, engine.Range{From: sequence, Through: sequence})
		for _, s := range l.stretches {
			delete(s.open, sequence)
		}
		return true
	})
	return gone
}

// Moved tells whether Waiting has something new of some lane.
func (m *Machine) Moved() bool {
	return slices.ContainsFunc(m.lanes, func(l *lane) bool { return l.changed })
}

// Waiting gives what a crash would have to read again of a lane, when that changed since
// the last call, and how many events behind the cursor were settled since then.
func (m *Machine) Waiting(journal engine.JournalID) (ranges []engine.Range, settled uint64, changed bool) {
	l := m.lane(journal)
	if l == nil || !l.changed {
		return nil, 0, false
	}
	l.changed = false
	settled, l.settledCount = l.settledCount, 0
	buffered := uint64(0)
	if len(l.buffer) > 0 {
		buffered = l.buffer[0].Ref.Sequence
	}
	for _, s := range l.stretches {
		ranges = s.pending(ranges, buffered)
	}
	return ranges, settled, true
}

// read asks for more of the first stretch that is not read to its end.
func (m *Machine) read(l *lane) {
	if l.reading || l.flipping {
		return
	}
	if s := l.unread(); s != nil {
		l.reading = true
		m.out.Reads = append(m.out.Reads, Read{Journal: l.journal, From: s.next, Through: s.through})
	}
}

// noticeStale names, once, the lanes whose mailbox holds back the watermark.
func (m *Machine) noticeStale(now time.Time) {
	for _, l := range m.lanes {
		at, waits := m.mailbox.Oldest(l.journal)
		tooLong := waits && now.Sub(at) >= engine.SpillAfter
		if tooLong && !l.stale {
			m.out.Stale = append(m.out.Stale, l.journal)
		}
		l.stale = tooLong
	}
}

// Discards tells that the next Step gives up what is pending: the subscription was deleted.
func (m *Machine) Discards() bool { return m.sub.Deleted && !m.purged }

// discardAll gives up everything of a deleted subscription.
func (m *Machine) discardAll() {
	for _, l := range m.lanes {
		l.stretches, l.buffer, l.again, l.flipping, l.changed = nil, nil, nil, false, true
		for {
			event, found := m.mailbox.Take(l.journal)
			if !found {
				break
			}
			m.out.Discharged = append(m.out.Discharged, event.Ref)
		}
	}
	m.retries = retries{}
	m.records = 0
	if !m.purged {
		m.purged = true
		m.out.Purge = true
	}
}

func (l *lane) unread() *stretch {
	for _, s := range l.stretches {
		if s.unread() {
			return s
		}
	}
	return nil
}

// isOpen tells whether an event was read and is not settled.
func (l *lane) isOpen(sequence uint64) bool {
	return slices.ContainsFunc(l.stretches, func(s *stretch) bool {
		_, open := s.open[sequence]
		return open
	})
}

func (l *lane) settled(sequence uint64) {
	found := false
	for _, s := range l.stretches {
		if _, open := s.open[sequence]; open {
			delete(s.open, sequence)
			l.settledCount++
			found = true
		}
	}
	if found {
		l.prune()
	}
}

// prune forgets the stretches that are settled to their end.
func (l *lane) prune() {
	l.changed = true
	kept := l.stretches[:0]
	for _, s := range l.stretches {
		if !s.done() {
			kept = append(kept, s)
		}
	}
	clear(l.stretches[len(kept):])
	l.stretches = kept
}
