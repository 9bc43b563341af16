package protocol

import (
	"slices"
	"testing"

	"pannier/cluster/placement"
	"pannier/engine"
)

// committed is through where a journal is committed, by the effects of a member.
func committed(m *Member) (through uint64) {
	for _, c := range effectsOf[Committed](m) {
		through = max(through, c.Through)
	}
	return through
}

// TestAnswersOfACopyThatWasGivenUpCountForNothing: a follower is told that its copy is not
// needed, is asked to follow again, and its answers to the first copy come late.
func TestAnswersOfACopyThatWasGivenUpCountForNothing(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	from := o.view.Followers("a")[0]
	ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
	o.Keep(o.now, ref)
	o.replication.appended(from, &Appended{Journal: ref.ID, Next: 1})
	o.Synced(o.now, ref.ID, 9)
	o.replication.journals[ref.ID].followers[from] = &follower{released: true, waits: o.now}
	if o.replication.pump(o.replication.journals[ref.ID]); o.replication.journals[ref.ID].followers[from].begun {
		t.Fatal("a copy was begun before the follower had given the last one up")
	}
	o.Effects()
	o.replication.appended(from, &Appended{Journal: ref.ID, Next: 10})
	if got := committed(o.Member); got != 0 {
		t.Errorf("committed through %d by an answer of the copy that was given up, want 0", got)
	}
	o.replication.appended(from, &Appended{Journal: ref.ID, Next: unfollowed})
	o.replication.appended(from, &Appended{Journal: ref.ID, Next: 1})
	o.replication.appended(from, &Appended{Journal: ref.ID, Next: 10})
	if got := committed(o.Member); got != 9 {
		t.Errorf("committed through %d by the new copy, want 9", got)
	}
}

// TestCopyStaysWhileOneKeeperCountsOnIt: two members may keep a journal for a moment.
func TestCopyStaysWhileOneKeeperCountsOnIt(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := JournalRef{ID: 7, Origin: "gone", Boot: 1}
	for _, keeper := range o.peers() {
		o.replicas.append(keeper, &Append{Journal: ref, Begin: true, First: 1, Next: 1})
	}
	for _, keeper := range o.peers() {
		o.custody.hear(keeper, &Holdings{Journals: []Holding{{Journal: ref, Next: 1, Keeping: true}}})
	}
	o.replicas.unfollow("c", &Unfollow{Journal: ref.ID})
	if o.replicas.copies[ref.ID] == nil {
		t.Error("the copy was given up although b counts on it")
	}
	o.replicas.unfollow("b", &Unfollow{Journal: ref.ID})
	if o.replicas.copies[engine.JournalID(7)] != nil {
		t.Error("the copy is kept although nobody counts on it")
	}
}

// TestOnlyTheWriterIsHeededWhileItIsSeen: another member that does not see the writer keeps the
// journal too, and has come further than the writer, for it knows of fewer subscriptions.
func TestOnlyTheWriterIsHeededWhileItIsSeen(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := JournalRef{ID: 7, Origin: "b", Boot: 1}
	o.replicas.append("c", &Append{Journal: ref, Begin: true, First: 9, Next: 9})
	if o.replicas.copies[ref.ID] != nil {
		t.Error("a copy was begun for another keeper while the writer is seen")
	}
	o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 5, Next: 5})
	o.replicas.progress("c", &Progress{Journal: ref.ID, Release: 9})
	if got := o.replicas.copies[ref.ID].release; got != 5 {
		t.Errorf("the copy would be adopted from %d, want 5", got)
	}
}

// TestCopyThatBeginsTooLateIsBegunAgain: it was made for a keeper that needs less of the journal.
func TestCopyThatBeginsTooLateIsBegunAgain(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := JournalRef{ID: 7, Origin: "b", Boot: 1}
	o.View(o.now, []placement.Member{activeMember("a"), activeMember("c")})
	o.replicas.append("c", &Append{Journal: ref, Begin: true, First: 9, Next: 9})
	o.replicas.append("c", &Append{Journal: ref, First: 9, Next: 12})
	o.View(o.now, []placement.Member{activeMember("a"), activeMember("b"), activeMember("c")})
	o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 5, Next: 5})
	if got := o.replicas.copies[ref.ID]; got.base != 5 || got.next != 5 {
		t.Errorf("the copy reaches from %d to %d, want an empty one from 5", got.base, got.next)
	}
}

// TestCopyThatReachesFurtherStays: a member that keeps a closed journal with a shorter copy neither
// has it begun again nor given up: what only this copy has would be lost.
func TestCopyThatReachesFurtherStays(t *testing.T) {
	t.Parallel()
	ref := JournalRef{ID: 7, Origin: "gone", Boot: 1}
	for _, tt := range []struct {
		name    string
		reaches uint64
		stays   bool
	}{
		{"the keeper has less", 9, true},
		{"the keeper has as much", 12, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			o.replicas.append("c", &Append{Journal: ref, Begin: true, First: 9, Next: 9})
			o.replicas.append("c", &Append{Journal: ref, First: 9, Next: 12})
			o.replicas.lost("c")
			o.custody.hear("b", &Holdings{Journals: []Holding{{Journal: ref, Next: tt.reaches, Keeping: true}}})
			o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 5, Next: 5})
			if got := o.replicas.copies[ref.ID]; (got.base == 9 && got.next == 12) != tt.stays {
				t.Errorf("the copy reaches from %d to %d after another was asked for", got.base, got.next)
			}
			if o.replicas.unfollow("b", &Unfollow{Journal: ref.ID}); tt.stays && o.replicas.copies[ref.ID] == nil {
				t.Error("the copy was given up")
			}
		})
	}
}

// TestCopyThatLacksALittleIsGoneOnWith: a follower was away for a while. What was discharged
// meanwhile is copied too, so that lists show it wherever the journal is kept later.
func TestCopyThatLacksALittleIsGoneOnWith(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		release uint64
		goesOn  bool
	}{
		{"a little", 12 + MaxCatchUp, true},
		{"much", 13 + MaxCatchUp, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			ref := JournalRef{ID: 7, Origin: "b", Boot: 1}
			o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 1, Next: 1})
			o.replicas.append("b", &Append{Journal: ref, First: 1, Next: 12, Frames: []byte("frames")})
			o.replicas.append("b", &Append{Journal: ref, Begin: true, First: tt.release, Next: tt.release})
			got := o.replicas.copies[ref.ID]
			if (got.base == 1 && got.next == 12) != tt.goesOn {
				t.Errorf("the copy reaches from %d to %d", got.base, got.next)
			}
		})
	}
}

// TestFormerFollowerGoesOnUntilTheNewOneIsComplete: events do not wait for one that catches up.
func TestFormerFollowerGoesOnUntilTheNewOneIsComplete(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	chosen := o.view.Followers("a")[0]
	former := o.view.Followers("a")[1]
	ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
	o.Keep(o.now, ref)
	j := o.replication.journals[ref.ID]
	j.followers[former] = &follower{begun: true, next: 1, acked: 1}
	o.Synced(o.now, ref.ID, 9)
	if !slices.ContainsFunc(effectsOf[ReadFrames](o.Member), func(read ReadFrames) bool { return read.To == former }) {
		t.Fatal("nothing is read for the former follower")
	}
	o.replication.appended(former, &Appended{Journal: ref.ID, Next: 10})
	if got := committed(o.Member); got != 9 {
		t.Errorf("committed through %d by the former follower, want 9", got)
	}
	o.replication.tell(j)
	if j.followers[former].released {
		t.Error("the former follower was released before the new one was complete")
	}
	o.replication.appended(chosen, &Appended{Journal: ref.ID, Next: 10})
	leaving := activeMember(former)
	leaving.State = placement.Draining
	o.View(o.now, []placement.Member{activeMember("a"), activeMember(chosen), leaving})
	if o.replication.tell(j); j.followers[former].released {
		t.Error("the former follower was released although it is about to stop, and may come back")
	}
	o.View(o.now, []placement.Member{activeMember("a"), activeMember(chosen), activeMember(former)})
	if o.replication.tell(j); !j.followers[former].released {
		t.Error("the former follower is not released although the new one is complete")
	}
}

// TestWhatIsLostIsSteppedOver: a keeper cannot read a stretch of its own journal.
func TestWhatIsLostIsSteppedOver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		release uint64
		next    uint64 // of what is lost
		follows bool
	}{
		{"undischarged", 1, 4, true},
		{"past its retention", 4, 4, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			chosen := o.view.Followers("a")[0]
			ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
			o.Keep(o.now, ref)
			o.replication.appended(chosen, &Appended{Journal: ref.ID, Next: 2})
			o.Synced(o.now, ref.ID, 9)
			o.Checkpoint(o.now, ref.ID, tt.release, nil)
			o.Effects()
			o.FramesRead(o.now, ReadFrames{Journal: ref.ID, From: 2, To: chosen}, tt.next, nil)
			var reads []uint64
			for _, read := range effectsOf[ReadFrames](o.Member) {
				reads = append(reads, read.From)
			}
			f := o.replication.journals[ref.ID].followers[chosen]
			if follows := !f.released && f.next == tt.next && slices.Equal(reads, []uint64{tt.next}); follows != tt.follows || f.released == tt.follows {
				t.Errorf("the follower is at %d, released %t, and %v is read on", f.next, f.released, reads)
			}
		})
	}
}

// TestReadThatFailsIsNotTriedAtOnce: the next tick does.
func TestReadThatFailsIsNotTriedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	chosen := o.view.Followers("a")[0]
	ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
	o.Keep(o.now, ref)
	o.replication.appended(chosen, &Appended{Journal: ref.ID, Next: 1})
	o.Synced(o.now, ref.ID, 9)
	o.Effects()
	read := func() int { return len(effectsOf[ReadFrames](o.Member)) }
	o.FramesRead(o.now, ReadFrames{Journal: ref.ID, From: 1, To: chosen}, 1, nil)
	if got := read(); got != 0 {
		t.Errorf("%d reads after one that gave nothing, want 0", got)
	}
	if o.Tick(o.now); read() != 1 {
		t.Error("the tick after a read that gave nothing does not read")
	}
}

// TestALaterLifeOfTheWriterIsAnyKeeper: its disk may be an old one, of which nobody's copy is to begin
// again.
func TestALaterLifeOfTheWriterIsAnyKeeper(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		boot  uint64 // of the life that wrote the journal; b lives its first
		stays bool
	}{{"the life that writes it", 1, false}, {"an earlier life", 0, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			ref := JournalRef{ID: 7, Origin: "b", Boot: tt.boot}
			o.replicas.copies[ref.ID] = &replica{ref: ref, base: 50, next: 100, synced: 100, release: 60}
			o.custody.hear("b", &Holdings{Journals: []Holding{{Journal: ref, Base: 1, Next: 20, Keeping: true}}})
			o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 9, Next: 9})
			if c := o.replicas.copies[ref.ID]; (c.next == 100) != tt.stays {
				t.Errorf("the copy reaches from %d to %d after it asked for one from 9", c.base, c.next)
			}
			o.replicas.progress("b", &Progress{Journal: ref.ID, Release: 9})
			if c := o.replicas.copies[ref.ID]; (c.release == 60) != tt.stays {
				t.Errorf("the copy would be adopted from %d after its word", c.release)
			}
		})
	}
}

// TestACopyThatWasGivenUpAnswersNothing: what its keeper had sent before it heard comes late, and must
// not pass for an answer of the copy that takes its place.
func TestACopyThatWasGivenUpAnswersNothing(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := JournalRef{ID: 7, Origin: "b", Boot: 1}
	o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 5, Next: 5})
	for _, w := range effectsOf[WriteReplica](o.Member) {
		o.Written(o.now, w.Token)
	}
	o.replicas.append("b", &Append{Journal: ref, First: 5, Next: 8, Frames: []byte("frames")})
	o.replicas.copies[ref.ID].unknown = true
	o.Examined(o.now, ref.ID, 6)
	o.replicas.append("b", &Append{Journal: ref, First: 8, Next: 9, Frames: []byte("frames")})
	for _, w := range effectsOf[WriteReplica](o.Member) {
		o.Written(o.now, w.Token)
	}
	if answers := sentTo[*Appended](o.Effects(), "b"); len(answers) != 0 {
		t.Errorf("it answered %d times that it reaches to %d", len(answers), answers[0].Next)
	}
}

// TestAFollowerThatGetsNowhereIsBegunAgain: it answers all the time, with less than it is known to
// have.
func TestAFollowerThatGetsNowhereIsBegunAgain(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	chosen := o.view.Followers("a")[0]
	ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
	o.Keep(o.now, ref)
	o.Synced(o.now, ref.ID, 99)
	o.replication.appended(chosen, &Appended{Journal: ref.ID, Next: 50})
	f := o.replication.journals[ref.ID].followers[chosen]
	f.next = 60
	for range 8 {
		o.now = o.now.Add(BeginAfter / 7)
		o.Tick(o.now)
		o.replication.appended(chosen, &Appended{Journal: ref.ID, Next: 10})
	}
	if f.next != 10 { // it goes on from what is there
		t.Errorf("the copy was not begun again: %d is sent next, want 10", f.next)
	}
}
