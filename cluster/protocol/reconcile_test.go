package protocol

import (
	"slices"
	"testing"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

// owner is a member of a cluster of three with two copies, and a shard that it owns.
type owner struct {
	*Member
	shard             int
	replica, outsider placement.MemberID
	now               time.Time
}

func newOwner(t *testing.T) *owner {
	t.Helper()
	o := &owner{now: time.Unix(1_700_000_000, 0)}
	o.Member = NewMember(Options{Self: activeMember("a"), Replication: 2, Table: engine.NewTable(nil)}, o.now)
	o.View(o.now, []placement.Member{activeMember("a"), activeMember("b"), activeMember("c")})
	for !o.shards.owned[o.shard] {
		o.shard++
	}
	o.replica = o.ReplicasOf(o.shard)[1]
	o.outsider = placement.MemberID("b")
	if o.replica == "b" {
		o.outsider = "c"
	}
	o.Effects()
	return o
}

func activeMember(id placement.MemberID) placement.Member {
	return placement.Member{ID: id, Boot: 1, State: placement.Active}
}

// compare has a holder compare the shard, which is empty everywhere, and tells whether its copy
// is released.
func (o *owner) compare(t *testing.T, holder placement.MemberID) (same, released bool) {
	t.Helper()
	o.reconciling.digest(holder, &ShardDigest{Sums: []ShardSum{{Shard: o.shard}}})
	return o.answered(holder)
}

func (o *owner) answered(holder placement.MemberID) (same, released bool) {
	for _, answer := range sentTo[*ShardSame](o.Effects(), holder) {
		same = same || slices.Contains(answer.Shards, o.shard)
		released = released || slices.Contains(answer.Released, o.shard)
	}
	return same, released
}

func TestCopyIsReleasedOnceEveryReplicaHasTheSame(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	if same, released := o.compare(t, o.outsider); !same || released {
		t.Errorf("before the replica compared: same %v, released %v, want true, false", same, released)
	}
	o.compare(t, o.replica)
	if same, released := o.compare(t, o.outsider); !same || !released {
		t.Errorf("after the replica compared: same %v, released %v, want true, true", same, released)
	}
}

func TestCopyOfAReplicaIsNotReleased(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	if _, released := o.compare(t, o.replica); released {
		t.Error("a member that the owner counts on was told to give its copy up")
	}
}

func TestCopyIsNotReleasedWhileReplicasAreMissing(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	joining := activeMember(o.outsider)
	joining.State = placement.Joining
	o.View(o.now, []placement.Member{activeMember("a"), joining})
	o.Effects()
	if _, released := o.compare(t, o.outsider); released {
		t.Error("the second copy was given up although there is no other replica")
	}
}

func TestCopyIsNotReleasedWhileAChangeIsOnItsWay(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	o.compare(t, o.replica)
	entry := engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryDelivery, Subscription: "s", Key: "k"}, Value: []byte("v")}
	token := o.Store(o.now, o.shard, []engine.Entry{entry})
	o.Written(o.now, token)
	o.Effects()
	o.reconciling.digest(o.outsider, &ShardDigest{Sums: []ShardSum{{Shard: o.shard}}})
	for scan := range o.scans {
		o.Scanned(o.now, scan, nil)
	}
	if _, released := o.answered(o.outsider); released {
		t.Error("a copy was given up although the replica may not have the latest change")
	}
}

func TestComparisonThatBeganBeforeAMergeSaysNothing(t *testing.T) {
	t.Parallel()
	o := newOwner(t)
	o.reconciling.touch(o.shard)
	o.reconciling.digest(o.replica, &ShardDigest{Sums: []ShardSum{{Shard: o.shard}}})
	entry := engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryDelivery, Subscription: "s", Key: "k"}, Stamp: 1}
	o.reconciling.entries(o.outsider, &ShardEntries{Shard: o.shard, Entries: []engine.Entry{entry}, Last: true})
	for scan := range o.scans {
		o.Scanned(o.now, scan, nil)
	}
	if same, _ := o.answered(o.replica); same || slices.Contains(o.reconciling.same[o.shard], o.replica) {
		t.Error("the replica counts as the same although the owner has learned more meanwhile")
	}
}
