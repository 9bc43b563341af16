package main

import (
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
)

const (
	gossipEvery = 500 * time.Millisecond
	deadAfter   = 3 * time.Second
)

// transmit gives an envelope to the link: it arrives after a while, perhaps twice, perhaps
// never, perhaps after one that was sent later.
func (w *world) transmit(from *life, e protocol.Envelope) {
	to := w.memberOf(e.To)
	l := w.links[from.member.index][to.index]
	if l.cut || w.chance(l.loss) {
		return
	}
	arrive := func() {
		switch life := to.life; {
		case life == nil || w.links[from.member.index][to.index].cut:
		case to.stopped:
			if len(to.held) < 10_000 { // what a socket would hold
				to.held = append(to.held, life.guard(func() { life.core.Receive(w.now, e) }))
			}
		default:
			life.guard(func() { life.core.Receive(w.now, e) })()
		}
	}
	link := track{onLink, from.member.index, to.index}
	w.on(link, w.between(50*time.Microsecond, time.Millisecond)+l.slow, arrive)
	if w.chance(w.options.doubles) {
		w.on(link, w.between(time.Millisecond, 100*time.Millisecond)+l.slow, arrive)
	}
}

func (w *world) memberOf(id placement.MemberID) *member {
	for _, m := range w.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// hears tells whether two members can talk in both directions.
func (w *world) hears(a, b *member) bool {
	return a.life != nil && b.life != nil && !a.stopped && !b.stopped &&
		!w.links[a.index][b.index].cut && !w.links[b.index][a.index].cut
}

// reaches tells whether one member can probe another, directly or through a third, as
// memberlist does.
func (w *world) reaches(a, b *member) bool {
	if w.hears(a, b) {
		return true
	}
	for _, c := range w.members {
		if c != a && c != b && w.hears(a, c) && w.hears(c, b) {
			return true
		}
	}
	return false
}

// gossip is the membership: who does not answer for a while is dropped, whoever is seen tells
// of the state it is in. It never finds again what was dropped: members do that themselves.
func (w *world) gossip() bool {
	for _, m := range w.members {
		l := m.life
		if l == nil || m.stopped {
			continue
		}
		changed := false
		for _, other := range sortedIDs(l.seen) {
			if other != m.id && l.probe(w.memberOf(other)) {
				changed = true
			}
		}
		if changed {
			l.viewChanged()
			l.perform()
		}
	}
	return true
}

// probe looks after one other member and tells whether something about it changed.
func (l *life) probe(other *member) bool {
	w := l.world
	switch {
	case w.reaches(l.member, other):
		l.heardAt[other.id] = w.now
		if now := other.life.self; l.seen[other.id] != now && other.life.sees(l.member) {
			l.seen[other.id] = now
			return true
		}
	case w.now.Sub(l.heardAt[other.id]) > deadAfter+w.between(0, time.Second):
		w.note("%s no longer sees %s", l.member.id, other.id)
		delete(l.seen, other.id)
		return true
	}
	return false
}

// sees tells whether this member has another, in its present life, in its list.
func (l *life) sees(other *member) bool {
	seen, found := l.seen[other.id]
	return found && other.life != nil && seen.Boot == other.life.self.Boot
}

// join makes two members, and those whom they see, see each other.
func (l *life) join(other *member) bool {
	w := l.world
	if !w.hears(l.member, other) {
		return false
	}
	both := []*life{l, other.life}
	for _, m := range w.members {
		if m.life == nil || m.stopped || (m.life != l && m.life != other.life && !l.sees(m) && !other.life.sees(m)) {
			continue
		}
		for _, b := range both {
			if b != m.life && w.reaches(b.member, m) {
				b.meet(m.life)
				m.life.meet(b)
			}
		}
	}
	return true
}

// meet puts another member in the list.
func (l *life) meet(other *life) {
	l.heardAt[other.member.id] = l.world.now
	l.member.known[other.member.id] = true
	if l.seen[other.member.id] == other.self {
		return
	}
	l.seen[other.member.id] = other.self
	l.world.after(0, l.guard(l.viewChanged))
}

// joinSeeds joins any other member, again and again until one answers.
func (l *life) joinSeeds() {
	for _, m := range l.world.members {
		if m != l.member {
			l.join(m)
		}
	}
	if len(l.seen) < 2 {
		l.world.after(time.Second, func() {
			if !l.dead && len(l.seen) < 2 {
				l.joinSeeds()
			}
		})
	}
}

// rejoin tries members that were dropped.
func (l *life) rejoin(ids []placement.MemberID) {
	for _, id := range ids {
		if m := l.world.memberOf(id); l.join(m) {
			l.world.note("%s meets %s again", l.member.id, id)
		}
	}
}

// spread tells the others at once what this member has become.
func (l *life) spread() {
	for _, m := range l.world.members {
		if m.life != nil && m != l.member && m.life.sees(l.member) && l.world.reaches(m, l.member) {
			life := m.life
			life.seen[l.member.id] = l.self
			l.world.after(l.world.between(time.Millisecond, 300*time.Millisecond), life.guard(life.viewChanged))
		}
	}
}

// viewChanged gives the protocol the list of members.
func (l *life) viewChanged() {
	view := make([]placement.Member, 0, len(l.seen))
	for _, id := range sortedIDs(l.seen) {
		view = append(view, l.seen[id])
	}
	l.core.View(l.world.now, view)
}
