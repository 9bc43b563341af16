package protocol

import (
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

const (
	// FollowerSilence is how long an unanswered event waits for a follower before another
	// member is asked to follow in its place.
	FollowerSilence = 300 * time.Millisecond
	// SuspectFor is how long a silent follower is passed over.
	SuspectFor = 5 * time.Second
	// BeginAfter is how long what was sent to a follower goes unanswered before the copy is
	// begun again: the follower refused it, because it kept the journal itself for a moment.
	BeginAfter = 2 * time.Second
	// MaxCatchUp is how many records below the release point a copy may lack and yet be gone on
	// with. It is whole then, and shows what is discharged as the keeper's does; one that lacks
	// more begins at the release point, for events wait while it catches up.
	MaxCatchUp = 100_000
	// MaxAccountBytes bounds an account, which goes into one message. Without one everything behind
	// the release point is handed out again, which repeats deliveries: it happens where more than
	// 100,000 subscriptions lag in one journal whose keeper dies then.
	MaxAccountBytes = 8 << 20
	// MaxAppendBytes bounds the frames of one Append.
	MaxAppendBytes = 512 << 10
)

// replication is the keeper's side of the copies of its journals. A copy is fed from what the
// keeper itself has synced, from the release point or an end before it on and without gaps, so a
// follower never holds what its keeper could lose, and it is complete for adoption as far as it
// goes.
//
//	base        acked          sent         synced
//	 ├────────────┼──────────────┼─────────────┤
//	   on its disk  on the way     to be read
//
// An event is committed, and may be answered (I1), when as many members have it synced as the
// replication asks for. Not safe for concurrent use.
type replication struct {
	member   *Member
	journals map[engine.JournalID]*kept
	suspects map[placement.MemberID]time.Time // until when
}

// kept is a journal that this member keeps.
type kept struct {
	ref       JournalRef
	base      uint64 // it was begun there
	release   uint64 // nothing below it is needed
	state     []byte // the account that goes with release
	synced    uint64
	committed uint64
	followers map[placement.MemberID]*follower
	// missedAt is since when an event waits for followers; zero: none does.
	missedAt time.Time
}

// follower is the keeper's picture of one copy.
type follower struct {
	begun    bool
	released bool   // it was told that its copy is not needed, and has not confirmed it
	next     uint64 // to be sent
	acked    uint64 // the copy ends before it
	reading  bool   // frames for it are being read
	progress uint64 // release it was told last
	told     []byte
	waits    time.Time // since when an answer is waited for
	base     uint64    // the copy was begun there
	since    time.Time // when it became a follower
	filling  time.Time // since when a part of what lies before base is on its way; zero: none is
}

func newReplication(m *Member) *replication {
	return &replication{
		member: m, journals: make(map[engine.JournalID]*kept), suspects: make(map[placement.MemberID]time.Time),
	}
}

// keep begins to keep a journal that was begun at base and is synced through a sequence.
func (r *replication) keep(ref JournalRef, base, release, synced uint64, state []byte) {
	r.journals[ref.ID] = &kept{
		ref: ref, base: base, release: max(min(release, synced+1), 1), synced: synced, state: state,
		followers: make(map[placement.MemberID]*follower),
	}
	r.pump(r.journals[ref.ID])
	r.commit(r.journals[ref.ID])
}

func (r *replication) drop(id engine.JournalID) { delete(r.journals, id) }

// syncedThrough notes that the keeper's own disk has the journal through a sequence.
func (r *replication) syncedThrough(id engine.JournalID, sequence uint64) {
	j := r.journals[id]
	if j == nil || sequence <= j.synced {
		return
	}
	j.synced = sequence
	r.commit(j)
	r.pump(j)
}

// checkpoint notes the keeper's account; followers are told with the next tick.
func (r *replication) checkpoint(id engine.JournalID, release uint64, state []byte) {
	if j := r.journals[id]; j != nil {
		j.release, j.state = max(j.release, min(release, j.synced+1)), state
	}
}

// chosen are the members that are asked to follow: suspects only where there are not enough
// others, for a slow follower is better than none.
func (r *replication) chosen() []placement.MemberID {
	var chosen, suspects []placement.MemberID
	for _, id := range r.member.view.Followers(r.member.id) {
		if until, suspect := r.suspects[id]; suspect && r.member.now.Before(until) {
			suspects = append(suspects, id)
		} else {
			chosen = append(chosen, id)
		}
	}
	chosen = append(chosen, suspects...)
	return chosen[:min(len(chosen), r.member.copies-1)]
}

// required is how many members must have an event before it is committed.
func (r *replication) required() int {
	if r.member.options.AllowDegraded {
		return min(r.member.copies, 1+len(r.member.view.Followers(r.member.id)))
	}
	return r.member.copies
}

// commit moves the commit point to what enough members have.
func (r *replication) commit(j *kept) {
	ends := []uint64{j.synced}
	for id, f := range j.followers {
		if f.begun && r.member.sees(id) {
			ends = append(ends, min(f.acked-1, j.synced))
		}
	}
	slices.Sort(ends)
	slices.Reverse(ends)
	if n := r.required(); len(ends) >= n && ends[n-1] > j.committed {
		j.committed = ends[n-1]
		r.member.emit(Committed{Journal: j.ref.ID, Through: j.committed})
	}
	switch {
	case j.committed >= j.synced:
		j.missedAt = time.Time{}
	case j.missedAt.IsZero():
		j.missedAt = r.member.now
	}
}

// pump has the chosen followers read on, and those that were, until they are released: the new
// ones may have much to catch up with.
func (r *replication) pump(j *kept) {
	chosen := r.chosen()
	for _, id := range sortedKeys(j.followers) {
		if f := j.followers[id]; !f.released && !slices.Contains(chosen, id) {
			r.feed(j, id, f)
		}
	}
	for _, id := range chosen {
		f := j.followers[id]
		if f == nil {
			f = &follower{since: r.member.now}
			j.followers[id] = f
			r.begin(j, id, f)
		}
		if f.released {
			continue // its answers may still be those of the copy that it gives up
		}
		if (!f.begun || f.acked < f.next) && r.member.now.Sub(f.waits) >= BeginAfter {
			r.begin(j, id, f)
		}
		r.feed(j, id, f)
	}
}

// begin asks for a copy from the release point on; the answer says how far one reaches that is
// there already.
func (r *replication) begin(j *kept, id placement.MemberID, f *follower) {
	f.next, f.acked, f.begun, f.filling, f.progress, f.waits = j.release, j.release, false, time.Time{}, 0, r.member.now
	r.member.send(id, &Append{Journal: j.ref, Begin: true, First: j.release, Next: j.release})
}

// feed has the frames read that a follower needs next, unless its outbox is full.
func (r *replication) feed(j *kept, id placement.MemberID, f *follower) {
	if f.begun && !f.reading && f.next <= j.synced && r.member.hasRoom(id) {
		f.reading = true
		r.member.emit(ReadFrames{Journal: j.ref.ID, From: f.next, To: id, Bytes: MaxAppendBytes})
	}
}

// framesRead sends what was read for a follower. Where nothing could be read the next tick tries
// again. What is lost in the middle of what is undischarged is said to be; what has left the
// retention is not worth a hole in the copy, which begins anew.
func (r *replication) framesRead(id engine.JournalID, to placement.MemberID, first, next uint64, frames []byte) {
	j := r.journals[id]
	if j == nil || j.followers[to] == nil {
		return
	}
	f := j.followers[to]
	f.reading = false
	switch {
	case f.released || next == first:
		return
	case f.next != first: // it was begun again meanwhile
	case len(frames) == 0 && next <= j.release:
		r.release(j, to)
		return
	default:
		if f.acked == f.next {
			f.waits = r.member.now
		}
		f.next = next
		r.member.send(to, &Append{Journal: j.ref, First: first, Next: next, Frames: frames})
	}
	r.feed(j, to, f)
}

// appended takes the acknowledgement of a copy in.
func (r *replication) appended(from placement.MemberID, m *Appended) {
	j := r.journals[m.Journal]
	if j == nil || j.followers[from] == nil {
		return
	}
	f := j.followers[from]
	switch {
	case m.Next == unfollowed:
		delete(j.followers, from)
		r.pump(j)
		return
	case f.released:
		return
	}
	if !f.begun || m.Next > f.acked {
		f.waits = r.member.now
		delete(r.suspects, from)
	}
	if !f.begun {
		f.begun = true
		f.next = m.Next
	}
	if m.Base != f.base {
		f.filling = time.Time{}
	}
	f.acked, f.base = m.Next, m.Base
	f.next = max(f.next, m.Next)
	r.commit(j)
	r.feed(j, from, f)
}

// lost forgets a peer's copies: whether they are still there is asked when it comes back.
func (r *replication) lost(peer placement.MemberID) {
	for _, j := range r.journals {
		delete(j.followers, peer)
	}
}

// viewed chooses followers anew.
func (r *replication) viewed() {
	for _, j := range sorted(r.journals) {
		r.pump(j)
		r.commit(j)
	}
}

// tick replaces silent followers, tells progress, and ends copies beyond those needed.
func (r *replication) tick() {
	for _, j := range sorted(r.journals) {
		if !j.missedAt.IsZero() {
			r.suspect(j)
		}
		r.pump(j)
		r.commit(j)
		r.tell(j)
	}
	r.fill()
}

// suspect passes over the chosen followers that hold an unanswered event up.
func (r *replication) suspect(j *kept) {
	now := r.member.now
	if now.Sub(j.missedAt) < FollowerSilence {
		return
	}
	for _, id := range r.chosen() {
		f := j.followers[id]
		if f != nil && f.acked <= j.synced && now.Sub(f.waits) >= FollowerSilence {
			r.suspects[id] = now.Add(SuspectFor)
		}
	}
}

// tell gives the followers the keeper's account, and releases those that are not needed.
func (r *replication) tell(j *kept) {
	chosen := r.chosen()
	complete := len(chosen) == r.member.copies-1
	for _, id := range chosen {
		f := j.followers[id]
		if f == nil || !f.begun {
			complete = false
			continue
		}
		if (f.progress != j.release || string(f.told) != string(j.state)) && r.member.hasRoom(id) {
			f.progress, f.told = j.release, j.state
			r.member.send(id, &Progress{Journal: j.ref.ID, Release: j.release, State: j.state})
		}
		complete = complete && f.acked > j.committed
	}
	if !complete {
		return
	}
	for _, id := range sortedKeys(j.followers) {
		if !slices.Contains(chosen, id) && !j.followers[id].released && !r.leaves(id) {
			r.release(j, id)
		}
	}
}

// leaves tells whether a member is about to stop: it keeps what it has for when it is back.
func (r *replication) leaves(id placement.MemberID) bool {
	member, seen := r.member.view.Member(id)
	return seen && member.State == placement.Draining
}

// release gives a copy up.
func (r *replication) release(j *kept, id placement.MemberID) {
	j.followers[id] = &follower{released: true, waits: r.member.now}
	r.member.send(id, &Unfollow{Journal: j.ref.ID})
}

// account gives a peer that may take a journal over the keeper's account of it.
func (r *replication) account(id engine.JournalID, to placement.MemberID) {
	if j := r.journals[id]; j != nil {
		r.member.send(to, &Progress{Journal: id, Release: j.release, State: j.state})
	}
}

// lag counts, by follower, the records that it has yet to copy.
func (r *replication) lag() map[placement.MemberID]uint64 {
	lag := make(map[placement.MemberID]uint64)
	for _, j := range r.journals {
		for _, id := range r.chosen() {
			behind := j.synced + 1 - j.release
			if f := j.followers[id]; f != nil && f.begun {
				behind = j.synced + 1 - min(f.acked, j.synced+1)
			}
			lag[id] += behind
		}
	}
	return lag
}

// underReplicated counts the journals of which fewer copies are complete than asked for.
func (r *replication) underReplicated() (n int) {
	for _, j := range r.journals {
		complete := 1
		for _, f := range j.followers {
			if f.begun && f.acked > j.committed {
				complete++
			}
		}
		if complete < r.member.copies {
			n++
		}
	}
	return n
}
