package actors

import (
	"slices"
	"sync"
	"time"

	"pannier/engine"
)

// slot is the dedicated mailbox of one lane in one subscription, and what waits behind the
// cursor there. The ingress actor puts events in and alone decides whether the subscription
// lags; the subscription actor takes them out. Safe for concurrent use.
type slot struct {
	journal engine.JournalID
	// ingress is the lane of the journal or, of another member's journal, the one whose places
	// its events have here.
	ingress *ingress

	mu    sync.Mutex
	queue []waitingEvent // a ring: head, count
	head  int
	count int
	// lagging tells that events past the last one in the queue are not put in: they lie behind
	// the cursor.
	lagging bool
	// gap tells that the next event does not follow the last one in the queue: what lies
	// between them went, or goes, another way.
	gap bool
	// highest is the last sequence that came in order. One below it was held: it is handed out
	// late, out of order.
	highest uint64
	// ranges is the cursor: as the subscription actor last reported it, with the changes since.
	ranges []engine.Range
	// expiring are what the subscription actor gave up of it and is not dead on disk yet.
	expiring []engine.Range
	// changes are what the ingress actor decided and the subscription actor has not taken yet.
	changes []slotChange
	waiting uint64 // matched events behind the cursor
	flying  uint64 // those of them that are under way
	closed  bool   // another member's journal is not that any more: nothing is put in
	shown   bool   // the actor's machine knows this mailbox, not one that was here before it
	dirty   bool   // the cursor is to be written with the next watermark
	listed  bool   // in the ingress actor's list of dirty slots
}

type waitingEvent struct {
	event *engine.Event
	at    time.Time
	gap   bool // not every matched event since the one before it is in the queue
	late  bool // it was held: it comes behind events of higher sequences
}

// slotChange is a decision of the ingress actor: a stretch opens, or the open one ends.
type slotChange struct {
	open *engine.Range
	end  uint64 // of the open stretch, when open is nil
}

func (c slotChange) apply(ranges []engine.Range) []engine.Range {
	if c.open != nil {
		return append(ranges, *c.open)
	}
	for i := range ranges {
		if ranges[i].Through == 0 {
			ranges[i].Through = c.end
		}
	}
	return ranges
}

func (s *slot) decide(c slotChange) {
	s.changes = append(s.changes, c)
	s.ranges = c.apply(s.ranges)
	s.dirty = true
}

// takeChanges hands the decisions to the subscription actor, in their order, once it was shown
// the mailbox.
func (s *slot) takeChanges() []slotChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shown {
		return nil
	}
	changes := s.changes
	s.changes = nil
	return changes
}

// show gives the actor the whole cursor; the changes are in it.
func (s *slot) show() []engine.Range {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = true
	s.changes = nil
	return append([]engine.Range(nil), s.ranges...)
}

// offer puts an event in unless it lies behind the cursor of a subscription that lags; full
// tells that the mailbox is.
func (s *slot) offer(event *engine.Event, at time.Time) (taken, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, true
	}
	sequence := event.Ref.Sequence
	late := sequence < s.highest
	if s.lagging && (!late || s.coversLocked(sequence)) {
		s.highest = max(s.highest, sequence)
		s.waiting++
		s.dirty = true
		return false, false
	}
	if s.count == engine.MailboxCapacity {
		return false, true
	}
	if late {
		s.part(sequence)
		s.push(waitingEvent{event: event, at: at, late: true})
		return true, false
	}
	s.push(waitingEvent{event: event, at: at, gap: s.gap})
	s.gap, s.highest = false, sequence
	return true, false
}

// part notes that a late event lies between two in the queue: it has a stretch of its own.
func (s *slot) part(sequence uint64) {
	for i := range s.count {
		w := &s.queue[(s.head+i)%len(s.queue)]
		if !w.late && w.event.Ref.Sequence > sequence {
			w.gap = true
			return
		}
	}
}

func (s *slot) push(w waitingEvent) {
	if s.count == len(s.queue) {
		s.grow()
	}
	s.queue[(s.head+s.count)%len(s.queue)] = w
	s.count++
}

// offerAgain puts an event in that was accepted before the member started. A subscription
// that lags may still have events before its cursor that were in memory at the crash: they
// are not behind the cursor, so they go in too, and what does not fit becomes a stretch
// that ends where the first one begins.
func (s *slot) offerAgain(event *engine.Event, at time.Time) (taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sequence := event.Ref.Sequence
	s.highest = max(s.highest, sequence)
	next := uint64(0) // where the first stretch after the event begins
	for _, r := range s.ranges {
		if sequence >= r.From && (r.Through == 0 || sequence <= r.Through) {
			s.waiting++
			return false
		}
		if r.From > sequence && (next == 0 || r.From < next) {
			next = r.From
		}
	}
	s.gap = true // events that had ended are left out
	if s.count < engine.MailboxCapacity {
		s.push(waitingEvent{event: event, at: at, gap: true})
		return true
	}
	r := engine.Range{From: sequence}
	if next > 0 {
		r.Through = next - 1
	} else {
		s.lagging = true
	}
	s.waiting++
	s.decide(slotChange{open: &r}) // the actor may be at work on other lanes already
	return false
}

// restore puts what lay behind the cursor there again.
func (s *slot) restore(c engine.Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges, s.waiting = c.Ranges, c.Waiting
	for _, r := range c.Ranges {
		s.lagging = s.lagging || r.Through == 0
	}
}

// grow makes the ring larger: an idle subscription has none.
func (s *slot) grow() {
	ring := make([]waitingEvent, max(4, 2*len(s.queue)))
	for i := range s.count {
		ring[i] = s.queue[(s.head+i)%len(s.queue)]
	}
	s.queue, s.head = ring, 0
}

// foreign tells whether another member keeps the journal: what lags there is its matter.
func (s *slot) foreign() bool { return s.journal != s.ingress.id }

// takeAll empties the queue and gives the sequences of what was in it.
func (s *slot) takeAll() (sequences []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.count {
		sequences = append(sequences, s.queue[(s.head+i)%len(s.queue)].event.Ref.Sequence)
	}
	s.queue, s.head, s.count = nil, 0, 0
	return sequences
}

// close is takeAll, and nothing is put in any more.
func (s *slot) close() (sequences []uint64) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.takeAll()
}

// shrink gives the ring back: many subscriptions had work once and sleep now.
func (s *slot) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		s.queue, s.head = nil, 0
	}
}

func (s *slot) take() (*engine.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 || !s.shown {
		return nil, false
	}
	event := s.queue[s.head].event
	s.queue[s.head] = waitingEvent{}
	s.head = (s.head + 1) % len(s.queue)
	s.count--
	if s.count == 0 && len(s.queue) > 32 {
		s.queue, s.head = nil, 0
	}
	return event, true
}

func (s *slot) oldest() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 || !s.shown {
		return time.Time{}, false
	}
	return s.queue[s.head].at, true
}

// putBack puts events in front again that a crashed actor had taken, or that the owner has no
// more. Others that were taken with them may be settled, or come back later.
func (s *slot) putBack(events []*engine.Event, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ring := make([]waitingEvent, 0, len(events)+s.count)
	for _, event := range events {
		ring = append(ring, waitingEvent{event: event, at: at, gap: true})
	}
	if s.count > 0 {
		s.queue[s.head].gap = true
	} else {
		s.gap = true
	}
	for i := range s.count {
		ring = append(ring, s.queue[(s.head+i)%len(s.queue)])
	}
	s.queue, s.head, s.count = ring, 0, len(ring)
}

// overflow puts an event for which there is no room behind the cursor, and all that follow
// it; a late one alone, for those above it went another way.
func (s *slot) overflow(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := engine.Range{From: sequence}
	if sequence < s.highest {
		s.part(sequence)
		r.Through = sequence
	} else {
		s.lagging, s.gap, s.highest = true, true, sequence
	}
	s.waiting++
	s.decide(slotChange{open: &r})
}

// reclaim empties the queue into stretches, because its events waited too long in memory,
// and makes the subscription lag: next is the sequence that is handed out next. A stretch
// covers no event that went another way, or it would be delivered twice.
func (s *slot) reclaim(next uint64) []*engine.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return nil
	}
	events := make([]*engine.Event, s.count)
	var late, stretches []engine.Range
	for i := range s.count {
		w := s.queue[(s.head+i)%len(s.queue)]
		events[i] = w.event
		sequence := w.event.Ref.Sequence
		if w.late {
			late = append(late, engine.Range{From: sequence, Through: sequence})
			continue
		}
		if n := len(stretches); n > 0 && (!w.gap || sequence == stretches[n-1].Through+1) {
			stretches[n-1].Through = sequence
		} else {
			stretches = append(stretches, engine.Range{From: sequence, Through: sequence})
		}
	}
	switch {
	case s.lagging: // the open stretch stays as it is
	case s.gap || len(stretches) == 0:
		stretches = append(stretches, engine.Range{From: next})
	default:
		stretches[len(stretches)-1].Through = 0
	}
	s.lagging = true
	s.queue, s.head, s.count = nil, 0, 0
	s.waiting += uint64(len(events))
	for _, r := range append(late, stretches...) {
		s.decide(slotChange{open: &r})
	}
	return events
}

// flip ends the open stretch: events after through come by mailbox again.
func (s *slot) flip(through uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lagging = false
	s.decide(slotChange{end: through})
}

// report notes how far the subscription actor has settled what lies behind the cursor.
func (s *slot) report(ranges []engine.Range, settled uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shown {
		return // it is about the mailbox that was here before
	}
	for _, c := range s.changes {
		ranges = c.apply(ranges)
	}
	s.ranges = ranges
	s.waiting -= min(settled, s.waiting)
	if len(s.behindLocked()) == 0 {
		s.waiting = 0
	}
	s.dirty = true
}

// giveUp notes what left the retention: it lies behind the cursor until it is dead on disk.
func (s *slot) giveUp(ranges []engine.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiring = append(s.expiring, ranges...)
	s.dirty = true
}

// givenUp is the first range that was given up and is not all dead on disk.
func (s *slot) givenUp() (first engine.Range, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.expiring) == 0 {
		return first, false
	}
	return s.expiring[0], true
}

// buried ends that range up to next, and takes the n events there off the count of what waits.
func (s *slot) buried(next uint64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiring[0].From = next; next > s.expiring[0].Through {
		s.expiring = s.expiring[1:]
	}
	s.waiting -= min(uint64(n), s.waiting) //nolint:gosec // not negative
	if len(s.behindLocked()) == 0 {
		s.waiting = 0
	}
	s.dirty = true
}

// cursor is what is to be written; ok is false when nothing changed.
func (s *slot) cursor(id engine.SubscriptionID) (write engine.Write, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = false
	if !s.dirty {
		return nil, false
	}
	s.dirty = false
	if len(s.behindLocked()) == 0 {
		return engine.DropCursor{Subscription: id, Journal: s.journal}, true
	}
	return engine.PutCursor{Cursor: s.cursorLocked(id)}, true
}

// wholeCursor is what lies behind the cursor now, written or not.
func (s *slot) wholeCursor(id engine.SubscriptionID) engine.Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursorLocked(id)
}

func (s *slot) cursorLocked(id engine.SubscriptionID) engine.Cursor {
	return engine.Cursor{
		Subscription: id, Journal: s.journal, Ranges: s.behindLocked(), Waiting: s.waiting,
	}
}

// behindLocked is a copy of all that lies behind the cursor; the caller holds mu.
func (s *slot) behindLocked() []engine.Range { return slices.Concat(s.expiring, s.ranges) }

// covers tells whether sequence lies behind the cursor.
func (s *slot) covers(sequence uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.coversLocked(sequence)
}

func (s *slot) coversLocked(sequence uint64) bool {
	for _, r := range s.ranges {
		if sequence >= r.From && (r.Through == 0 || sequence <= r.Through) {
			return true
		}
	}
	return false
}

// reportFlights notes how many events behind the cursor are under way.
func (s *slot) reportFlights(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying = uint64(n) //nolint:gosec // not negative
}

// counts gives what waits in the queue and behind the cursor; what is under way does not
// wait.
func (s *slot) counts() (queued int, behind uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count, s.waiting - min(s.flying, s.waiting)
}

// empty tells whether nothing waits.
func (s *slot) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count == 0 && len(s.behindLocked()) == 0 && !s.dirty && !s.lagging
}

// needsCheckpoint marks the slot as listed; it reports whether it was not.
func (s *slot) needsCheckpoint() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty || s.listed {
		return false
	}
	s.listed = true
	return true
}
