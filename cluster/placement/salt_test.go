package placement_test

import (
	"testing"

	"pgregory.net/rapid"

	"pannier/cluster/placement"
	"pannier/engine"
)

// joined makes active members that joined one after the other.
func joined(ids []placement.MemberID) (members []placement.Member) {
	for _, id := range ids {
		salt := placement.ChooseSalt(members, id)
		members = append(members, placement.Member{ID: id, Boot: 1, State: placement.Active, Salt: salt})
	}
	return members
}

// TestShardsLieWithinATenthOfTheirShare: on 3 to 16 members that joined one after the other.
func TestShardsLieWithinATenthOfTheirShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		members := joined(ids(t, 3, 16))
		share := float64(engine.Shards) / float64(len(members))
		for id, owned := range placement.NewView(members, 2).OwnedShards() {
			if off := float64(owned)/share - 1; off > 0.1 || off < -0.1 {
				t.Errorf("%d members: %s owns %d shards, its share is %.0f", len(members), id, owned, share)
			}
		}
	})
}

// TestChooseSaltPassesOver: a member does not count itself, nor members that drain.
func TestChooseSaltPassesOver(t *testing.T) {
	t.Parallel()
	others := joined([]placement.MemberID{"mem_a", "mem_b", "mem_c"})
	want := placement.ChooseSalt(others, "mem_d")
	if want < 1 || want > placement.Salts {
		t.Fatalf("salt %d, want 1 to %d", want, placement.Salts)
	}
	self := placement.Member{ID: "mem_d", Boot: 2, State: placement.Joining}
	gone := placement.Member{ID: "mem_e", Boot: 1, State: placement.Draining, Salt: 7}
	if got := placement.ChooseSalt(append(others, self, gone), "mem_d"); got != want {
		t.Errorf("beside itself and a member that drains: salt %d, want %d", got, want)
	}
	if got := placement.ChooseSalt([]placement.Member{self}, "mem_d"); got != 1 {
		t.Errorf("alone: salt %d, want 1", got)
	}
}
