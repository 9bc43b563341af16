package protocol

import (
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

const (
	// ReconcileEvery is how often a shard that differs, or may differ, is compared again.
	ReconcileEvery = 2 * time.Second
	// MaxComparing bounds the shards that a member compares at once.
	MaxComparing = 32
	// CompareAgainAfter is how often a replica compares a shard that nothing happened to.
	CompareAgainAfter = 5 * time.Minute
	// MaxPageBytes bounds the entries of one page.
	MaxPageBytes = 512 << 10
)

// reconciling makes the copies of a shard equal. Whoever has something of a shard, or must have
// it, compares with the owner until both have the same: after a join, a death, a partition or
// an absence it is always this one exchange.
//
//	holder                         owner
//	  │ ShardDigest ───────────────► │ the same: ShardSame
//	  │ ◄─────── ShardEntries, all ── │ other: all it has
//	  │ merge                        │
//	  │ ShardEntries, all ─────────► │ merge, tell the actors
//	  │ ShardDigest … until ShardSame
//
// A holder that is no replica gives its copy up once the owner says that every replica has it
// (I3). Not safe for concurrent use.
type reconciling struct {
	member *Member
	// due are the shards to compare with their owner, and when.
	due schedule
	// comparing are those under way, and when they are compared again if no answer comes.
	comparing schedule
	// holding are the shards of which something may be on disk here.
	holding map[int]bool
	// learned counts what came from others of each shard that this member owns: a comparison that
	// began before says nothing.
	learned map[int]uint64
	// written counts the writes of each shard that is held here, and compared is the count when
	// the owner was last told what is here.
	written, compared map[int]uint64
	// same are, of each shard that this member owns, the members that have the same.
	same map[int][]placement.MemberID
	// pulled are the shards of which this member has what their owner had when it was asked.
	pulled map[int]bool
}

func newReconciling(m *Member, holding []int) *reconciling {
	r := &reconciling{
		member: m, holding: make(map[int]bool),
		learned: make(map[int]uint64), written: make(map[int]uint64), compared: make(map[int]uint64), same: make(map[int][]placement.MemberID), pulled: make(map[int]bool),
	}
	for _, shard := range holding {
		r.holding[shard] = true
	}
	return r
}

// touch notes that something of a shard is on disk here. What this member need not have goes to
// the owner before long.
func (r *reconciling) touch(shard int) {
	r.holding[shard] = true
	r.written[shard]++
	if !r.due.has(shard) && !r.wants(shard) {
		r.due.set(shard, r.member.now.Add(ReconcileEvery))
	}
}

// wants tells whether this member must have a shard: it is a replica, or will be one.
func (r *reconciling) wants(shard int) bool {
	return r.member.shards.isReplica(shard) || r.member.future.IsReplica(shard, r.member.id)
}

// viewed compares every shard anew: who owns it or has copies may have changed.
func (r *reconciling) viewed() {
	r.comparing, r.due = schedule{}, schedule{}
	clear(r.same)
	clear(r.pulled)
	for shard := range engine.Shards {
		if !r.member.shards.owned[shard] && (r.wants(shard) || r.holding[shard]) {
			r.due.set(shard, r.member.now)
		}
	}
	r.ask()
}

// ask has the replicas of what this member owns compare: they may not know that this member
// missed them for a while, and that they missed changes.
func (r *reconciling) ask() {
	stale := make(map[placement.MemberID][]int)
	for _, shard := range sortedKeys(r.member.shards.owned) {
		for _, id := range r.member.shards.replicas(shard) {
			if id != r.member.id {
				stale[id] = append(stale[id], shard)
			}
		}
	}
	for _, id := range sortedKeys(stale) {
		r.member.send(id, &ShardAsk{Shards: stale[id]})
	}
}

// asked compares shards at the owner's wish.
func (r *reconciling) asked(m *ShardAsk) {
	for _, shard := range m.Shards {
		if !r.comparing.has(shard) && (r.wants(shard) || r.holding[shard]) {
			r.due.set(shard, r.member.now)
		}
	}
}

// tick compares what is due.
func (r *reconciling) tick() {
	for _, shard := range r.comparing.due(r.member.now) {
		r.comparing.clear(shard)
		r.due.set(shard, r.member.now)
	}
	empty := make(map[placement.MemberID][]ShardSum)
	scanning := 0
	for _, shard := range r.due.due(r.member.now) {
		owner := r.member.view.Owner(shard)
		if r.holding[shard] && scanning == MaxComparing {
			continue
		}
		r.due.clear(shard)
		if owner == r.member.id || !r.member.sees(owner) {
			continue // the next view says whom to compare with
		}
		r.comparing.set(shard, r.member.now.Add(ReconcileEvery))
		if !r.holding[shard] {
			empty[owner] = append(empty[owner], ShardSum{Shard: shard})
			continue
		}
		scanning++
		r.compare(shard)
	}
	for _, owner := range sortedKeys(empty) {
		r.member.send(owner, &ShardDigest{Sums: empty[owner]})
	}
}

// compare tells the owner what is here.
func (r *reconciling) compare(shard int) {
	r.compared[shard] = r.written[shard]
	r.member.scan(shard, func(entries []engine.Entry) {
		if owner := r.member.view.Owner(shard); owner != r.member.id {
			r.member.send(owner, &ShardDigest{Sums: []ShardSum{{shard, SumOf(entries)}}})
		}
	})
}

// digest answers a holder of shards that this member owns. Views may differ for a moment:
// what another member owns is not answered, and asked again.
func (r *reconciling) digest(from placement.MemberID, m *ShardDigest) {
	answer := &ShardSame{}
	for _, theirs := range m.Sums {
		switch {
		case !r.member.shards.owned[theirs.Shard]:
		case r.holding[theirs.Shard] || theirs.Sum != (Sum{}):
			learned := r.learned[theirs.Shard]
			r.member.scan(theirs.Shard, func(entries []engine.Entry) {
				if learned == r.learned[theirs.Shard] { // otherwise the holder asks again
					r.answer(from, theirs, entries)
				}
			})
		default:
			r.noteSame(from, theirs.Shard, answer)
		}
	}
	if len(answer.Shards) > 0 {
		r.member.send(from, answer)
	}
}

func (r *reconciling) answer(from placement.MemberID, theirs ShardSum, entries []engine.Entry) {
	if SumOf(entries) != theirs.Sum {
		r.same[theirs.Shard] = slices.DeleteFunc(r.same[theirs.Shard], func(id placement.MemberID) bool { return id == from })
		r.sendAll(from, theirs.Shard, entries)
		return
	}
	answer := &ShardSame{}
	r.noteSame(from, theirs.Shard, answer)
	r.member.send(from, answer)
}

func (r *reconciling) noteSame(from placement.MemberID, shard int, answer *ShardSame) {
	if !slices.Contains(r.same[shard], from) {
		r.same[shard] = append(r.same[shard], from)
	}
	answer.Shards = append(answer.Shards, shard)
	if replicas := r.member.shards.replicas(shard); len(replicas) >= r.member.copies &&
		!slices.Contains(replicas, from) && r.replicated(shard) {
		answer.Released = append(answer.Released, shard)
	}
}

// replicated tells whether every replica of an owned shard has the same, what is on its way to
// them included.
func (r *reconciling) replicated(shard int) bool {
	if r.member.shards.unsettled[shard] > 0 {
		return false
	}
	for _, id := range r.member.shards.replicas(shard) {
		if id != r.member.id && !slices.Contains(r.same[shard], id) {
			return false
		}
	}
	return true
}

func (r *reconciling) sendAll(to placement.MemberID, shard int, entries []engine.Entry) {
	var page []engine.Entry
	size := 0
	for i := range entries {
		if size += entries[i].Bytes(); size > MaxPageBytes {
			r.member.send(to, &ShardEntries{Shard: shard, Entries: page})
			page, size = nil, entries[i].Bytes()
		}
		page = append(page, entries[i])
	}
	r.member.send(to, &ShardEntries{Shard: shard, Entries: page, Last: true})
}

// entries merges what the other side has. A holder answers the owner's last page with all of
// its own, and compares again once it has merged; what the owner learns so it passes on.
func (r *reconciling) entries(from placement.MemberID, m *ShardEntries) {
	if len(m.Entries) > 0 {
		r.touch(m.Shard)
		r.member.shards.write(m.Shard, m.Entries, func() {})
	}
	if len(m.Entries) > 0 {
		r.learn(m.Shard)
	}
	if !m.Last || r.member.view.Owner(m.Shard) != from {
		return
	}
	r.pulled[m.Shard] = true // what changes meanwhile comes as groups
	r.member.scan(m.Shard, func(entries []engine.Entry) {
		r.sendAll(from, m.Shard, entries)
		r.comparing.clear(m.Shard)
		r.due.set(m.Shard, r.member.now.Add(ReconcileEvery/4))
	})
}

// learn notes that something came from another member: replicas of a shard that this member
// owns have to compare again.
func (r *reconciling) learn(shard int) {
	if !r.member.shards.owned[shard] {
		return
	}
	delete(r.same, shard)
	r.learned[shard]++
	for _, id := range r.member.shards.replicas(shard) {
		r.member.send(id, &ShardAsk{Shards: []int{shard}})
	}
}

// sameAsOwner ends the comparing of shards.
func (r *reconciling) sameAsOwner(from placement.MemberID, m *ShardSame) {
	for _, shard := range m.Shards {
		if r.member.view.Owner(shard) != from {
			continue
		}
		r.comparing.clear(shard)
		r.pulled[shard] = true
		switch {
		case r.wants(shard):
			r.due.set(shard, r.member.now.Add(CompareAgainAfter))
		case !slices.Contains(m.Released, shard) || r.compared[shard] != r.written[shard]:
			r.due.set(shard, r.member.now.Add(ReconcileEvery))
		default:
			r.due.clear(shard)
			delete(r.holding, shard)
			delete(r.written, shard)
			delete(r.compared, shard)
			r.member.emit(DropShard{Shard: shard})
		}
	}
}

// complete tells whether this member has every shard that it will have copies of.
func (r *reconciling) complete() bool {
	for shard := range engine.Shards {
		if r.member.future.IsReplica(shard, r.member.id) && !r.pulled[shard] && r.member.view.Owner(shard) != "" {
			return false
		}
	}
	return true
}

// underReplicated counts the owned shards of which a replica does not have the same.
func (r *reconciling) underReplicated() (n int) {
	for shard := range r.member.shards.owned {
		if len(r.member.shards.replicas(shard)) < r.member.copies || !r.replicated(shard) {
			n++
		}
	}
	return n
}
