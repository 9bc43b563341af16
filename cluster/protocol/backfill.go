package protocol

import (
	"time"

	"pannier/cluster/placement"
)

const (
	// ReplicateAfter is how long a member has followed before it is given what was discharged before
	// it began to: one that stands in for another for a moment is not worth it.
	ReplicateAfter = 30 * time.Second
	// fillAgain is how long an answer is waited for: the disk of either member may be full, or fail.
	fillAgain = time.Minute
	// backfillBytes bounds the frames of one Prepend. Each becomes a segment of the copy.
	backfillBytes = 2 << 20
)

// fill copies to followers, from the newest to the oldest, what is retained of a journal and was
// discharged before they began to follow: lists, feeds and replays show it, whoever keeps the
// journal later. One part is under way to a member at a time.
//
//	kept    base ├───────────────────────────────────┤
//	copy                  base ◄── Prepend ├─────────┤
func (r *replication) fill() {
	busy, lacking := make(map[placement.MemberID]bool), false
	for _, j := range r.journals {
		for id, f := range j.followers {
			busy[id] = busy[id] || (!f.filling.IsZero() && r.member.now.Sub(f.filling) < fillAgain)
			lacking = lacking || f.base > j.base
		}
	}
	if !lacking {
		return
	}
	for _, j := range sorted(r.journals) {
		for _, id := range r.chosen() {
			f := j.followers[id]
			if f == nil || !f.begun || busy[id] || f.base <= j.base || f.acked <= j.committed ||
				r.member.now.Sub(f.since) < ReplicateAfter || !r.member.hasRoom(id) {
				continue
			}
			f.filling, busy[id] = r.member.now, true
			r.member.emit(ReadBefore{Journal: j.ref.ID, Before: f.base, To: id, Bytes: backfillBytes})
		}
	}
}

// framesBefore sends what was read for the front of a copy. Where nothing is retained any more, the
// copy has all of it.
func (r *replication) framesBefore(read ReadBefore, first uint64, frames []byte) {
	j := r.journals[read.Journal]
	if j == nil || j.followers[read.To] == nil {
		return
	}
	f := j.followers[read.To]
	switch {
	case f.filling.IsZero() || f.base != read.Before:
		return // it was begun again meanwhile
	case !r.member.hasRoom(read.To):
		f.filling = time.Time{}
		return
	}
	if len(frames) == 0 {
		first = j.base
	}
	r.member.send(read.To, &Prepend{Journal: read.Journal, First: first, Next: read.Before, Frames: frames})
}

// prepend puts records in front of a copy.
func (r *replicas) prepend(from placement.MemberID, m *Prepend) {
	c := r.copies[m.Journal]
	switch {
	case c == nil || !c.keepers[from] || m.First >= m.Next:
		return
	case m.Next != c.base:
		r.answer(from, c) // another keeper was quicker
		return
	}
	w := PrependReplica{Journal: m.Journal, First: m.First, Next: m.Next, Frames: m.Frames}
	w.Token = r.member.await(func() {
		if r.copies[m.Journal] != c || c.base != m.Next {
			return
		}
		c.base = m.First
		r.answer(from, c)
	})
	r.member.emit(w)
}
