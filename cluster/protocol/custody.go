package protocol

import (
	"cmp"
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

const (
	// AdoptGrace is how long a member with a copy of a dead life's journal waits to hear from
	// everybody whether another is better placed to adopt it.
	AdoptGrace = 2 * time.Second
	// StartGrace is how long after its own start a member waits for those it knew before it
	// adopts what is not its own: after a full restart they are a moment behind.
	StartGrace = 30 * time.Second
	// HoldingsEvery is how often members tell each other what they have.
	HoldingsEvery = time.Second
	// FinishedFor is how long it is remembered that a journal is over, against a member that
	// comes back with a copy of it. Whoever had one when it ended remembers, and hears of no more.
	FinishedFor = 7 * 24 * time.Hour
)

// custody finds a keeper for the journals of lives that are over (I4): of all live members with
// a copy the one whose copy reaches furthest without damage, then the one that was begun earliest
// and shows most of what is discharged, then the one that keeps it already, then the member that
// wrote it, then the first by rank. Every member decides by the same rule from what all have told; two that decide differently for a moment both deliver, which repeats
// events and loses none.
//
//	      origin dead          best of all heard, or the grace is over
//	copy ────────────► orphan ────────────────────────────────────────► keeping
//	  ▲                   ▲                                                │
//	  └─ origin lives ────┘◄────── another one that keeps it is better ────┘
//
// Not safe for concurrent use.
type custody struct {
	member   *Member
	orphans  map[engine.JournalID]time.Time // since when
	keeping  map[engine.JournalID]bool
	heard    map[placement.MemberID]heard
	finished map[engine.JournalID]finished
	tellAt   time.Time
	dirty    bool // others must hear what changed
}

// finished remembers the end of a journal.
type finished struct {
	base, next uint64
	at         time.Time
}

// heard is what another member told last.
type heard struct {
	at       time.Time
	journals map[engine.JournalID]Holding
}

func newCustody(m *Member) *custody {
	return &custody{
		member: m, orphans: make(map[engine.JournalID]time.Time), keeping: make(map[engine.JournalID]bool),
		heard: make(map[placement.MemberID]heard), finished: make(map[engine.JournalID]finished),
	}
}

// holdings is what this member tells.
func (c *custody) holdings() *Holdings {
	m := &Holdings{}
	for _, copied := range sorted(c.member.replicas.copies) {
		m.Journals = append(m.Journals, c.holding(copied))
	}
	for _, id := range sortedKeys(c.finished) {
		m.Finished = append(m.Finished, Ending{id, c.finished[id].base, c.finished[id].next})
	}
	return m
}

// holding describes a copy here.
func (c *custody) holding(copied *replica) Holding {
	return Holding{
		Journal: copied.ref, Base: copied.base, Next: copied.synced, Release: copied.release,
		Keeping: c.keeping[copied.ref.ID], Damage: copied.damaged(),
	}
}

// hear takes in what another member has.
func (c *custody) hear(from placement.MemberID, m *Holdings) {
	h := heard{at: c.member.now, journals: make(map[engine.JournalID]Holding, len(m.Journals))}
	for _, holding := range m.Journals {
		h.journals[holding.Journal.ID] = holding
		if c.keeping[holding.Journal.ID] && !holding.Keeping {
			c.member.replication.account(holding.Journal.ID, from)
		}
	}
	c.heard[from] = h
	c.member.replicas.kept(from, h.journals)
	c.over(slices.DeleteFunc(slices.Clone(m.Finished), func(end Ending) bool { return c.member.replicas.copies[end.Journal] == nil }))
	c.decide()
}

// finish ends a journal that this member keeps and nobody needs.
func (c *custody) finish(id engine.JournalID) {
	copied := c.member.replicas.copies[id]
	if copied == nil || !c.keeping[id] {
		return
	}
	ends := []Ending{{id, copied.base, copied.synced}}
	c.over(ends)
	c.member.sendAll(&Finished{Journals: ends})
}

// over drops copies of journals that nobody needs. One that was begun before that of whoever says
// so stays for what it shows; nothing of it is undischarged.
func (c *custody) over(ends []Ending) {
	for _, end := range ends {
		id := end.Journal
		copied := c.member.replicas.copies[id]
		if copied != nil && (copied.next > end.Next || c.member.view.Lives(copied.ref.Origin, copied.ref.Boot)) {
			continue // there is more of it, or it is still written
		}
		if copied != nil && copied.base < end.Base {
			c.discharge(copied, end.Next)
			continue
		}
		base := end.Base
		if known, again := c.finished[id]; again {
			base = min(base, known.base)
		}
		c.finished[id] = finished{base: base, next: max(end.Next, c.finished[id].next), at: c.member.now}
		c.relinquish(id)
		c.member.replicas.drop(id)
		delete(c.orphans, id)
	}
}

// discharge notes that nothing of a copy below release is undischarged. Whoever keeps it begins
// again with that.
func (c *custody) discharge(copied *replica, release uint64) {
	release = min(release, copied.next)
	if copied.release >= release {
		return
	}
	c.relinquish(copied.ref.ID)
	copied.release, copied.state = release, nil
	c.member.emit(WriteProgress{Journal: copied.ref.ID, Release: release})
}

// lost forgets what a peer told: it may come back without its disk.
func (c *custody) lost(peer placement.MemberID) { delete(c.heard, peer) }

func (c *custody) viewed() {
	c.dirty = true
	c.decide()
}

func (c *custody) tick() {
	for id, end := range c.finished {
		if c.member.now.Sub(end.at) > FinishedFor {
			delete(c.finished, id)
		}
	}
	c.decide()
	if c.dirty || !c.member.now.Before(c.tellAt) {
		c.dirty, c.tellAt = false, c.member.now.Add(HoldingsEvery)
		c.member.sendAll(c.holdings())
	}
}

// decide adopts and relinquishes.
func (c *custody) decide() {
	for _, copied := range sorted(c.member.replicas.copies) {
		id := copied.ref.ID
		if c.member.view.Lives(copied.ref.Origin, copied.ref.Boot) {
			delete(c.orphans, id)
			c.relinquish(id)
			continue
		}
		if _, known := c.orphans[id]; !known {
			c.orphans[id] = c.member.now
			c.dirty = true
		}
		best := c.best(copied)
		switch {
		case c.keeping[id]:
			if best.member != c.member.id && best.Keeping {
				c.relinquish(id)
			}
		case best.member == c.member.id && c.mayAdopt(copied):
			c.adopt(copied)
		}
	}
}

// waiting are the copies here of journals that nobody keeps yet.
func (c *custody) waiting() (waiting []JournalRef) {
	for _, id := range sortedKeys(c.orphans) {
		if copied := c.member.replicas.copies[id]; copied != nil && !c.kept(id) {
			waiting = append(waiting, copied.ref)
		}
	}
	return waiting
}

// kept tells whether somebody keeps a journal of which there is a copy here.
func (c *custody) kept(id engine.JournalID) bool {
	if c.keeping[id] {
		return true
	}
	for _, m := range c.member.view.Members() {
		if c.heard[m.ID].journals[id].Keeping {
			return true
		}
	}
	return false
}

// failed has a journal that could not be adopted tried again, if this member is still to keep it.
func (c *custody) failed(id engine.JournalID) {
	if copied := c.member.replicas.copies[id]; copied != nil && c.keeping[id] {
		c.relinquish(id)
		c.orphans[id] = c.member.now
		copied.damage = max(copied.damage, copied.release) // others come first
	}
}

// candidate is a live member with a copy.
type candidate struct {
	Holding
	member placement.MemberID
}

// best finds who should keep a journal.
func (c *custody) best(copied *replica) candidate {
	id := copied.ref.ID
	best := candidate{c.holding(copied), c.member.id}
	rank := c.member.view.Followers(copied.ref.Origin)
	for _, m := range c.member.view.Members() {
		h, told := c.heard[m.ID]
		holding, holds := h.journals[id]
		if m.ID == c.member.id || !told || !holds {
			continue
		}
		if other := (candidate{holding, m.ID}); other.compare(best, rank) < 0 {
			best = other
		}
	}
	return best
}

// compare is negative when k is the better keeper.
func (k candidate) compare(other candidate, rank []placement.MemberID) int {
	place := func(c candidate) int {
		switch at := slices.Index(rank, c.member); {
		case c.member == c.Journal.Origin:
			return -1
		case at < 0:
			return len(rank)
		default:
			return at
		}
	}
	return cmp.Or(
		cmp.Compare(other.reach(), k.reach()),
		cmp.Compare(other.Next, k.Next),
		cmp.Compare(k.Base, other.Base),
		cmp.Compare(flag(other.Keeping), flag(k.Keeping)),
		cmp.Compare(place(k), place(other)),
		cmp.Compare(k.member, other.member),
	)
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

// mayAdopt tells whether enough is known to adopt: everybody was heard since the journal lost
// its keeper, or has had the time to be, whoever keeps it with a shorter copy has told how far it
// came, and this member has the subscriptions of those that came into sight.
func (c *custody) mayAdopt(copied *replica) bool {
	m := c.member
	since := c.orphans[copied.ref.ID]
	if copied.next != copied.synced || copied.unknown {
		return false // what is being written belongs to it, and damage decides who keeps it
	}
	early := m.now.Sub(m.startedAt) < StartGrace && !m.metAllKnown()
	if copied.ref.Origin != m.id && (early || m.versions.behind()) {
		return false
	}
	if m.now.Sub(since) >= AdoptGrace {
		return true
	}
	for _, other := range m.view.Members() {
		if other.ID == m.id {
			continue
		}
		h, told := c.heard[other.ID]
		if !told || h.at.Before(since) || h.journals[copied.ref.ID].Release > copied.release {
			return false
		}
	}
	return true
}

func (c *custody) adopt(copied *replica) {
	c.keeping[copied.ref.ID] = true
	c.dirty = true
	release := min(copied.release, copied.synced) // its keeper may have come further than the copy
	c.member.replication.keep(copied.ref, copied.base, release, copied.synced-1, copied.state)
	c.member.emit(Adopt{
		Journal: copied.ref, Release: release, State: copied.state,
		Settled: c.member.routing.settledHere(copied.ref.ID, release),
	})
}

func (c *custody) relinquish(id engine.JournalID) {
	if c.keeping[id] {
		delete(c.keeping, id)
		c.dirty = true
		c.member.replication.drop(id)
		c.member.routing.drop(id)
		c.member.emit(Relinquish{Journal: id})
	}
}
