package main

import (
	"pannier/cluster/protocol"
)

// settled is the judgement at the end, when everything has had the time to settle.
func (j *judge) settled() {
	for _, event := range sortedKeys(j.promised) {
		p := j.promised[event]
		for _, sub := range p.subs {
			if !j.deleted[sub] && j.arrived[arrival{event, sub}] == 0 && !j.dead(event, sub) {
				j.find(ruleLost, "event %d, answered at %.3f s, never reached %s", event, p.at.Sub(epoch).Seconds(), sub)
				return
			}
		}
	}
	j.converged()
}

// converged checks that all members have the same subscriptions and retry state, that nothing
// came back that was deleted or settled, and that nobody waits for what is over (I4).
func (j *judge) converged() {
	first := j.world.members[0].life
	for _, m := range j.world.members {
		if m.life == nil {
			j.find(ruleMembers, "%s does not run at the end", m.id)
			return
		}
		if len(m.life.seen) != len(j.world.members) {
			j.find(ruleMembers, "%s sees %d of %d members", m.id, len(m.life.seen), len(j.world.members))
		}
		j.sameTable(first, m.life)
		j.sameTable(m.life, first)
		j.sameShards(m.life)
		j.nothingWaits(m.life)
		for _, id := range sortedJournals(m.disk.content.journals) {
			if c := m.disk.content.journals[id]; m.life.journal != id && c.ref.Origin == m.id {
				j.find(ruleI4, "%s still has a journal of an earlier life: %d to %d of %d", m.id, c.release, c.next(), c.base)
			}
		}
	}
}

// sameTable checks that two members have the same subscriptions, and none that was deleted.
func (j *judge) sameTable(first, other *life) {
	for _, v := range other.liveSubscriptions() {
		if there, found := first.table.Get(v.ID); !found || there.Revision != v.Revision {
			j.find(ruleSame, "%s and %s have different versions of %s", first.member.id, other.member.id, v.ID)
		}
		if j.confirmed[v.ID] {
			j.find(ruleBack, "%s came back on %s after it was deleted", v.ID, other.member.id)
		}
	}
}

// sameShards checks that the replicas of what a member owns have the same as the owner, and that
// the owner has nothing older than what was once on all of them.
func (j *judge) sameShards(owner *life) {
	for _, shard := range sortedInts(owner.disk.content.entries) {
		entries := owner.disk.content.list(shard)
		replicas := owner.core.ReplicasOf(shard)
		if len(entries) == 0 || replicas[0] != owner.member.id {
			continue
		}
		for _, id := range replicas[1:] {
			if protocol.SumOf(j.world.memberOf(id).disk.content.list(shard)) != protocol.SumOf(entries) {
				j.find(ruleSame, "%s and %s have different entries of shard %d", owner.member.id, id, shard)
			}
		}
		for _, e := range entries {
			if e.Stamp < j.durable[e.EntryKey] {
				j.find(ruleBack, "a delivery of event %d to %s is again what it was before it was changed", j.world.placed[decodeKey(e.Key).Event], e.Subscription)
			}
		}
	}
}

// nothingWaits checks that no delivery is left that a keeper waits for.
func (j *judge) nothingWaits(l *life) {
	for _, id := range sortedJournals(l.accounts) {
		if n := len(l.accounts[id].waits); n > 0 {
			j.find(ruleI4, "%s still waits for %d deliveries of journal %x, from %d on", l.member.id, n, id, l.accounts[id].ledger.Watermark())
		}
	}
}
