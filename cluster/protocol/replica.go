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
	base    uint64 // it begins here
	next    uint64 // it ends before, what is being written included
	synced  uint64 // it ends before, on disk
	release uint64
	state   []byte             // the keeper's account, as last told
	keeper  placement.MemberID // who appended last; "": nobody in this life
}

// unfollowed is the Next of an Appended that answers Unfollow: it comes after every answer that
// told of the copy.
const unfollowed = 0

// append writes what follows the copy's end and answers how far it reaches. What leaves a gap
// is not written: the answer has the keeper go on from there.
func (r *replicas) append(from placement.MemberID, m *Append) {
	if _, kept := r.member.replication.journals[m.Journal.ID]; kept {
		return // two keep it for a moment, of which one may even be its living writer
	}
	c := r.copies[m.Journal.ID]
	if m.Begin && (c == nil || c.next < m.First) {
		c = &replica{ref: m.Journal, base: m.First, next: m.First, synced: m.First, release: m.First}
		c.keeper = from
		r.copies[m.Journal.ID] = c
		r.write(from, c, WriteReplica{Journal: c.ref, Begin: true, First: m.First, Next: m.First})
		return
	}
	if c == nil || m.Begin || m.First != c.next {
		if c != nil {
			c.keeper = from
			r.member.send(from, &Appended{Journal: m.Journal.ID, Next: c.synced})
		}
		return
	}
	c.next, c.keeper = m.Next, from
	r.write(from, c, WriteReplica{Journal: c.ref, First: m.First, Next: m.Next, Frames: m.Frames})
}

// write acknowledges what it writes once it is synced.
func (r *replicas) write(from placement.MemberID, c *replica, w WriteReplica) {
	w.Token = r.member.await(func() {
		if r.copies[c.ref.ID] != c {
			return
		}
		c.synced = max(c.synced, w.Next)
		r.member.send(from, &Appended{Journal: c.ref.ID, Next: c.synced})
	})
	r.member.emit(w)
}

// progress keeps the keeper's account, from which the copy would be adopted.
func (r *replicas) progress(m *Progress) {
	c := r.copies[m.Journal]
	if c == nil || m.Release < c.release {
		return
	}
	c.release, c.state = m.Release, m.State
	r.member.emit(WriteProgress{Journal: m.Journal, Release: m.Release, State: m.State})
}

// unfollow gives up a copy that its keeper does not need. One that this member keeps, or
// wrote itself, stays, and so does one that another keeper counts on.
func (r *replicas) unfollow(from placement.MemberID, m *Unfollow) {
	c := r.copies[m.Journal]
	if c != nil && c.ref.Origin != r.member.id && !r.member.custody.keeping[m.Journal] && (c.keeper == from || c.keeper == "") {
		r.drop(m.Journal)
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
