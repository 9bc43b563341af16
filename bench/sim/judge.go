package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// judge knows what was promised and what arrived. It looks at the disks of all members at
// once, which no member can.
type judge struct {
	world   *world
	verdict error // the first broken rule
	quiet   bool  // faults and producers have ended, endpoints answer
	healthy bool  // endpoints answer always

	created  int
	promised map[uint32]*promise
	deleted  map[engine.SubscriptionID]bool
	// confirmed are the deletions that were answered as known to every member.
	confirmed  map[engine.SubscriptionID]bool
	arrived    map[arrival]int
	disksLost  []time.Time
	duplicates int
	accepts    int
	faults     map[string]int
}

// promise is an event that was answered with 202.
type promise struct {
	event uint32
	at    time.Time
	subs  []engine.SubscriptionID
}

type arrival struct {
	event uint32
	sub   engine.SubscriptionID
}

func newJudge(w *world) *judge {
	return &judge{
		world: w, promised: make(map[uint32]*promise), deleted: make(map[engine.SubscriptionID]bool),
		confirmed: make(map[engine.SubscriptionID]bool), arrived: make(map[arrival]int), faults: make(map[string]int),
	}
}

func (j *judge) find(format string, args ...any) {
	if j.verdict == nil {
		j.verdict = fmt.Errorf(format, args...)
	}
}

// accepted notes a promise and checks I1: as many disks as the replication asks for have the
// event, unless it is discharged already: a member that was stopped may answer late what others
// have adopted and delivered.
func (j *judge) accepted(l *life, id engine.JournalID, sequence uint64, r record, subs []engine.SubscriptionID) {
	j.accepts++
	j.promised[r.event] = &promise{event: r.event, at: j.world.now, subs: subs}
	copies := 0
	for _, m := range j.world.members {
		if copied := m.disk.content.journals[id]; copied != nil {
			if _, found := copied.get(sequence); found {
				copies++
			}
		}
	}
	if copies < j.want() && j.open(r.event) {
		j.find("I1: %s answered event %d with %d copies", l.member.id, r.event, copies)
	}
}

// want is how many copies there must be: as many as the replication asks for, but for the disks
// that were lost just now.
func (j *judge) want() int {
	want := j.world.options.replication
	for _, at := range j.disksLost {
		if j.world.now.Sub(at) < time.Minute {
			want--
		}
	}
	return max(want, 1)
}

// received notes that an endpoint has an event.
func (j *judge) received(sub engine.SubscriptionID, event *engine.Event) {
	a := arrival{j.world.number(event), sub}
	j.world.note("%s has event %d", sub, a.event)
	if j.arrived[a]++; j.arrived[a] > 1 {
		j.duplicates++
	}
}

// discharged checks I2: the endpoint has the event, or a retry record, a dead letter or a done
// mark is on as many disks as can be asked for, or the subscription is deleted.
func (j *judge) discharged(l *life, sub engine.SubscriptionID, ref engine.EventRef) {
	version, found := l.table.Get(sub)
	if !found || version.Deleted || j.deleted[sub] {
		return
	}
	if j.arrived[arrival{j.world.placed[ref], sub}] > 0 {
		return
	}
	copies, newest := 0, engine.Stamp(0)
	for _, m := range j.world.members {
		for _, e := range m.disk.content.entries[engine.ShardOf(sub)] {
			if e.Kind == engine.EntryDelivery && e.Subscription == sub && decodeKey(e.Key).Event == ref {
				copies++
				newest = max(newest, e.Stamp)
			}
		}
	}
	want := min(j.want(), l.core.Replicas(sub))
	if j.world.now.UnixMilli()-newest.Milli() > time.Minute.Milliseconds() {
		want = 1 // an old record, handed out once more: its replicas may have changed since
	}
	if copies < want {
		j.find("I2: %s discharged %x/%d for %s with %d copies of its retry record, want %d", l.member.id, ref.Journal, ref.Sequence, sub, copies, want)
	}
}

// dropped checks I3 for journals: nothing is removed that somebody waits for and nobody else
// has.
func (j *judge) dropped(l *life, id engine.JournalID) {
	copied := l.disk.content.journals[id]
	if copied == nil {
		return
	}
	for sequence := copied.release; sequence < copied.next(); sequence++ {
		r, found := copied.get(sequence)
		if found && j.open(r.event) && !j.elsewhere(l.member, id, sequence) {
			j.find("I3: %s dropped the last copy of event %d", l.member.id, r.event)
			return
		}
	}
}

func (j *judge) elsewhere(but *member, id engine.JournalID, sequence uint64) bool {
	return slices.ContainsFunc(j.world.members, func(m *member) bool {
		copied := m.disk.content.journals[id]
		if m == but || copied == nil {
			return false
		}
		_, found := copied.get(sequence)
		return found
	})
}

// open tells whether a promise is not kept yet, by what arrived and what is on the disks.
func (j *judge) open(event uint32) bool {
	p := j.promised[event]
	return p != nil && len(j.missing(p)) > 0
}

// missing lists the subscriptions that a promised event has not reached and that have nothing of
// it on any disk.
func (j *judge) missing(p *promise) (missing []engine.SubscriptionID) {
	for _, sub := range p.subs {
		if !j.deleted[sub] && j.arrived[arrival{p.event, sub}] == 0 && !j.recorded(p.event, sub) {
			missing = append(missing, sub)
		}
	}
	return missing
}

// recorded tells whether some disk has a retry record or a dead letter of a delivery.
func (j *judge) recorded(event uint32, sub engine.SubscriptionID) bool {
	for _, m := range j.world.members {
		for _, e := range m.disk.content.entries[engine.ShardOf(sub)] {
			if e.Kind == engine.EntryDelivery && e.Subscription == sub && len(e.Value) > 4 && numberIn(e.Value) == event {
				return true
			}
		}
	}
	return false
}

// deleting notes that a subscription is being deleted: nothing is promised for it any more.
func (j *judge) deleting(id engine.SubscriptionID) { j.deleted[id] = true }

// propagated checks that a change which was answered as being everywhere is on every disk that
// the member which answered sees.
func (j *judge) propagated(l *life, version *engine.Subscription, e protocol.Propagated) {
	if !e.All {
		return
	}
	if version.Deleted {
		j.confirmed[version.ID] = true
	}
	for _, m := range j.world.members {
		if m.life == nil || !l.sees(m) {
			continue
		}
		if !slices.ContainsFunc(m.disk.content.versions[version.ID], func(v *engine.Subscription) bool { return v.Revision >= version.Revision }) {
			j.find("a change of %s was answered although %s does not have it", version.ID, m.id)
		}
	}
}

// settled is the judgement at the end, when everything has had the time to settle.
func (j *judge) settled() {
	for _, event := range sortedEvents(j.promised) {
		p := j.promised[event]
		for _, sub := range p.subs {
			if !j.deleted[sub] && j.arrived[arrival{event, sub}] == 0 && !j.dead(event, sub) {
				j.find("lost: event %d, answered at %.3f s, never reached %s", event, p.at.Sub(epoch).Seconds(), sub)
				return
			}
		}
	}
	j.converged()
}

// converged checks that all members have the same subscriptions, that no deleted one came back,
// and that no journal of an earlier life is left (I4).
func (j *judge) converged() {
	first := j.world.members[0].life
	for _, m := range j.world.members {
		if m.life == nil {
			j.find("%s does not run at the end", m.id)
			return
		}
		if len(m.life.seen) != len(j.world.members) {
			j.find("%s sees %d of %d members", m.id, len(m.life.seen), len(j.world.members))
		}
		j.sameTable(first, m.life)
		for _, id := range sortedJournals(m.disk.content.journals) {
			if c := m.disk.content.journals[id]; m.life.journal != id && c.ref.Origin == m.id {
				j.find("I4: %s still has a journal of an earlier life: %d to %d of %d", m.id, c.release, c.next(), c.base)
			}
		}
	}
}

// sameTable checks that two members have the same subscriptions, and none that was deleted.
func (j *judge) sameTable(first, other *life) {
	for _, v := range other.liveSubscriptions() {
		if there, found := first.table.Get(v.ID); !found || there.Revision != v.Revision {
			j.find("%s and %s have different versions of %s", first.member.id, other.member.id, v.ID)
		}
		if j.confirmed[v.ID] {
			j.find("%s came back on %s after it was deleted", v.ID, other.member.id)
		}
	}
}

// dead tells whether a delivery is a dead letter somewhere.
func (j *judge) dead(event uint32, sub engine.SubscriptionID) bool {
	for _, m := range j.world.members {
		for _, e := range m.disk.content.entries[engine.ShardOf(sub)] {
			if e.Subscription == sub && len(e.Value) > 0 && e.Value[0] == stateDead && numberIn(e.Value) == event {
				return true
			}
		}
	}
	return false
}

// numberIn is the event that a retry record or a dead letter carries.
func numberIn(value []byte) uint32 { return binary.BigEndian.Uint32(value[1:]) }

func sortedEvents(m map[uint32]*promise) []uint32 { return sortedKeys(m) }
