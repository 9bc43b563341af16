package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

const (
	tickEvery       = 100 * time.Millisecond
	checkpointEvery = 250 * time.Millisecond
	lane            = "shared"
)

// member is a machine of the cluster: a disk, and the life of a process on it, if one runs. It
// does for protocol.Member and delivery.Machine what the server does with files, sockets and
// actors, as simply as it can be done.
type member struct {
	world *world
	index int
	id    placement.MemberID
	disk  *disk
	known map[placement.MemberID]bool // members of earlier lives, on disk

	life    *life // nil: no process runs
	stopped bool  // the process is stopped by a signal and goes on later
	held    []func()
}

func newMember(w *world, index int) *member {
	return &member{
		world: w, index: index, id: placement.MemberID(fmt.Sprintf("mem_%d", index)),
		disk: &disk{world: w, index: index, content: newContent()}, known: make(map[placement.MemberID]bool),
	}
}

// life is one process.
type life struct {
	member   *member
	world    *world
	disk     *disk
	self     placement.Member
	core     *protocol.Member
	table    *engine.Table
	seen     map[placement.MemberID]placement.Member
	heardAt  map[placement.MemberID]time.Time
	dead     bool
	draining bool

	journal  engine.JournalID // of this life
	next     uint64           // sequence of the next event
	accounts map[engine.JournalID]*account
	subs     map[engine.SubscriptionID]*subscription
	changes  map[uint64]*change
	durable  map[uint64]func()
}

// start begins a process on the member's disk.
func (m *member) start() {
	w := m.world
	c := m.disk.content
	c.boot = max(c.boot+1, uint64(w.now.UnixMilli()))
	l := &life{
		member: m, world: w, disk: m.disk, seen: make(map[placement.MemberID]placement.Member),
		heardAt:  make(map[placement.MemberID]time.Time),
		accounts: make(map[engine.JournalID]*account), subs: make(map[engine.SubscriptionID]*subscription),
		changes: make(map[uint64]*change), durable: make(map[uint64]func()), next: 1,
	}
	m.life, m.stopped, m.held = l, false, nil
	l.self = placement.Member{ID: m.id, Boot: c.boot, State: placement.Joining, Salt: c.salt}
	l.table = engine.NewTable(c.allVersions())
	o := protocol.Options{
		Self: l.self, Replication: w.options.replication, Table: l.table, Holding: sortedInts(c.entries),
	}
	o.Known = append(o.Known, sortedIDs(m.known)...)
	for _, id := range sortedJournals(c.journals) {
		j := c.journals[id]
		o.Copies = append(o.Copies, protocol.Copy{
			Journal: j.ref, Base: j.base, Next: j.next(), Release: j.release, State: j.state,
		})
	}
	l.core = protocol.NewMember(o, w.now)
	l.journal = engine.JournalID(w.random.Uint64())
	ref := protocol.JournalRef{ID: l.journal, Origin: m.id, Boot: c.boot, Lane: lane}
	l.disk.do(func(c *content) { c.journals[ref.ID] = &journal{ref: ref, base: 1, release: 1} }, l.guard(func() {
		l.core.Keep(w.now, ref)
		l.accounts[ref.ID] = newAccount(l, ref, 1)
	}))
	l.seen[m.id] = l.self
	l.joinSeeds()
	l.choosePlace()
	l.viewChanged()
	w.every(tickEvery, l.while(func() { l.core.Tick(w.now) }))
	w.every(checkpointEvery, l.while(l.checkpoint))
	w.note("%s starts, boot %d", m.id, c.boot)
}

// while repeats something as long as the process runs; a stopped one does it later.
func (l *life) while(do func()) func() bool {
	return func() bool {
		if l.dead {
			return false
		}
		if !l.member.stopped {
			do()
			l.perform()
		}
		return true
	}
}

// guard has something done if the process still runs then, and its effects performed.
func (l *life) guard(do func()) func() {
	return func() {
		switch {
		case l.dead:
		case l.member.stopped:
			l.member.held = append(l.member.held, l.guard(do))
		default:
			do()
			l.perform()
		}
	}
}

// kill ends the process at once, with a random part of its pending writes on the disk.
func (m *member) kill() {
	if m.life != nil {
		m.killWith(m.world.random.IntN(len(m.disk.pending) + 1))
	}
}

// killWith ends the process at once, with so many of its pending writes on the disk.
func (m *member) killWith(written int) {
	m.world.note("%s is killed", m.id)
	m.life.dead = true
	m.life = nil
	m.stopped, m.held = false, nil
	m.disk = m.disk.crash(written)
}

// pause stops the process for a while, as SIGSTOP does.
func (m *member) pause(d time.Duration) {
	if m.life == nil || m.stopped {
		return
	}
	m.world.note("%s stops for %s", m.id, d)
	paused := m.life
	m.stopped = true
	m.world.after(d, func() {
		if m.life != paused {
			return
		}
		m.stopped = false
		held := m.held
		m.held = nil
		for _, do := range held {
			do()
		}
		m.world.note("%s goes on", m.id)
	})
}

// perform does what the protocol decided.
func (l *life) perform() {
	for effects := l.core.Effects(); len(effects) > 0; effects = l.core.Effects() {
		for _, e := range effects {
			l.effect(e)
		}
	}
}

func (l *life) effect(e protocol.Effect) {
	switch t := e.(type) {
	case protocol.Send:
		l.world.transmit(l, t.Envelope)
	case protocol.ReadFrames:
		l.readFrames(t)
	case protocol.ReadBefore:
		l.readBefore(t)
	case protocol.PrependReplica:
		l.prependReplica(t)
	case protocol.Examine:
		l.examine(t)
	case protocol.WriteReplica:
		l.writeReplica(t)
	case protocol.WriteProgress:
		l.disk.do(func(c *content) {
			if j := c.journals[t.Journal]; j != nil {
				j.release, j.state = t.Release, t.State
			}
		}, nil)
	case protocol.DropReplica:
		l.world.judge.dropped(l, t.Journal)
		l.disk.do(func(c *content) { delete(c.journals, t.Journal) }, nil)
	case protocol.Committed:
		l.committed(t)
	case protocol.Adopt:
		l.adopt(t)
	case protocol.Relinquish:
		l.world.note("%s relinquishes %x", l.member.id, t.Journal)
		delete(l.accounts, t.Journal)
	case protocol.Settled:
		if a := l.accounts[t.Journal]; a != nil {
			a.settled(t.Subscription, t.Sequences)
		}
	case protocol.Rehand:
		if a := l.accounts[t.Journal]; a != nil {
			a.rehand(t.Subscription, t.Sequences)
		}
	case protocol.Rejoin:
		l.rejoin(t.Members)
	case protocol.BecomeActive:
		l.become(placement.Active)
	default:
		l.stateEffect(e)
	}
}

// stateEffect performs what concerns subscriptions and their retry state.
func (l *life) stateEffect(e protocol.Effect) {
	switch t := e.(type) {
	case protocol.Deliver:
		l.deliver(t)
	case protocol.WriteVersions:
		l.disk.do(func(c *content) {
			for _, v := range t.Versions {
				c.versions[v.ID] = append(c.versions[v.ID], v)
			}
		}, l.guard(func() {
			l.core.Written(l.world.now, t.Token)
			for _, v := range t.Versions {
				l.changed(v)
			}
		}))
	case protocol.Propagated:
		l.propagated(t)
	case protocol.WriteEntries:
		l.disk.do(func(c *content) {
			for _, e := range t.Entries {
				c.put(t.Shard, e)
			}
		}, l.guard(func() { l.core.Written(l.world.now, t.Token) }))
	case protocol.Durable:
		if then := l.durable[t.Token]; then != nil {
			delete(l.durable, t.Token)
			then()
		}
	case protocol.ScanShard:
		var entries []engine.Entry
		l.disk.do(func(c *content) { entries = c.list(t.Shard) }, l.guard(func() {
			l.core.Scanned(l.world.now, t.Token, entries)
		}))
	case protocol.Merged:
		l.merged(t.Entries)
	case protocol.DropShard:
		l.world.judge.droppedShard(l, t.Shard)
		l.disk.do(func(c *content) { delete(c.entries, t.Shard) }, nil)
	case protocol.Gained:
		l.gained(t.Shards)
	case protocol.Lost:
		l.lost(t.Shards)
	}
}

// choosePlace is done once in the life of a disk, as by cluster.Start.
func (l *life) choosePlace() {
	if l.self.Salt != 0 {
		return
	}
	others := slices.Collect(maps.Values(l.seen))
	slices.SortFunc(others, func(a, b placement.Member) int { return cmp.Compare(a.ID, b.ID) })
	l.self.Salt = placement.ChooseSalt(others, l.member.id)
	l.disk.content.salt = l.self.Salt
	l.seen[l.member.id] = l.self
	l.spread()
}

// become announces a state of this member.
func (l *life) become(state placement.State) {
	if l.self.State == state {
		return
	}
	l.world.note("%s is %s", l.member.id, state)
	l.self.State = state
	l.seen[l.member.id] = l.self
	l.viewChanged()
	l.spread()
}
