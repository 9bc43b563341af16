// Package protocol decides what a member of a cluster does: who has copies of its journals and
// when an event may be answered, whom events go to, where retry state is kept, and what happens
// when members come, go, lose their disks or cannot hear each other. It is a state machine
// without I/O, clocks or goroutines: messages, ticks, completions of writes and changes of the
// membership come in, effects come out. The server drives it with streams, disks and timers; the
// simulator in bench/sim drives the same code with a seeded schedule of faults.
//
//	           Append, Store, PutVersion            View          Receive, Tick, Written
//	                     │                            │                     │
//	┌────────────────────▼────────────────────────────▼─────────────────────▼───────────────┐
//	│ Member  replication   replicas   custody   routing   shards   reconciling   versions  │
//	└────────────────────┬───────────────────────────────────────────────────────────────────┘
//	                     ▼ Effects: Send, Write…, Committed, Deliver, Settled, Durable, Adopt …
//
// The protocol is that of shared/DESIGN.md section 7, with three changes that make it smaller.
// Copies of a journal are fed from what its keeper has synced, so they are always a prefix of
// it, with the same sequences, and adopting one is going on with it. All that is known of a
// journal's progress (the pairs that wait, the cursors of subscriptions that lag) stays with
// the journal's keeper, and all that is known of a subscription's retries stays with its owner,
// so each has one writer. And whoever may have something of a shard reconciles it with the
// shard's owner, by one exchange, whatever the reason.
package protocol

import (
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

// Options are what a Member is made from.
type Options struct {
	Self placement.Member
	// Replication is how many members have an event before it is answered.
	Replication int
	// AllowDegraded answers events with fewer copies while fewer members are active.
	AllowDegraded bool
	// Known are members that were seen in earlier lives: they are looked for.
	Known []placement.MemberID
	// Table is every subscription; the member alone applies versions to it from now on.
	Table *engine.Table
	// Copies are the closed journals on this disk: copies of others' and own of earlier lives.
	Copies []Copy
	// Holding are the shards of which something is on this disk.
	Holding []int
}

// RejoinEvery is how often members that were seen once are looked for.
const RejoinEvery = 5 * time.Second

// Copy is a closed journal on this disk.
type Copy struct {
	Journal    JournalRef
	Base, Next uint64 // it was begun at Base and ends before Next
	Release    uint64
	State      []byte // the account of what is undischarged
}

// Member is one life of one member. Not safe for concurrent use; every call leaves its
// effects to be taken with Effects.
type Member struct {
	options   Options
	id        placement.MemberID
	copies    int
	startedAt time.Time
	now       time.Time
	clock     Clock
	view      *placement.View
	// future is the view with this member active, coming the one with every member active that
	// joins now; nil: none does.
	future, coming *placement.View

	known    map[placement.MemberID]bool
	rejoinAt time.Time
	streams  map[placement.MemberID]*stream
	ordered  []*stream // the same, by peer
	begun    uint64    // streams, numbered over the whole life
	awaiting map[uint64]func()
	scans    map[uint64]func([]engine.Entry)
	token    uint64
	effects  []Effect

	replication *replication
	replicas    *replicas
	custody     *custody
	routing     *routing
	shards      *shards
	reconciling *reconciling
	versions    *versions
}

// NewMember makes a member that sees itself alone; View follows.
func NewMember(o Options, now time.Time) *Member {
	m := &Member{
		options: o, id: o.Self.ID, copies: min(max(o.Replication, 1), placement.MaxReplication),
		startedAt: now, now: now, clock: NewClock(o.Self.ID),
		known:   make(map[placement.MemberID]bool),
		streams: make(map[placement.MemberID]*stream), awaiting: make(map[uint64]func()), scans: make(map[uint64]func([]engine.Entry)),
	}
	for _, id := range o.Known {
		m.known[id] = true
	}
	m.clock.last = engine.Stamp(o.Table.Revision())
	m.replication = newReplication(m)
	m.replicas = &replicas{member: m, copies: make(map[engine.JournalID]*replica)}
	for _, c := range o.Copies {
		m.replicas.copies[c.Journal.ID] = &replica{
			ref: c.Journal, base: c.Base, next: c.Next, synced: c.Next, release: max(c.Release, c.Base), state: c.State,
		}
	}
	m.replicas.examine()
	m.custody = newCustody(m)
	m.routing = newRouting(m)
	m.shards = newShards(m)
	m.reconciling = newReconciling(m, o.Holding)
	m.versions = newVersions(m, o.Table)
	m.see(placement.NewView([]placement.Member{o.Self}, m.copies))
	return m
}

// Effects takes what is to be done, in order.
func (m *Member) Effects() []Effect {
	for _, s := range m.ordered {
		for e, more := s.flush(m.now); more; e, more = s.flush(m.now) {
			e.From, e.FromBoot = m.id, m.options.Self.Boot
			m.emit(Send{Envelope: e})
		}
	}
	effects := m.effects
	m.effects = nil
	return effects
}

// View takes in which members are seen now; this one is among them.
func (m *Member) View(now time.Time, members []placement.Member) {
	m.now = now
	m.see(placement.NewView(members, m.copies))
	m.viewed()
}

// viewed has everything follow the view.
func (m *Member) viewed() {
	m.replication.viewed()
	m.custody.viewed()
	m.shards.viewed()
	m.reconciling.viewed()
	m.versions.viewed()
	m.routing.viewed()
}

// see puts a view in force and gives up the peers that are gone.
func (m *Member) see(view *placement.View) {
	m.view = view
	self := m.options.Self
	if seen, found := view.Member(self.ID); found {
		self = seen
	}
	m.future = view
	if self.State == placement.Joining {
		self.State = placement.Active
		m.future = placement.NewView(append([]placement.Member{self}, others(view, self.ID)...), m.copies)
	}
	m.coming = comingView(view, m.copies)
	for _, s := range m.ordered {
		if !view.Lives(s.peer, s.boot) && s.number != 0 {
			m.lost(s)
		}
	}
	for _, other := range view.Members() {
		if other.ID == m.id {
			continue
		}
		m.known[other.ID] = true
		s := m.streams[other.ID]
		if s == nil || s.boot != other.Boot {
			s = &stream{peer: other.ID, boot: other.Boot}
			m.streams[other.ID] = s
		}
		if s.number == 0 {
			m.begin(s)
		}
	}
	m.ordered = sorted(m.streams)
}

// comingView is the view with the members active that join now, nil when none does.
func comingView(view *placement.View, copies int) *placement.View {
	coming, joins := slices.Clone(view.Members()), false
	for n := range coming {
		if coming[n].State == placement.Joining {
			coming[n].State, joins = placement.Active, true
		}
	}
	if !joins {
		return nil
	}
	return placement.NewView(coming, copies)
}

func others(view *placement.View, id placement.MemberID) (others []placement.Member) {
	for _, m := range view.Members() {
		if m.ID != id {
			others = append(others, m)
		}
	}
	return others
}

// begin begins a stream to a peer, after its first sight or a loss.
func (m *Member) begin(s *stream) {
	m.begun++
	s.begin(m.begun)
	s.begunAt = m.now
}

// lost gives a peer up: what it was told and has not acknowledged is forgotten, and if it is
// seen again in this life it has to begin anew as well (stream.go).
func (m *Member) lost(s *stream) {
	s.begin(0)
	s.inStream, s.inLast = 0, 0 // it may not know that its answers are gone, and says all of it again
	m.expectNothing(s.peer)
}

// expectNothing ends the waiting for answers of a peer.
func (m *Member) expectNothing(peer placement.MemberID) {
	m.custody.lost(peer)
	m.replication.lost(peer)
	m.replicas.lost(peer)
	m.routing.lost(peer)
	m.shards.lost(peer)
	m.versions.lost(peer)
}

// sees tells whether a peer is seen.
func (m *Member) sees(id placement.MemberID) bool {
	s := m.streams[id]
	return s != nil && s.number != 0
}

// metAllKnown tells whether every member of earlier lives was seen in this one.
func (m *Member) metAllKnown() bool {
	return !slices.ContainsFunc(m.options.Known, func(id placement.MemberID) bool { return id != m.id && m.streams[id] == nil })
}

// peers are the members that are seen, this one excluded.
func (m *Member) peers() (peers []placement.MemberID) {
	for _, other := range m.view.Members() {
		if other.ID != m.id {
			peers = append(peers, other.ID)
		}
	}
	return peers
}

// send queues a message; one to a member that is not seen is dropped.
func (m *Member) send(to placement.MemberID, message Message) {
	if m.sees(to) {
		m.streams[to].push(message)
	}
}

func (m *Member) sendAll(message Message) {
	for _, peer := range m.peers() {
		m.send(peer, message)
	}
}

// hasRoom tells whether a peer takes optional messages.
func (m *Member) hasRoom(id placement.MemberID) bool { return m.sees(id) && m.streams[id].hasRoom() }

func (m *Member) emit(e Effect) { m.effects = append(m.effects, e) }

// await has a function called when a write is durable.
func (m *Member) await(then func()) (token uint64) {
	m.token++
	m.awaiting[m.token] = then
	return m.token
}

// scan has a function called with everything there is of a shard.
func (m *Member) scan(shard int, then func([]engine.Entry)) {
	m.token++
	m.scans[m.token] = then
	m.emit(ScanShard{Token: m.token, Shard: shard})
}

// Written tells that the write of a token is durable.
func (m *Member) Written(now time.Time, token uint64) {
	m.now = now
	if then := m.awaiting[token]; then != nil {
		delete(m.awaiting, token)
		then()
	}
}

// Scanned answers ScanShard.
func (m *Member) Scanned(now time.Time, token uint64, entries []engine.Entry) {
	m.now = now
	if then := m.scans[token]; then != nil {
		delete(m.scans, token)
		then(entries)
	}
}

// Tick drives what happens by the clock; a call every 50 ms is enough.
func (m *Member) Tick(now time.Time) {
	m.now = now
	for _, s := range m.ordered {
		s.tick(now)
	}
	m.replication.tick()
	m.custody.tick()
	m.routing.tick()
	m.reconciling.tick()
	m.versions.tick()
	m.activate()
	m.rejoin()
}

// rejoin looks for members that were seen once and are not seen now.
func (m *Member) rejoin() {
	if m.now.Before(m.rejoinAt) {
		return
	}
	m.rejoinAt = m.now.Add(RejoinEvery)
	var missing []placement.MemberID
	for _, id := range sortedKeys(m.known) {
		if _, seen := m.view.Member(id); !seen && id != m.id {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		m.emit(Rejoin{Members: missing})
	}
}

// activate ends joining once this member has what its shards need.
func (m *Member) activate() {
	if self, seen := m.view.Member(m.id); seen && self.State == placement.Joining && m.versions.complete() && m.reconciling.complete() {
		m.emit(BecomeActive{})
	}
}

// Receive takes an envelope in.
func (m *Member) Receive(now time.Time, e Envelope) {
	m.now = now
	s := m.streams[e.From]
	if e.To != m.id || e.ToBoot != m.options.Self.Boot || s == nil || s.boot != e.FromBoot || s.number == 0 {
		return // of another life, or of one that is not seen: what counts comes again
	}
	if s.forgottenBy(e) {
		m.expectNothing(e.From)
		m.begin(s)
		m.viewed()
	}
	for _, message := range s.receive(e, now) {
		m.handle(e.From, message)
	}
}

func (m *Member) handle(from placement.MemberID, message Message) {
	switch t := message.(type) {
	case *Append:
		m.replicas.append(from, t)
	case *Appended:
		m.replication.appended(from, t)
	case *Progress:
		m.replicas.progress(from, t)
	case *Prepend:
		m.replicas.prepend(from, t)
	case *Unfollow:
		m.replicas.unfollow(from, t)
	case *Holdings:
		m.custody.hear(from, t)
	case *Finished:
		m.custody.over(t.Journals)
	case *Route:
		m.routing.receive(from, t)
	case *Done:
		m.routing.done(t)
	case *Back:
		m.routing.back(from, t)
	case *Versions:
		m.versions.receive(from, t)
	case *VersionsStored:
		m.versions.stored(from, t)
	case *TableDigest:
		m.versions.digest(from, t)
	case *Want:
		m.versions.wanted(from, t)
	case *Group:
		m.shards.receive(from, t)
	case *GroupStored:
		m.shards.stored(from, t)
	case *ShardAsk:
		m.reconciling.asked(t)
	case *ShardDigest:
		m.reconciling.digest(from, t)
	case *ShardSame:
		m.reconciling.sameAsOwner(from, t)
	case *ShardEntries:
		m.reconciling.entries(from, t)
	}
}
