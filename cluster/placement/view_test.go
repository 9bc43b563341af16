package placement_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pannier/cluster/placement"
	"pannier/engine"
)

// ids draws names of members as they are: drawn at random.
func ids(t *rapid.T, low, high int) []placement.MemberID {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) placement.MemberID {
		return placement.MemberID(fmt.Sprintf("mem_%016x", rapid.Uint64().Draw(t, "id")))
	}), low, high, rapid.ID[placement.MemberID]).Draw(t, "members")
}

func active(ids ...placement.MemberID) (members []placement.Member) {
	for _, id := range ids {
		members = append(members, placement.Member{ID: id, Boot: 1, State: placement.Active})
	}
	return members
}

// TestJoinMovesOnlyToTheNewcomer: whatever a member that joins does not take stays where it
// is, and it takes about its share.
func TestJoinMovesOnlyToTheNewcomer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		members := joined(ids(t, 2, 16))
		newcomer := members[len(members)-1].ID
		before := placement.NewView(members[:len(members)-1], 3)
		after := placement.NewView(members, 3)
		moved := 0
		for shard := range engine.Shards {
			was, is := before.Owner(shard), after.Owner(shard)
			if was == is {
				continue
			}
			moved++
			if is != newcomer {
				t.Fatalf("shard %d moved from %s to %s, which both stay", shard, was, is)
			}
			if n := len(members); n > 3 && !slices.Contains(after.Replicas(shard), was) {
				t.Fatalf("shard %d: the old owner %s is no replica", shard, was)
			}
		}
		share := float64(engine.Shards) / float64(len(members))
		if off := float64(moved)/share - 1; off > 0.1 || off < -0.1 {
			t.Fatalf("%d shards moved, want about %.0f", moved, share)
		}
	})
}

// TestRankOneTakesOver: when an owner goes, the second replica, which has its state, owns the
// shard.
func TestRankOneTakesOver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		members := ids(t, 3, 9)
		before := placement.NewView(active(members...), 2)
		gone := members[0]
		after := placement.NewView(active(members[1:]...), 2)
		for shard := range engine.Shards {
			want := before.Owner(shard)
			if want == gone {
				want = before.Replicas(shard)[1]
			}
			if got := after.Owner(shard); got != want {
				t.Fatalf("shard %d: owner %s, want %s", shard, got, want)
			}
		}
	})
}

func TestViewCountsOnlyActiveMembersAndNewestLives(t *testing.T) {
	t.Parallel()
	v := placement.NewView([]placement.Member{
		{ID: "a", Boot: 1, State: placement.Active},
		{ID: "a", Boot: 2, State: placement.Joining},
		{ID: "b", Boot: 1, State: placement.Draining},
		{ID: "c", Boot: 1, State: placement.Active},
	}, 2)
	if got := len(v.Members()); got != 3 {
		t.Errorf("members: %d, want 3", got)
	}
	if v.Lives("a", 1) || !v.Lives("a", 2) {
		t.Error("the newest life of a counts")
	}
	for shard := range engine.Shards {
		if got := v.Replicas(shard); !slices.Equal(got, []placement.MemberID{"c"}) {
			t.Fatalf("shard %d: replicas %v, want only the active member", shard, got)
		}
	}
	if got := v.Followers("c"); len(got) != 0 {
		t.Errorf("followers of c: %v, want none", got)
	}
	if got := placement.NewView(nil, 2).Owner(0); got != "" {
		t.Errorf("owner without members: %q, want none", got)
	}
}

func TestReplicationIsBounded(t *testing.T) {
	t.Parallel()
	members := active("a", "b", "c", "d", "e", "f", "g")
	for _, tt := range []struct{ asked, want int }{
		{0, 1}, {1, 1}, {placement.MaxReplication, placement.MaxReplication}, {placement.MaxReplication + 1, placement.MaxReplication},
	} {
		if got := len(placement.NewView(members, tt.asked).Replicas(0)); got != tt.want {
			t.Errorf("replication %d: %d replicas, want %d", tt.asked, got, tt.want)
		}
	}
}
