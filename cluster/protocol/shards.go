package protocol

import (
	"slices"

	"pannier/cluster/placement"
	"pannier/engine"
)

// shards replicate the retry state: a change that the owner makes is durable when every live
// replica of its shard has it (I2). Not safe for concurrent use.
type shards struct {
	member *Member
	owned  map[int]bool
	groups map[uint64]*group // not durable yet, by token
	// unsettled counts the groups of each shard.
	unsettled map[int]int
}

// group is one change that waits for its replicas.
type group struct {
	token   uint64
	shard   int
	entries []engine.Entry
	here    bool // synced on this member
	waiting map[placement.MemberID]bool
}

func newShards(m *Member) *shards {
	return &shards{member: m, owned: make(map[int]bool), groups: make(map[uint64]*group), unsettled: make(map[int]int)}
}

// store writes a change of a shard here and on the shard's replicas.
func (s *shards) store(shard int, entries []engine.Entry) (token uint64) {
	stamp := s.member.clock.Next(s.member.now)
	for i := range entries {
		entries[i].Stamp = stamp
	}
	g := &group{shard: shard, entries: entries, waiting: make(map[placement.MemberID]bool)}
	g.token = s.member.await(func() {
		g.here = true
		s.settle(g)
	})
	s.groups[g.token] = g
	s.unsettled[shard]++
	s.member.reconciling.touch(shard)
	s.member.emit(WriteEntries{Token: g.token, Shard: shard, Entries: entries})
	for _, id := range s.member.view.Replicas(shard) {
		s.ask(g, id)
	}
	s.tellComing(g)
	return g.token
}

// tellComing lets members that join now have the change too, without waiting for them: what they
// were told of the shard before would never be all of it otherwise.
func (s *shards) tellComing(g *group) {
	if s.member.coming == nil {
		return
	}
	for _, id := range s.member.coming.Replicas(g.shard) {
		if id != s.member.id && !s.member.view.IsReplica(g.shard, id) {
			s.member.send(id, &Group{Shard: g.shard, Entries: g.entries})
		}
	}
}

func (s *shards) ask(g *group, id placement.MemberID) {
	if id != s.member.id && s.member.sees(id) && !g.waiting[id] {
		g.waiting[id] = true
		s.member.send(id, &Group{Token: g.token, Shard: g.shard, Entries: g.entries})
	}
}

// settle reports a group that is everywhere it must be.
func (s *shards) settle(g *group) {
	if g.here && len(g.waiting) == 0 && s.groups[g.token] == g {
		delete(s.groups, g.token)
		if s.unsettled[g.shard]--; s.unsettled[g.shard] == 0 {
			delete(s.unsettled, g.shard)
		}
		s.member.emit(Durable{Token: g.token})
	}
}

// receive writes a change of another member and answers once it is synced.
func (s *shards) receive(from placement.MemberID, m *Group) {
	s.member.reconciling.touch(m.Shard)
	s.member.reconciling.learn(m.Shard)
	s.write(m.Shard, m.Entries, func() {
		if m.Token != 0 {
			s.member.send(from, &GroupStored{Token: m.Token})
		}
	})
}

// write merges entries that come from another member; an owner is told of them.
func (s *shards) write(shard int, entries []engine.Entry, then func()) {
	for i := range entries {
		// A stamp too far ahead is refused where the peer's messages are taken in.
		_ = s.member.clock.Witness(entries[i].Stamp, s.member.now)
	}
	token := s.member.await(func() {
		if s.owned[shard] {
			s.member.emit(Merged{Shard: shard, Entries: entries})
		}
		then()
	})
	s.member.emit(WriteEntries{Token: token, Shard: shard, Entries: entries})
}

func (s *shards) stored(from placement.MemberID, m *GroupStored) {
	if g := s.groups[m.Token]; g != nil {
		delete(g.waiting, from)
		s.settle(g)
	}
}

// lost ends the waiting for a peer: what is left of the replicas is enough (I2 asks for as
// many as live), and whoever takes its place is asked by viewed.
func (s *shards) lost(peer placement.MemberID) {
	for _, g := range sorted(s.groups) {
		delete(g.waiting, peer)
	}
}

// viewed takes the new placement in.
func (s *shards) viewed() {
	for _, g := range sorted(s.groups) {
		for _, id := range s.member.view.Replicas(g.shard) {
			s.ask(g, id)
		}
		s.settle(g)
	}
	var gained, lost []int
	for shard := range engine.Shards {
		switch mine := s.member.view.Owner(shard) == s.member.id; {
		case mine && !s.owned[shard]:
			s.owned[shard] = true
			gained = append(gained, shard)
		case !mine && s.owned[shard]:
			delete(s.owned, shard)
			lost = append(lost, shard)
		}
	}
	if len(lost) > 0 {
		s.member.emit(Lost{Shards: lost})
	}
	if len(gained) > 0 {
		s.member.emit(Gained{Shards: gained})
	}
}

// replicas are the members that must have a shard's state.
func (s *shards) replicas(shard int) []placement.MemberID { return s.member.view.Replicas(shard) }

func (s *shards) isReplica(shard int) bool {
	return slices.Contains(s.replicas(shard), s.member.id)
}
