package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"pannier/cluster/placement"
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
	confirmed map[engine.SubscriptionID]bool
	arrived   map[arrival]int
	// durable are the latest changes of deliveries that were reported as being on all replicas.
	durable    map[engine.EntryKey]engine.Stamp
	quietAt    time.Time
	disksLost  []time.Time
	duplicates int
	accepts    int
	faults     map[string]int
	last       string         // the fault before now
	repeats    map[string]int // duplicates, by the fault before them
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
		confirmed: make(map[engine.SubscriptionID]bool), arrived: make(map[arrival]int),
		durable: make(map[engine.EntryKey]engine.Stamp), faults: make(map[string]int),
		last: noFault, repeats: make(map[string]int),
	}
}

// find notes the first rule that is broken, by its name and what was seen.
func (j *judge) find(rule, format string, args ...any) {
	if j.verdict == nil {
		j.verdict = fmt.Errorf(rule+": "+format, args...)
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
		j.find(ruleI1, "%s answered event %d with %d copies", l.member.id, r.event, copies)
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
		j.repeats[j.last]++
		if j.quiet && j.world.now.Sub(j.quietAt) > settledAfter {
			j.find(ruleRepeated, "event %d reached %s again although nothing has gone wrong for %s", a.event, sub, settledAfter)
		}
	}
}

// stored notes changes of deliveries that were reported as being on all replicas.
func (j *judge) stored(entries []engine.Entry) {
	for _, e := range entries {
		j.durable[e.EntryKey] = max(j.durable[e.EntryKey], e.Stamp)
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
		j.find(ruleI2, "%s discharged %x/%d for %s with %d copies of its retry record, want %d", l.member.id, ref.Journal, ref.Sequence, sub, copies, want)
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
			j.find(ruleI3, "%s dropped the last copy of event %d", l.member.id, r.event)
			return
		}
	}
}

// droppedShard checks I3 for retry state: what a member gives up is, the same or later, on as
// many other disks as can be asked for.
func (j *judge) droppedShard(l *life, shard int) {
	want := min(j.want(), j.active())
	for _, e := range l.disk.content.list(shard) {
		copies := 0
		for _, m := range j.world.members {
			there, found := m.disk.content.entries[shard][e.EntryKey]
			if m != l.member && found && there.Stamp >= e.Stamp {
				copies++
			}
		}
		if copies < want {
			j.find(ruleI3, "%s dropped shard %d with a delivery to %s of which there are %d other copies, want %d", l.member.id, shard, e.Subscription, copies, want)
			return
		}
	}
}

// active counts the members that run and take part.
func (j *judge) active() (n int) {
	for _, m := range j.world.members {
		if m.life != nil && m.life.self.State == placement.Active {
			n++
		}
	}
	return n
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

// waitsFor lists the subscriptions that a promised event has not reached.
func (j *judge) waitsFor(p *promise) (waits []engine.SubscriptionID) {
	for _, sub := range p.subs {
		if j.arrived[arrival{p.event, sub}] == 0 {
			waits = append(waits, sub)
		}
	}
	return waits
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
	if len(e.Silent) > 0 {
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
			j.find(ruleTold, "a change of %s was answered although %s does not have it", version.ID, m.id)
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
