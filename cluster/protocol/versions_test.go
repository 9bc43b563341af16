package protocol

import (
	"slices"
	"testing"

	"pannier/cluster/placement"
	"pannier/engine"
)

// TestChangeOfAClockFarAheadIsRefused: it would win over every change made here until the clocks
// meet. Its maker hears that it is not in force here.
func TestChangeOfAClockFarAheadIsRefused(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	clock := NewClock("b")
	for _, tt := range []struct {
		name    string
		version *engine.Subscription
		refused bool
	}{
		{"a minute", &engine.Subscription{ID: "sub_1", Revision: uint64(clock.Next(o.now.Add(MaxClockSkew)))}, false},
		{"more", &engine.Subscription{ID: "sub_2", Revision: uint64(clock.Next(o.now.Add(MaxClockSkew + 1e6)))}, true},
	} {
		o.versions.receive("b", &Versions{Token: 7, Versions: []*engine.Subscription{tt.version}})
		effects := o.Effects()
		ahead := slices.Contains(effects, Effect(ClockAhead{From: "b"}))
		for _, write := range pick[WriteVersions](effects) {
			o.Written(o.now, write.Token)
		}
		n := 0
		for _, stored := range sentTo[*VersionsStored](append(effects, o.Effects()...), "b") {
			if stored.Token == 7 {
				n++
			}
		}
		if ahead != tt.refused || (n == 0) != tt.refused || o.versions.known(tt.version.ID) == tt.refused {
			t.Errorf("%s ahead: answered %d times, said to be ahead %t", tt.name, n, ahead)
		}
	}
}

// TestSilentMembersOfAChangeAreNamed: those that are seen and did not answer in time.
func TestSilentMembersOfAChangeAreNamed(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	token := o.PutVersion(o.now, &engine.Subscription{ID: "sub_1"})
	for _, write := range effectsOf[WriteVersions](o.Member) {
		o.Written(o.now, write.Token)
	}
	o.versions.stored("c", &VersionsStored{Token: token})
	propagated := func() []Propagated { return effectsOf[Propagated](o.Member) }
	if o.Tick(o.now.Add(PropagateFor - 1)); len(propagated()) != 0 {
		t.Error("the change was answered before every member had the time to")
	}
	o.Tick(o.now.Add(PropagateFor))
	got := propagated()
	if len(got) != 1 || got[0].Copies != 2 || !slices.Equal(got[0].Silent, []placement.MemberID{"b"}) {
		t.Errorf("answered %+v, want 2 copies and b silent", got)
	}
}
