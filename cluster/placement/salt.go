package placement

import "pannier/engine"

// Salts is how many places a member chooses from when it joins.
const Salts = 256

// ChooseSalt finds the place for a member with which shards lie most evenly on it and on the
// others, from 1 to Salts. Drawn places leave a member of sixteen with a quarter more shards
// than its share; the best of 256 with a twentieth. It is chosen once in the life of a disk:
// what a member says of its place must not change, or shards would move between members that
// stay.
func ChooseSalt(others []Member, self MemberID) uint16 {
	owners := make([]int, engine.Shards) // positions in others
	scores := make([]uint64, engine.Shards)
	placed := 0
	for n, m := range others {
		if m.ID == self || m.State == Draining {
			continue
		}
		placed++
		seed := m.seed()
		for shard := range owners {
			if s := score(seed, uint64(shard)); placed == 1 || s > scores[shard] {
				owners[shard], scores[shard] = n, s
			}
		}
	}
	if placed == 0 {
		return 1 // one place is like the other
	}
	best, least := uint16(1), engine.Shards
	for salt := uint16(1); salt <= Salts; salt++ {
		owned := make([]int, len(others)+1)
		seed := Member{ID: self, Salt: salt}.seed()
		for shard, owner := range owners {
			if score(seed, uint64(shard)) > scores[shard] {
				owner = len(others)
			}
			owned[owner]++
		}
		if off := farthest(owned, engine.Shards/(placed+1)); off < least {
			best, least = salt, off
		}
	}
	return best
}

// farthest is how many shards a member that has some is off its share at most.
func farthest(owned []int, share int) (off int) {
	for _, shards := range owned {
		if shards > 0 { // a member that is draining has none
			off = max(off, shards-share, share-shards)
		}
	}
	return off
}
