package protocol

import (
	"pannier/cluster/placement"
	"pannier/engine"
)

// replicas are the copies that this member keeps of journals that others keep. Not safe for
// concurrent use.
type replicas struct {
	member *Member
	copies map[engine.JournalID]*replica
}

// replica is one copy.
type replica struct {
	ref     JournalRef
	base    uint64 // it was begun here
	next    uint64 // it ends before, what is being written included
	synced  uint64 // it ends before, on disk
	release uint64
	damage  uint64 // the last sequence that cannot be read; 0: none
	unknown bool   // whether there is one is being found out
	state   []byte // the keeper's account, as last told
	// keepers count on it: two may keep the journal for a moment.
	keepers map[placement.MemberID]bool
}

// unfollowed is the Next of an Appended that answers Unfollow, or tells that a copy was found to be
// damaged: it comes after every answer that told of the copy.
const unfollowed = 0

// append writes what follows the copy's end and answers how far it reaches. What leaves a gap
// is not written: the answer has the keeper go on from there.
func (r *replicas) append(from placement.MemberID, m *Append) {
	if _, kept := r.member.replication.journals[m.Journal.ID]; kept {
		return // two keep it for a moment, of which one may even be its living writer
	}
	if !r.heeds(from, m.Journal) {
		return
	}
	c := r.copies[m.Journal.ID]
	if m.Begin && r.mustBegin(c, from, m.First) {
		c = &replica{ref: m.Journal, base: m.First, next: m.First, synced: m.First, release: m.First}
		c.countedOnBy(from)
		r.copies[m.Journal.ID] = c
		r.write(from, c, WriteReplica{Journal: c.ref, Begin: true, First: m.First, Next: m.First})
		return
	}
	switch {
	case c == nil || (m.Begin && m.First < c.base):
		return
	case m.Begin:
		c.countedOnBy(from)
	case !c.keepers[from]:
		return // what was on its way when the copy was given up
	}
	if m.Begin || m.First != c.next {
		r.answer(from, c)
		return
	}
	if len(m.Frames) == 0 {
		c.damage = m.Next - 1
	}
	c.next = m.Next
	r.write(from, c, WriteReplica{Journal: c.ref, First: m.First, Next: m.Next, Frames: m.Frames})
}

// holding is what is known of a member's own copy.
func (r *replicas) holding(id placement.MemberID, journal engine.JournalID) Holding {
	return r.member.custody.heard[id].journals[journal]
}

// examine has the copies of earlier lives looked through: a disk may have lost some of them.
func (r *replicas) examine() {
	for _, c := range sorted(r.copies) {
		if c.release < c.next {
			c.unknown = true
			r.member.emit(Examine{Journal: c.ref.ID, From: c.release})
		}
	}
}

// examined has the keepers that count on a damaged copy begin it again.
func (r *replicas) examined(id engine.JournalID, damage uint64) {
	c := r.copies[id]
	if c == nil || !c.unknown {
		return // it was begun again meanwhile
	}
	c.unknown, c.damage = false, max(c.damage, damage)
	if c.damaged() == 0 {
		return
	}
	for _, keeper := range sortedKeys(c.keepers) {
		delete(c.keepers, keeper)
		r.member.send(keeper, &Appended{Journal: id, Next: unfollowed})
	}
}

// damaged is the last sequence of a copy that is undischarged and cannot be read; 0: there is none.
func (c *replica) damaged() uint64 {
	if c.damage < c.release {
		return 0
	}
	return c.damage
}

// heeds tells whether a keeper is listened to: nobody but a journal's writer as long as that is
// seen. Another that does not see it may keep the journal too, and take for discharged what it
// does not know to be for somebody.
func (r *replicas) heeds(keeper placement.MemberID, ref JournalRef) bool {
	return keeper == ref.Origin || !r.member.view.Lives(ref.Origin, ref.Boot)
}

// writes tells whether a keeper writes the journal: a later life of the same member does not, and may
// have less of it.
func (r *replicas) writes(keeper placement.MemberID, ref JournalRef) bool {
	return keeper == ref.Origin && r.member.view.Lives(ref.Origin, ref.Boot)
}

// mustBegin tells whether a copy that a keeper asks for cannot go on from what is there: there
// is nothing, or it ends long before, or begins later, or is damaged. What begins later or is
// damaged stays if another keeper counts on it, or if the keeper that asks is known to have less:
// then this member will keep the journal. The writer has all of it.
func (r *replicas) mustBegin(c *replica, keeper placement.MemberID, first uint64) bool {
	if c == nil || c.next+MaxCatchUp < first {
		return true
	}
	if first >= c.base && c.damaged() == 0 {
		return false
	}
	others := len(c.keepers)
	if c.keepers[keeper] {
		others--
	}
	its := r.holding(keeper, c.ref.ID)
	return r.writes(keeper, c.ref) || (others == 0 && its.Next >= c.next && its.Damage == 0)
}

// write acknowledges what it writes once it is synced.
func (r *replicas) write(from placement.MemberID, c *replica, w WriteReplica) {
	w.Token = r.member.await(func() {
		if r.copies[c.ref.ID] != c {
			return
		}
		c.synced = max(c.synced, w.Next)
		r.answer(from, c)
	})
	r.member.emit(w)
}

// answer tells a keeper that counts on a copy how far it reaches.
func (r *replicas) answer(keeper placement.MemberID, c *replica) {
	if c.keepers[keeper] {
		r.member.send(keeper, &Appended{Journal: c.ref.ID, Base: c.base, Next: c.synced})
	}
}

// progress keeps the keeper's account, from which the copy would be adopted. The writer's
// counts, even if another came further.
func (r *replicas) progress(from placement.MemberID, m *Progress) {
	c := r.copies[m.Journal]
	if c == nil || !r.heeds(from, c.ref) || (m.Release < c.release && !r.writes(from, c.ref)) {
		return
	}
	c.release, c.state = m.Release, m.State
	r.member.emit(WriteProgress{Journal: m.Journal, Release: m.Release, State: m.State})
}

func (c *replica) countedOnBy(keeper placement.MemberID) {
	if c.keepers == nil {
		c.keepers = make(map[placement.MemberID]bool)
	}
	c.keepers[keeper] = true
}

// kept forgets that a peer counts on copies of journals that it does not keep any more.
func (r *replicas) kept(peer placement.MemberID, journals map[engine.JournalID]Holding) {
	for id, c := range r.copies {
		if !journals[id].Keeping && !r.member.view.Lives(c.ref.Origin, c.ref.Boot) {
			delete(c.keepers, peer)
		}
	}
}

// lost forgets that a peer counts on copies: it will not without asking again.
func (r *replicas) lost(peer placement.MemberID) {
	for _, c := range r.copies {
		delete(c.keepers, peer)
	}
}

// unfollow gives up a copy that no keeper needs. One that this member keeps stays, one that it wrote
// itself unless the keeper has more, and one that reaches further than the keeper is known to: it
// will be kept here.
func (r *replicas) unfollow(from placement.MemberID, m *Unfollow) {
	if c := r.copies[m.Journal]; c != nil {
		delete(c.keepers, from)
		reaches := r.holding(from, m.Journal).Next
		knows := r.writes(from, c.ref) || reaches > c.next || (reaches == c.next && c.ref.Origin != r.member.id)
		if knows && len(c.keepers) == 0 && !r.member.custody.keeping[m.Journal] {
			r.drop(m.Journal)
		}
	}
	r.member.send(from, &Appended{Journal: m.Journal, Next: unfollowed})
}

// drop removes a copy.
func (r *replicas) drop(id engine.JournalID) {
	if _, held := r.copies[id]; held {
		delete(r.copies, id)
		r.member.emit(DropReplica{Journal: id})
	}
}
