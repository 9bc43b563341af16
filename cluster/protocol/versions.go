package protocol

import (
	"encoding/binary"
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"

	"github.com/cespare/xxhash/v2"
)

const (
	// PropagateFor is how long a change of a subscription waits for every member.
	PropagateFor = 2 * time.Second
	// DigestEvery is how often members compare their tables.
	DigestEvery = 10 * time.Second
	// tableBuckets is how finely they compare.
	tableBuckets = 1024
	// maxVersions bounds the versions of one message.
	maxVersions = 256
)

// versions keeps the subscriptions of every member the same: a change goes to all members that
// are seen before it is answered, and what one of them missed is found by comparing sums. Of
// two versions of a subscription the one of the higher revision wins, a deletion like any
// other. Not safe for concurrent use.
type versions struct {
	member   *Member
	table    *engine.Table
	buckets  [tableBuckets]uint64
	changes  map[uint64]*change
	digestAt time.Time
	// compared are the peers whose versions this member has, as far as they had them when it asked.
	compared map[placement.MemberID]bool
	// seasoned tells that it has compared with everybody who was seen once in this life.
	seasoned bool
}

// change is a version that waits for the members.
type change struct {
	token    uint64
	version  *engine.Subscription
	here     bool
	waiting  map[placement.MemberID]bool // of those that were told: false, it has the version
	deadline time.Time
}

func newVersions(m *Member, table *engine.Table) *versions {
	v := &versions{
		member: m, table: table, changes: make(map[uint64]*change), compared: make(map[placement.MemberID]bool),
	}
	table.Each(func(version *engine.Subscription) { v.count(version) })
	return v
}

// known tells whether some version of a subscription came here.
func (v *versions) known(id engine.SubscriptionID) bool {
	_, known := v.table.Known(id)
	return known
}

func bucketOf(id engine.SubscriptionID) int { return engine.ShardOf(id) % tableBuckets }

// count puts a version into the sums, or takes it out again.
func (v *versions) count(version *engine.Subscription) {
	b := append(make([]byte, 0, 48), version.ID...)
	b = binary.BigEndian.AppendUint64(b, version.Revision)
	v.buckets[bucketOf(version.ID)] ^= xxhash.Sum64(b)
}

// put gives a version its revision and tells every member.
func (v *versions) put(version *engine.Subscription) (token uint64) {
	version.Revision = uint64(v.member.clock.Next(v.member.now))
	c := &change{version: version, waiting: make(map[placement.MemberID]bool), deadline: v.member.now.Add(PropagateFor)}
	c.token = v.write([]*engine.Subscription{version}, func() {
		c.here = true
		v.settle(c)
	})
	v.changes[c.token] = c
	v.ask(c)
	return c.token
}

// ask tells every member that is seen and was not told.
func (v *versions) ask(c *change) {
	for _, peer := range v.member.peers() {
		if _, asked := c.waiting[peer]; !asked {
			c.waiting[peer] = true
			v.member.send(peer, &Versions{Token: c.token, Versions: []*engine.Subscription{c.version}})
		}
	}
}

// write makes versions durable, then puts them in force.
func (v *versions) write(versions []*engine.Subscription, then func()) (token uint64) {
	token = v.member.await(func() {
		for _, version := range versions {
			v.apply(version)
		}
		then()
	})
	v.member.emit(WriteVersions{Token: token, Versions: versions})
	return token
}

func (v *versions) apply(version *engine.Subscription) {
	before := v.latest(version.ID)
	v.table.Apply(version)
	if before != nil && before.Revision >= version.Revision {
		return
	}
	if before != nil {
		v.count(before)
	}
	v.count(version)
}

func (v *versions) latest(id engine.SubscriptionID) *engine.Subscription {
	handle, known := v.table.Known(id)
	if !known {
		return nil
	}
	return v.table.Latest(handle)
}

// settle reports a change that every member has, or that waited long enough.
func (v *versions) settle(c *change) {
	var silent []placement.MemberID
	for _, peer := range sortedKeys(c.waiting) {
		if c.waiting[peer] {
			silent = append(silent, peer)
		}
	}
	if v.changes[c.token] != c || !c.here || (len(silent) > 0 && v.member.now.Before(c.deadline)) {
		return
	}
	delete(v.changes, c.token)
	v.member.emit(Propagated{Token: c.token, Silent: silent, Copies: 1 + len(c.waiting) - len(silent)})
}

// receive takes in versions of another member. One from a clock that is far ahead is refused, and
// not acknowledged.
func (v *versions) receive(from placement.MemberID, m *Versions) {
	var fresh []*engine.Subscription
	refused := false
	for _, version := range m.Versions {
		if v.member.clock.Witness(engine.Stamp(version.Revision), v.member.now) != nil {
			refused = true
			continue
		}
		if known := v.latest(version.ID); known == nil || known.Revision < version.Revision {
			fresh = append(fresh, version)
		}
	}
	answer := func() {
		if m.Token != 0 && !refused {
			v.member.send(from, &VersionsStored{Token: m.Token})
		}
	}
	if refused {
		v.member.emit(ClockAhead{From: from})
	}
	if len(fresh) == 0 {
		answer()
		return
	}
	v.write(fresh, answer)
}

func (v *versions) stored(from placement.MemberID, m *VersionsStored) {
	if m.Token == 0 { // what came before it is written first
		v.write(nil, func() { v.compared[from] = true })
		return
	}
	if c := v.changes[m.Token]; c != nil && c.waiting[from] {
		c.waiting[from] = false
		v.settle(c)
	}
}

// lost ends the waiting for a peer: it compares its table when it comes back.
func (v *versions) lost(peer placement.MemberID) {
	delete(v.compared, peer)
	for _, c := range v.changes {
		delete(c.waiting, peer)
	}
}

// viewed tells new members of the changes under way; what they missed before is compared.
func (v *versions) viewed() {
	v.digestAt = v.member.now
	for _, c := range sorted(v.changes) {
		v.ask(c)
		v.settle(c)
	}
}

func (v *versions) tick() {
	for _, c := range sorted(v.changes) {
		v.settle(c)
	}
	if !v.member.now.Before(v.digestAt) {
		v.digestAt = v.member.now.Add(DigestEvery)
		v.member.sendAll(&TableDigest{Buckets: append([]uint64(nil), v.buckets[:]...)})
	}
}

// digest answers with the versions of the buckets in which the sender has others.
func (v *versions) digest(from placement.MemberID, m *TableDigest) {
	if len(m.Buckets) != tableBuckets {
		return // of another kind of program; membership refuses those
	}
	differs := func(id engine.SubscriptionID) bool {
		bucket := bucketOf(id)
		return m.Buckets[bucket] != v.buckets[bucket]
	}
	v.sendWhere(from, differs)
	v.member.send(from, &VersionsStored{})
}

// complete tells whether this member has compared its versions with everybody who is seen: before
// that it would take events and not know whom they are for.
func (v *versions) complete() bool {
	peers := v.member.peers()
	for _, peer := range peers {
		if !v.seasoned && !v.compared[peer] {
			return false
		}
	}
	v.seasoned = v.seasoned || len(peers) > 0
	return true
}

// behind tells whether a member that came into sight a moment ago may have versions that are not
// here: events of a journal to be adopted may be for them.
func (v *versions) behind() bool {
	return slices.ContainsFunc(v.member.ordered, func(s *stream) bool {
		return v.member.sees(s.peer) && !v.compared[s.peer] && v.member.now.Sub(s.begunAt) < AdoptGrace
	})
}

// wanted answers with the versions of some subscriptions.
func (v *versions) wanted(from placement.MemberID, m *Want) {
	answer := &Versions{}
	for _, id := range m.Subscriptions {
		if version := v.latest(id); version != nil {
			answer.Versions = append(answer.Versions, version)
		}
	}
	if len(answer.Versions) > 0 {
		v.member.send(from, answer)
	}
}

func (v *versions) sendWhere(to placement.MemberID, wanted func(engine.SubscriptionID) bool) {
	m := &Versions{}
	v.table.Each(func(version *engine.Subscription) {
		if !wanted(version.ID) {
			return
		}
		if len(m.Versions) == maxVersions {
			v.member.send(to, m)
			m = &Versions{}
		}
		m.Versions = append(m.Versions, version)
	})
	if len(m.Versions) > 0 {
		v.member.send(to, m)
	}
}
