package placement

import (
	"slices"

	"pannier/engine"
)

// Salts is how many places a member chooses from when it joins.
const Salts = 256

// ChooseSalt finds the place for a member with which shards lie most evenly on it and on the
// others, from 1 to Salts. Drawn places leave a member of sixteen with a quarter more shards
// than its share; the best of 256 with a twentieth. It is chosen once in the life of a disk:
// what a member says of its place must not change, or shards would move between members that
// stay.
func ChooseSalt(others []Member, self MemberID) uint16 {
	owners := make([]int, engine.Shards) // positions among those that are placed
	scores := make([]uint64, engine.Shards)
	placed := 0
	for _, m := range others {
		if m.ID == self || m.State == Draining {
			continue
		}
		seed := m.seed()
		for shard := range owners {
			if s := score(seed, uint64(shard)); placed == 0 || s > scores[shard] {
				owners[shard], scores[shard] = placed, s
			}
		}
		placed++
	}
	if placed == 0 {
		return 1 // one place is like the other
	}
	best, least := uint16(1), engine.Shards
	for salt := uint16(1); salt <= Salts; salt++ {
		owned := make([]int, placed+1)
		seed := Member{ID: self, Salt: salt}.seed()
		for shard, owner := range owners {
			if score(seed, uint64(shard)) > scores[shard] {
				owner = placed
			}
			owned[owner]++
		}
		share := engine.Shards / len(owned)
		if off := max(slices.Max(owned)-share, share-slices.Min(owned)); off < least {
			best, least = salt, off
		}
	}
	return best
}
