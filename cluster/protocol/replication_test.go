package protocol

import (
	"testing"

	"pannier/cluster/placement"
	"pannier/engine"
)

// committed is through where a journal is committed, by the effects of a member.
func committed(m *Member) (through uint64) {
	for _, e := range m.Effects() {
		if c, is := e.(Committed); is {
			through = max(through, c.Through)
		}
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
		o.custody.hear(keeper, &Holdings{Journals: []Holding{{Journal: ref, Next: 1}}})
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
