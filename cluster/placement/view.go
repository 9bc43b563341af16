package placement

import (
	"cmp"
	"slices"

	"pannier/engine"

	"github.com/cespare/xxhash/v2"
)

// MaxReplication is the most copies that can be asked for: more protect from nothing that
// happens, and each costs a disk.
const MaxReplication = 5

// View is the members that one member sees, and what follows from them. It is immutable and
// safe for concurrent use.
type View struct {
	members     []Member // one a member, in order of ID
	active      []int    // positions in members
	replication int
	replicas    [][]MemberID // by shard, in order of rank
}

// NewView makes the view of these members: of several lives of one member the newest counts.
// Each shard has up to replication replicas.
func NewView(members []Member, replication int) *View {
	v := &View{replication: min(max(replication, 1), MaxReplication)}
	v.members = slices.Clone(members)
	slices.SortFunc(v.members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(b.Boot, a.Boot))
	})
	v.members = slices.CompactFunc(v.members, func(a, b Member) bool { return a.ID == b.ID })
	for n, m := range v.members {
		if m.State == Active {
			v.active = append(v.active, n)
		}
	}
	v.place()
	return v
}

// place ranks the active members for every shard.
func (v *View) place() {
	seeds := make([]uint64, len(v.members))
	for n, m := range v.members {
		seeds[n] = m.seed()
	}
	v.replicas = make([][]MemberID, engine.Shards)
	count := min(len(v.active), v.replication)
	all := make([]MemberID, engine.Shards*count) // of every shard, one after the other
	ranked := make([]ranking, 0, len(v.active))
	for shard := range v.replicas {
		ranked = ranked[:0]
		for _, n := range v.active {
			ranked = append(ranked, ranking{n, score(seeds[n], uint64(shard))})
		}
		slices.SortFunc(ranked, ranking.compare)
		v.replicas[shard], all = all[:count:count], all[count:]
		for rank, r := range ranked[:count] {
			v.replicas[shard][rank] = v.members[r.member].ID
		}
	}
}

// ranking is how well a member fits.
type ranking struct {
	member int
	score  uint64
}

func (r ranking) compare(other ranking) int {
	return cmp.Or(cmp.Compare(other.score, r.score), cmp.Compare(r.member, other.member))
}

// score mixes a member with what is to be placed (SplitMix64, Steele et al. 2014): each pair
// gets a number that looks drawn at random, so a member that comes takes its share evenly from
// the others and nothing moves between those.
func score(member, what uint64) uint64 {
	x := member ^ (what+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Members lists the members in order of ID; it is not to be changed.
func (v *View) Members() []Member { return v.members }

// Member finds one.
func (v *View) Member(id MemberID) (Member, bool) {
	n, found := slices.BinarySearchFunc(v.members, id, func(m Member, id MemberID) int { return cmp.Compare(m.ID, id) })
	if !found {
		return Member{}, false
	}
	return v.members[n], true
}

// Lives tells whether this very life of a member is seen.
func (v *View) Lives(id MemberID, boot uint64) bool {
	m, found := v.Member(id)
	return found && m.Boot == boot
}

// Active counts the active members.
func (v *View) Active() int { return len(v.active) }

// Replication is how many copies are asked for.
func (v *View) Replication() int { return v.replication }

// Replicas are the members that keep the shard's retry state, the owner first; fewer than
// asked for when fewer are active. Not to be changed.
func (v *View) Replicas(shard int) []MemberID { return v.replicas[shard] }

// Owner is the member that makes the shard's attempts; "" while no member is active.
func (v *View) Owner(shard int) MemberID {
	if len(v.replicas[shard]) == 0 {
		return ""
	}
	return v.replicas[shard][0]
}

// IsReplica tells whether a member keeps the shard's retry state.
func (v *View) IsReplica(shard int, id MemberID) bool { return slices.Contains(v.replicas[shard], id) }

// Followers lists the other active members in the order in which they are asked to follow
// the journals of id. All journals of a member have the same followers, so that a request over
// several lanes is whole wherever it is found.
func (v *View) Followers(id MemberID) []MemberID {
	origin := xxhash.Sum64String(string(id))
	ranked := make([]ranking, 0, len(v.active))
	for _, n := range v.active {
		if v.members[n].ID != id {
			ranked = append(ranked, ranking{n, score(xxhash.Sum64String(string(v.members[n].ID)), origin)})
		}
	}
	slices.SortFunc(ranked, ranking.compare)
	followers := make([]MemberID, len(ranked))
	for n, r := range ranked {
		followers[n] = v.members[r.member].ID
	}
	return followers
}

// KeptShards counts the shards of which each member is a replica.
func (v *View) KeptShards() map[MemberID]int {
	kept := make(map[MemberID]int, len(v.active))
	for shard := range v.replicas {
		for _, id := range v.replicas[shard] {
			kept[id]++
		}
	}
	return kept
}

// OwnedShards counts the shards of each owner.
func (v *View) OwnedShards() map[MemberID]int {
	owned := make(map[MemberID]int, len(v.active))
	for shard := range v.replicas {
		if owner := v.Owner(shard); owner != "" {
			owned[owner]++
		}
	}
	return owned
}
