package protocol

import (
	"cmp"
	"testing"
	"time"

	"pannier/engine"
)

// orphan is the journal of a life that is over, with a copy on member a.
func orphan(o *owner, base, next uint64) JournalRef {
	ref := JournalRef{ID: 7, Origin: "gone", Boot: 1}
	o.replicas.copies[ref.ID] = &replica{ref: ref, base: base, next: next, synced: next, release: next}
	return ref
}

// TestBetterCopyIsKept: which of two copies that reach equally far is kept.
func TestBetterCopyIsKept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		here    replica
		there   Holding
		isThere bool
	}{
		{"equal, kept there", replica{base: 1}, Holding{Base: 1, Keeping: true}, true},
		{"begun earlier here, kept there", replica{base: 1}, Holding{Base: 9, Keeping: true}, false},
		{"begun earlier there", replica{base: 9}, Holding{Base: 1}, true},
		{"longer here, begun earlier and kept there", replica{base: 9, next: 21}, Holding{Base: 1, Keeping: true}, false},
		{"longer here, damaged", replica{base: 1, next: 21, damage: 12}, Holding{Base: 9}, true},
		{"damaged here", replica{base: 1, damage: 12}, Holding{Base: 9}, true},
		{"damaged there, kept there", replica{base: 9}, Holding{Base: 1, Keeping: true, Damage: 12}, false},
		{"damaged there behind the end here", replica{base: 1, next: 12}, Holding{Base: 1, Damage: 15}, true},
		{"damaged here below the release point", replica{base: 1, damage: 11}, Holding{Base: 9}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			ref := JournalRef{ID: 7, Origin: "gone", Boot: 1}
			here := tt.here
			here.ref, here.next, here.release = ref, cmp.Or(here.next, 20), min(12, cmp.Or(here.next, 20))
			here.synced = here.next
			o.replicas.copies[ref.ID] = &here
			there := tt.there
			there.Journal, there.Next, there.Release = ref, 20, 12
			o.custody.heard["b"] = heard{at: o.now, journals: map[engine.JournalID]Holding{ref.ID: there}}
			if got := o.custody.best(&here).member; (got == "b") != tt.isThere {
				t.Errorf("%s is to keep the journal", got)
			}
		})
	}
}

// TestLongerCopyOutlivesTheEndOfAShorterOne: a member that kept a journal with a copy of what was
// undischarged alone tells that it is over. What a longer copy holds is still to be listed.
func TestLongerCopyOutlivesTheEndOfAShorterOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		base, next uint64
		stays      bool
	}{
		{"begun before", 1, 12, true},
		{"begun before, ends before", 1, 7, true},
		{"begun there", 9, 12, false},
		{"begun later", 10, 12, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			ref := orphan(o, tt.base, tt.next)
			o.replicas.copies[ref.ID].release = 5
			o.replicas.copies[ref.ID].state = []byte("an account of before")
			for range 2 { // it is told every second
				o.custody.hear("b", &Holdings{Finished: []Ending{{Journal: ref.ID, Base: 9, Next: 12}}})
			}
			c := o.replicas.copies[ref.ID]
			if (c != nil) != tt.stays {
				t.Fatalf("the copy is there: %t, want %t", c != nil, tt.stays)
			}
			if c == nil {
				return
			}
			if c.release != tt.next || c.state != nil {
				t.Errorf("the copy is discharged below %d, with account %q; want all of it and none", c.release, c.state)
			}
			o.custody.hear("c", &Holdings{})
			o.Effects()
			if o.Tick(o.now.Add(AdoptGrace)); !o.custody.keeping[ref.ID] {
				t.Fatal("the longer copy is not kept")
			}
			o.Effects()
			o.custody.hear("b", &Holdings{Finished: []Ending{{Journal: ref.ID, Base: 9, Next: 12}}})
			if n := len(effectsOf[Relinquish](o.Member)); n != 0 {
				t.Error("the longer copy is given up when the end of the shorter one is told again")
			}
			o.Finish(o.now, ref.ID)
			if o.replicas.copies[ref.ID] != nil || o.custody.holdings().Finished[0] != (Ending{Journal: ref.ID, Base: 1, Next: tt.next}) {
				t.Errorf("after its own end it tells %+v", o.custody.holdings())
			}
		})
	}
}

// TestCopyOfAnEarlierLifeIsExaminedFirst: whether a disk has lost some of it decides who keeps the
// journal.
func TestCopyOfAnEarlierLifeIsExaminedFirst(t *testing.T) {
	t.Parallel()
	ref := JournalRef{ID: 7, Origin: "gone", Boot: 1}
	for _, tt := range []struct {
		name   string
		damage uint64
		adopts bool
	}{
		{"whole", 0, true},
		{"damaged below the release point", 4, true},
		{"damaged", 5, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOwner(t)
			m := NewMember(Options{
				Self: activeMember("a"), Replication: 2, Table: engine.NewTable(nil),
				Copies: []Copy{{Journal: ref, Base: 1, Next: 12, Release: 5}},
			}, o.now)
			m.View(o.now, o.view.Members())
			if n := len(effectsOf[Examine](m)); n != 1 {
				t.Fatalf("%d copies are examined, want 1", n)
			}
			for _, other := range m.peers() {
				m.custody.hear(other, &Holdings{Journals: []Holding{{Journal: ref, Base: 9, Next: 12, Release: 5}}})
			}
			if m.Tick(o.now.Add(StartGrace + time.Second)); m.custody.keeping[ref.ID] {
				t.Fatal("it was adopted before it was examined")
			}
			m.Examined(o.now.Add(StartGrace+time.Second), ref.ID, tt.damage)
			m.Tick(o.now.Add(StartGrace + 2*time.Second))
			if m.custody.keeping[ref.ID] != tt.adopts {
				t.Errorf("adopted: %t, want %t", m.custody.keeping[ref.ID], tt.adopts)
			}
		})
	}
}

// TestDamagedCopyIsBegunAgain: its keeper has all of it.
func TestDamagedCopyIsBegunAgain(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := JournalRef{ID: 7, Origin: "b", Boot: 1}
	o.replicas.copies[ref.ID] = &replica{ref: ref, base: 1, next: 12, synced: 12, release: 5, unknown: true}
	o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 5, Next: 5})
	o.Effects()
	o.Examined(o.now, ref.ID, 8)
	if told := sentTo[*Appended](o.Effects(), "b"); len(told) != 1 || told[0].Next != unfollowed {
		t.Fatal("the keeper does not hear that the copy is damaged")
	}
	o.replicas.append("b", &Append{Journal: ref, Begin: true, First: 5, Next: 5})
	if c := o.replicas.copies[ref.ID]; c.base != 5 || c.next != 5 || c.damaged() != 0 {
		t.Errorf("the copy reaches from %d to %d, damaged at %d; want an empty one from 5", c.base, c.next, c.damaged())
	}
}

// TestAdoptionThatFailedIsTriedAgain: the disk could not be read for a moment.
func TestAdoptionThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := orphan(o, 1, 12)
	for _, other := range o.peers() {
		o.custody.hear(other, &Holdings{})
	}
	now := o.now
	for range 2 {
		now = now.Add(AdoptGrace)
		if o.Tick(now); !o.custody.keeping[ref.ID] || len(o.Orphans()) != 0 {
			t.Fatalf("at %s the journal is not kept, %v wait", now, o.Orphans())
		}
		if n := len(effectsOf[Adopt](o.Member)); n != 1 {
			t.Fatalf("%d adoptions, want 1", n)
		}
		if o.AdoptFailed(now, ref.ID); len(o.Orphans()) != 1 || o.Keeps(ref.ID) {
			t.Fatalf("after the failure %v wait, want the journal", o.Orphans())
		}
		if o.Tick(now); o.custody.keeping[ref.ID] {
			t.Fatal("it is tried again at once")
		}
		o.Effects()
	}
}

// TestAccountThatIsTooLongIsLeftOut: it could not be sent.
func TestAccountThatIsTooLongIsLeftOut(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	ref := JournalRef{ID: 7, Origin: "a", Boot: 1}
	o.Keep(o.now, ref)
	o.Synced(o.now, ref.ID, 9)
	for _, tt := range []struct{ bytes, want int }{{MaxAccountBytes, MaxAccountBytes}, {MaxAccountBytes + 1, 0}} {
		o.Checkpoint(o.now, ref.ID, 5, make([]byte, tt.bytes))
		if got := len(o.replication.journals[ref.ID].state); got != tt.want || o.replication.journals[ref.ID].release != 5 {
			t.Errorf("an account of %d bytes is kept with %d, want %d", tt.bytes, got, tt.want)
		}
	}
}
