package protocol

import (
	"testing"

	"pannier/cluster/placement"
	"pannier/engine"
)

// TestFollowerIsGivenWhatCameBefore: once it has followed for a while, part by part, until its copy
// reaches back as far as the keeper's.
func TestFollowerIsGivenWhatCameBefore(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	chosen := o.view.Followers("a")[0]
	ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
	o.Keep(o.now, ref)
	o.Synced(o.now, ref.ID, 99)
	o.Checkpoint(o.now, ref.ID, 90, nil)
	o.replication.appended(chosen, &Appended{Journal: ref.ID, Base: 90, Next: 100})
	reads := func() []ReadBefore { return effectsOf[ReadBefore](o.Member) }
	o.Effects()
	if o.Tick(o.now.Add(ReplicateAfter - 1)); len(reads()) != 0 {
		t.Error("it is given something before it has followed for long enough")
	}
	at := o.now.Add(ReplicateAfter)
	for _, part := range []struct{ before, first uint64 }{{90, 40}, {40, 10}} {
		o.Tick(at)
		got := reads()
		if len(got) != 1 || got[0].Before != part.before || got[0].To != chosen {
			t.Fatalf("%+v are read, want what lies before %d", got, part.before)
		}
		if o.Tick(at); len(reads()) != 0 {
			t.Error("two parts are under way at a time")
		}
		o.FramesBefore(at, got[0], part.first, []byte("frames"))
		o.replication.appended(chosen, &Appended{Journal: ref.ID, Base: part.before, Next: 100}) // an answer of before
		if o.Tick(at); len(reads()) != 0 {
			t.Error("the next part is read before the last one is there")
		}
		o.replication.appended(chosen, &Appended{Journal: ref.ID, Base: part.first, Next: 100})
	}
	o.Tick(at)
	read := reads()[0]
	o.FramesBefore(at, read, read.Before, nil) // the rest has left the retention
	if sent := sentTo[*Prepend](o.Effects(), chosen); len(sent) != 1 || sent[0].First != 1 || sent[0].Next != 10 || len(sent[0].Frames) != 0 {
		t.Error("it does not hear that nothing more is retained")
	}
	o.replication.appended(chosen, &Appended{Journal: ref.ID, Base: 1, Next: 100})
	if o.Tick(at); len(reads()) != 0 {
		t.Error("a copy that reaches back as far as the keeper's is given more")
	}
}

// TestOnlyWhatFitsIsPrepended: what does not end where the copy begins, or comes from a member that
// does not keep the journal, is of another time.
func TestOnlyWhatFitsIsPrepended(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		from   placement.MemberID
		next   uint64
		answer uint64 // the base that is told; 0: nothing is
	}{
		{"fits", "b", 9, 5},
		{"ends before", "b", 8, 0},
		{"ends behind", "b", 10, 0},
		{"of another member", "c", 9, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			ref := JournalRef{ID: 7, Origin: "b", Boot: 1}
			o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 9, Next: 9})
			o.Effects()
			o.replicas.prepend(tt.from, &Prepend{Journal: 99, First: 5, Next: 9})
			o.replicas.prepend(tt.from, &Prepend{Journal: ref.ID, First: 5, Next: tt.next, Frames: []byte("frames")})
			for _, w := range effectsOf[PrependReplica](o.Member) {
				o.Written(o.now, w.Token)
			}
			var told uint64
			for _, a := range sentTo[*Appended](o.Effects(), tt.from) {
				told = a.Base
			}
			if told != tt.answer {
				t.Errorf("it tells that the copy reaches back to %d, want %d", told, tt.answer)
			}
		})
	}
}

// TestOnePartAtATimeToAMember, however many journals it follows; one that is not answered for long is
// sent again.
func TestOnePartAtATimeToAMember(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	chosen := o.view.Followers("a")[0]
	for id := range engine.JournalID(3) {
		ref := JournalRef{ID: id + 1, Origin: "a", Boot: 1}
		o.Keep(o.now, ref)
		o.Synced(o.now, ref.ID, 99)
		o.replication.appended(chosen, &Appended{Journal: ref.ID, Base: 90, Next: 100})
	}
	reads := func() (n int) {
		o.Tick(o.now)
		return len(effectsOf[ReadBefore](o.Member))
	}
	o.now = o.now.Add(ReplicateAfter)
	if got := reads(); got != 1 {
		t.Errorf("%d parts are read at once, want 1", got)
	}
	o.now = o.now.Add(fillAgain - 1)
	if got := reads(); got != 0 {
		t.Errorf("%d parts are read while one is on its way", got)
	}
	o.now = o.now.Add(1)
	if got := reads(); got != 1 {
		t.Errorf("%d parts are read after one was not answered, want 1", got)
	}
}
