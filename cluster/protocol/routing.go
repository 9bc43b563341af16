package protocol

import (
	"cmp"
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

const (
	// RehandEvery is how often pairs that found no owner are handed out again.
	RehandEvery = 200 * time.Millisecond
	// MaxRemembered bounds how many settled pairs a member remembers, to answer a keeper that
	// asks again instead of delivering again.
	MaxRemembered = 100_000
)

// pairs names the deliveries of one subscription out of one journal.
type pairs struct {
	journal      engine.JournalID
	subscription engine.SubscriptionID
}

func (p pairs) compare(other pairs) int {
	return cmp.Or(cmp.Compare(p.journal, other.journal), cmp.Compare(p.subscription, other.subscription))
}

// routing hands the pairs of kept journals out to the owners of their subscriptions, and takes
// in what other keepers hand out to this member. A pair is out until its owner says Done; it is
// handed out again when the owner gives it back, is lost, or has handed its shard on.
//
//	            Route              Done
//	(ledger) ─────────► out(owner) ─────► settled
//	   ▲                   │ Back, or the owner is lost
//	   └──── Rehand ◄── parked
//
// Not safe for concurrent use.
type routing struct {
	member *Member
	// out are the pairs that other members have, and who has them.
	out map[pairs]map[uint64]placement.MemberID
	// parked are the pairs that nobody has; those that a busy owner gave back are true.
	parked   map[pairs]map[uint64]bool
	rehandAt time.Time

	// held are the pairs that this member has, and the keepers that wait for them.
	held map[pairs]map[uint64][]placement.MemberID
	// remembered are pairs that were settled here lately.
	remembered map[settledPair]bool
	order      []settledPair
}

type settledPair struct {
	pairs
	sequence uint64
}

func newRouting(m *Member) *routing {
	return &routing{
		member: m, out: make(map[pairs]map[uint64]placement.MemberID), parked: make(map[pairs]map[uint64]bool),
		held: make(map[pairs]map[uint64][]placement.MemberID), remembered: make(map[settledPair]bool),
	}
}

// route hands an event of a kept journal out.
func (r *routing) route(journal engine.JournalID, sequence uint64, event []byte, subs []engine.SubscriptionID) {
	byOwner := make(map[placement.MemberID][]engine.SubscriptionID)
	for _, sub := range subs {
		owner := r.member.view.Owner(engine.ShardOf(sub))
		byOwner[owner] = append(byOwner[owner], sub)
	}
	for _, owner := range sortedKeys(byOwner) {
		theirs := byOwner[owner]
		switch {
		case owner == r.member.id:
			r.receive(r.member.id, &Route{Journal: journal, Sequence: sequence, Event: event, Subscriptions: theirs})
		case owner == "" || !r.member.hasRoom(owner):
			for _, sub := range theirs {
				r.park(pairs{journal, sub}, sequence, false)
			}
		default:
			for _, sub := range theirs {
				of(r.out, pairs{journal, sub})[sequence] = owner
			}
			r.member.send(owner, &Route{Journal: journal, Sequence: sequence, Event: event, Subscriptions: theirs})
		}
	}
}

func (r *routing) park(p pairs, sequence uint64, busy bool) { of(r.parked, p)[sequence] = busy }

// drop forgets the pairs of a journal that another member keeps now.
func (r *routing) drop(journal engine.JournalID) {
	for p := range r.out {
		if p.journal == journal {
			delete(r.out, p)
		}
	}
	for p := range r.parked {
		if p.journal == journal {
			delete(r.parked, p)
		}
	}
}

// done takes pairs off that an owner has discharged, whoever was asked last.
func (r *routing) done(m *Done) {
	p := pairs{m.Journal, m.Subscription}
	var settled []uint64
	for _, sequence := range m.Sequences {
		_, out := r.out[p][sequence]
		_, parked := r.parked[p][sequence]
		if out || parked {
			remove(r.out, p, sequence)
			remove(r.parked, p, sequence)
			settled = append(settled, sequence)
		}
	}
	if len(settled) > 0 {
		r.member.emit(Settled{Journal: m.Journal, Subscription: m.Subscription, Sequences: settled})
	}
}

// back parks pairs that an owner gave back.
func (r *routing) back(from placement.MemberID, m *Back) {
	p := pairs{m.Journal, m.Subscription}
	for _, sequence := range m.Sequences {
		if r.out[p][sequence] == from {
			remove(r.out, p, sequence)
			r.park(p, sequence, m.Busy)
		}
	}
}

// lost parks the pairs that a lost peer had.
func (r *routing) lost(peer placement.MemberID) {
	for p, sequences := range r.out {
		for sequence, owner := range sequences {
			if owner == peer {
				remove(r.out, p, sequence)
				r.park(p, sequence, false)
			}
		}
	}
	r.rehandAt = r.member.now
}

// viewed tries parked pairs at once: they may have an owner now.
func (r *routing) viewed() { r.rehandAt = r.member.now }

// tick hands parked pairs out again.
func (r *routing) tick() {
	if r.member.now.Before(r.rehandAt) {
		return
	}
	r.rehandAt = r.member.now.Add(RehandEvery)
	for _, p := range sortedPairs(r.parked) {
		owner := r.member.view.Owner(engine.ShardOf(p.subscription))
		if owner == "" || (owner != r.member.id && !r.member.hasRoom(owner)) {
			continue
		}
		r.rehand(p)
	}
}

// rehand asks for the parked pairs of a subscription.
func (r *routing) rehand(p pairs) {
	var plain, busy []uint64
	for _, sequence := range sortedKeys(r.parked[p]) {
		if r.parked[p][sequence] {
			busy = append(busy, sequence)
		} else {
			plain = append(plain, sequence)
		}
	}
	delete(r.parked, p)
	if len(plain) > 0 {
		r.member.emit(Rehand{Journal: p.journal, Subscription: p.subscription, Sequences: plain})
	}
	if len(busy) > 0 {
		r.member.emit(Rehand{Journal: p.journal, Subscription: p.subscription, Sequences: busy, Busy: true})
	}
}

// receive takes pairs in that a keeper hands out, this member's own included.
func (r *routing) receive(keeper placement.MemberID, m *Route) {
	var fresh, unknown []engine.SubscriptionID
	for _, sub := range m.Subscriptions {
		p := pairs{m.Journal, sub}
		switch {
		case r.remembered[settledPair{p, m.Sequence}]:
			r.answer(keeper, &Done{Journal: m.Journal, Subscription: sub, Sequences: []uint64{m.Sequence}})
		case len(r.held[p][m.Sequence]) > 0:
			if !slices.Contains(r.held[p][m.Sequence], keeper) {
				r.held[p][m.Sequence] = append(r.held[p][m.Sequence], keeper)
			}
		case r.member.view.Owner(engine.ShardOf(sub)) != r.member.id:
			r.giveBack(keeper, p, m.Sequence, false)
		case !r.member.versions.known(sub):
			// The keeper matched with a version that has not come here yet.
			unknown = append(unknown, sub)
			r.giveBack(keeper, p, m.Sequence, false)
		default:
			of(r.held, p)[m.Sequence] = []placement.MemberID{keeper}
			fresh = append(fresh, sub)
		}
	}
	if len(unknown) > 0 && keeper != r.member.id {
		r.member.send(keeper, &Want{Subscriptions: unknown})
	}
	if len(fresh) > 0 {
		r.member.emit(Deliver{Journal: m.Journal, Sequence: m.Sequence, Event: m.Event, Subscriptions: fresh})
	}
}

func (r *routing) giveBack(keeper placement.MemberID, p pairs, sequence uint64, busy bool) {
	if keeper == r.member.id {
		r.park(p, sequence, busy)
		return
	}
	r.member.send(keeper, &Back{
		Journal: p.journal, Subscription: p.subscription, Sequences: []uint64{sequence}, Busy: busy,
	})
}

// answer tells a keeper, or this member's own account, what is discharged.
func (r *routing) answer(keeper placement.MemberID, m *Done) {
	if keeper != r.member.id {
		r.member.send(keeper, m)
		return
	}
	r.member.emit(Settled(*m))
}

// discharged notes pairs that this member has settled, and tells whoever waits for them.
func (r *routing) discharged(p pairs, sequences []uint64) {
	waiting := make(map[placement.MemberID][]uint64)
	for _, sequence := range sequences {
		for _, keeper := range r.held[p][sequence] {
			waiting[keeper] = append(waiting[keeper], sequence)
		}
		remove(r.held, p, sequence)
		r.remember(settledPair{p, sequence})
	}
	for _, keeper := range sortedKeys(waiting) {
		if keeper == r.member.id || r.member.sees(keeper) {
			r.answer(keeper, &Done{Journal: p.journal, Subscription: p.subscription, Sequences: waiting[keeper]})
		}
	}
}

// returned gives pairs back that were not attempted.
func (r *routing) returned(p pairs, sequences []uint64, busy bool) {
	for _, sequence := range sequences {
		for _, keeper := range r.held[p][sequence] {
			if keeper == r.member.id || r.member.sees(keeper) {
				r.giveBack(keeper, p, sequence, busy)
			}
		}
		remove(r.held, p, sequence)
	}
}

// settledHere gives what is remembered of a journal, from a sequence on.
func (r *routing) settledHere(journal engine.JournalID, from uint64) map[engine.SubscriptionID][]uint64 {
	settled := make(map[engine.SubscriptionID][]uint64)
	for _, s := range r.order {
		if s.journal == journal && s.sequence >= from {
			settled[s.subscription] = append(settled[s.subscription], s.sequence)
		}
	}
	for _, sequences := range settled {
		slices.Sort(sequences)
	}
	return settled
}

func (r *routing) remember(s settledPair) {
	if r.remembered[s] {
		return
	}
	if len(r.order) == MaxRemembered {
		delete(r.remembered, r.order[0])
		r.order = r.order[1:]
	}
	r.remembered[s] = true
	r.order = append(r.order, s)
}
