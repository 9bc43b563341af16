package actors_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pannier/actors"
	"pannier/engine"
	"pannier/storage"
)

const (
	linkTakes = time.Millisecond
	// rehandAfter is how long a pair that found no owner rests with the protocol.
	rehandAfter = 200 * time.Millisecond
)

// duo is two members of a cluster with links that take a while, lose nothing and keep the order,
// and with disks that are always alike: the twin of cluster.Node and its protocol.
type duo struct {
	t     *testing.T
	sides [2]*side
	slow  bool // adopted journals give a few records at a time
	// revision is of the last change of a subscription.
	revision uint64

	mu       sync.Mutex
	owner    map[engine.SubscriptionID]int
	marks    map[engine.JournalID]engine.Watermark
	behind   map[engine.JournalID][]engine.Cursor
	journals []*kept
	links    [2]link
}

// kept is a journal and who keeps it.
type kept struct {
	journal *storage.MemoryJournal
	lane    string
	keeper  *port
	origin  int
}

// side is one of the two members, over all its lives.
type side struct {
	duo   *duo
	index int
	world *world
	life  *life
	port  *port
}

// port is the other member as one life sees it; it implements engine.Cluster. Guarded by duo.mu.
type port struct {
	side    *side
	system  *actors.System // nil until it is started
	over    bool
	out     map[handed]bool // pairs of journals kept here that the other has
	held    map[handed]bool // pairs that the other waits for
	settled map[handed]bool
}

type handed struct {
	journal  engine.JournalID
	id       engine.SubscriptionID
	sequence uint64
}

// link carries messages to one side, in order.
type link struct {
	one   sync.Mutex // at a time
	queue []message
}

// message is lost with the life that it is for.
type message struct {
	to *port
	do func()
}

// newDuo starts both; prepare, if any, changes their worlds before.
func newDuo(t *testing.T, prepare ...func(*world)) *duo {
	t.Helper()
	d := &duo{
		t: t, owner: make(map[engine.SubscriptionID]int), marks: make(map[engine.JournalID]engine.Watermark),
		behind: make(map[engine.JournalID][]engine.Cursor),
	}
	state := storage.NewMemoryState(time.Now)
	for n := range d.sides {
		s := &side{duo: d, index: n, world: newWorld(t)}
		s.world.state = state
		s.world.written = s.merge
		d.mu.Lock()
		d.sides[n] = s
		d.mu.Unlock()
		d.start(n, prepare...)
	}
	return d
}

// start begins a life of a side, with journals of its own.
func (d *duo) start(n int, prepare ...func(*world)) {
	s := d.sides[n]
	p := &port{side: s, out: make(map[handed]bool), held: make(map[handed]bool), settled: make(map[handed]bool)}
	s.world.cluster = p
	clear(s.world.journals)
	for _, change := range prepare {
		change(s.world)
	}
	began := s.world.boot()
	d.mu.Lock()
	defer d.mu.Unlock()
	s.life, s.port, p.system = began, p, began.system
	for lane, journal := range s.world.journals {
		d.journals = append(d.journals, &kept{journal: journal, lane: lane, keeper: p, origin: n})
	}
}

// kill ends a side's life as a crash would; the other hears of it and owns everything.
func (d *duo) kill(n int) {
	d.mu.Lock()
	d.sides[n].port.over = true
	owners := slices.Collect(maps.Keys(d.owner))
	d.mu.Unlock()
	d.sides[n].life.kill()
	d.end(n)
	for _, id := range owners {
		d.give(id, 1-n)
	}
}

// leaveWithin is how long a member that leaves waits for what it has of others and gave to them.
const leaveWithin = 10 * time.Second

// leave ends a side's life as a graceful stop does: the other owns everything, and the side
// stops once nothing of its journals is undischarged and it owes no answer, or after a while.
func (d *duo) leave(n int) {
	d.mu.Lock()
	owners := slices.Collect(maps.Keys(d.owner))
	p := d.sides[n].port
	d.mu.Unlock()
	for _, id := range owners {
		d.give(id, 1-n)
	}
	system := d.sides[n].life.system
	for end := time.Now().Add(leaveWithin); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		d.mu.Lock()
		owes := len(p.held)
		d.mu.Unlock()
		if owes == 0 && system.Undischarged() == 0 {
			break
		}
	}
	d.sides[n].life.stop()
	d.end(n)
}

// end has the other member hear that a side is gone.
func (d *duo) end(n int) {
	d.mu.Lock()
	gone, other := d.sides[n].port, d.sides[1-n].port
	gone.over = true
	lost := slices.Collect(maps.Keys(other.out))
	clear(other.out)
	d.mu.Unlock()
	for _, h := range lost {
		other.park(h, false)
	}
}

// adopt has a side go on with the journals that nobody keeps.
func (d *duo) adopt(n int) {
	d.t.Helper()
	for _, k := range d.journals {
		if k.keeper.over {
			d.adoptOne(n, k)
		}
	}
}

func (d *duo) adoptOne(n int, k *kept) {
	d.t.Helper()
	d.mu.Lock()
	p, id := d.sides[n].port, k.journal.ID()
	k.keeper = p
	mark, known := d.marks[id]
	if !known {
		mark = engine.Watermark{Journal: id, Sequence: 1}
	}
	a := actors.Adoption{
		Name: "adopted-" + engine.NewID("")[:8], Lane: k.lane, Journal: k.journal, Mark: mark, Cursors: d.behind[id],
		Settled: make(map[engine.SubscriptionID][]uint64), Foreign: k.origin != n,
	}
	for h := range p.settled {
		if h.journal == id {
			a.Settled[h.id] = append(a.Settled[h.id], h.sequence)
		}
	}
	d.mu.Unlock()
	for _, sequences := range a.Settled {
		slices.Sort(sequences)
	}
	if d.slow {
		a.Journal = slowJournal{a.Journal}
	}
	if err := p.system.Adopt(a); err != nil {
		d.t.Fatal(err)
	}
}

// relinquish has a side stop keeping a journal that it adopted.
func (d *duo) relinquish(p *port, id engine.JournalID) {
	d.mu.Lock()
	for h := range p.out {
		if h.journal == id {
			delete(p.out, h)
		}
	}
	d.mu.Unlock()
	p.system.Relinquish(id)
}

// slowJournal gives a few records at a time, and takes its time for them.
type slowJournal struct{ engine.Journal }

func (j slowJournal) Read(from uint64, limit int, visit func(uint64, engine.Record) bool) (uint64, error) {
	time.Sleep(20 * time.Millisecond)
	return j.Journal.Read(from, min(limit, 100), visit)
}

func (d *duo) stop() {
	for _, s := range d.sides {
		if !s.life.dead.Load() {
			s.life.stop()
		}
	}
}

// subscribe makes a subscription that both members know of and one owns.
func (d *duo) subscribe(owner int, change func(*engine.SubscriptionSpec)) engine.SubscriptionID {
	d.t.Helper()
	id := d.sides[0].life.subscribe(change)
	version, _ := d.sides[0].life.table.Get(id)
	d.sides[1].life.table.Apply(version)
	d.give(id, owner)
	return id
}

// change puts a new version of a subscription in force on every member at once.
func (d *duo) change(id engine.SubscriptionID, change func(*engine.Subscription)) {
	d.revision = max(d.revision+1, uint64(engine.StampAt(time.Now().UnixMilli())))
	for _, s := range d.sides {
		if s.port.over {
			continue
		}
		version, _ := s.life.table.Get(id)
		next := *version
		next.Revision = d.revision
		change(&next)
		if err := s.world.state.Write([]engine.Write{engine.PutVersion{Subscription: &next}}, func() {}); err != nil {
			d.t.Error(err)
		}
		s.life.table.Apply(&next)
		if err := s.life.system.Changed(d.t.Context(), id); err != nil {
			d.t.Error(err)
		}
	}
}

// give makes a member the owner.
func (d *duo) give(id engine.SubscriptionID, owner int) {
	d.mu.Lock()
	d.owner[id] = owner
	d.mu.Unlock()
	for _, s := range d.sides {
		if !s.port.over {
			s.life.system.Moved(map[int]bool{engine.ShardOf(id): true})
		}
	}
	records, _ := d.sides[0].world.state.RetryRecords(context.Background(), id, engine.DeliveryKey{}, 1)
	if s := d.sides[owner]; len(records) > 0 && !s.port.over {
		s.life.system.WakeFor(id)
	}
}

// count is how often an event arrived, from whichever member.
func (d *duo) count(id engine.SubscriptionID, event string) int {
	return d.sides[0].world.count(id, event) + d.sides[1].world.count(id, event)
}

// wantOnce asks that each event arrived, and no more than once.
func (d *duo) wantOnce(id engine.SubscriptionID, events []string) {
	d.t.Helper()
	for _, event := range events {
		if got := d.count(id, event); got != 1 {
			d.t.Fatalf("%s reached %s %d times, want once", event, id, got)
		}
	}
}

func (d *duo) wantArrived(id engine.SubscriptionID, events []string) {
	d.t.Helper()
	for _, event := range events {
		if d.count(id, event) == 0 {
			d.t.Fatalf("%s never reached %s", event, id)
		}
	}
}

// send has something done at another life, if it goes on until then.
func (d *duo) send(to *port, do func()) {
	d.mu.Lock()
	l := &d.links[to.side.index]
	l.queue = append(l.queue, message{to, do})
	d.mu.Unlock()
	time.AfterFunc(linkTakes, func() {
		l.one.Lock()
		defer l.one.Unlock()
		d.mu.Lock()
		next := l.queue[0]
		l.queue = l.queue[1:]
		lost := next.to.over
		d.mu.Unlock()
		if !lost {
			next.do()
		}
	})
}

// merge tells the other member what one wrote about deliveries.
func (s *side) merge(changes []engine.Write) {
	s.duo.mu.Lock()
	var to *port
	if other := s.duo.sides[1-s.index]; other != nil {
		to = other.port
	}
	s.duo.mu.Unlock()
	if to == nil {
		return // it was never there
	}
	hear := func(id engine.SubscriptionID, key engine.DeliveryKey) {
		s.duo.send(to, func() {
			record, found, err := s.world.state.RetryRecord(context.Background(), id, key)
			if err != nil || !found {
				to.system.Merge(id, key, nil)
				return
			}
			record.Carried, record.Body = record.Body != nil, nil
			to.system.Merge(id, key, &record)
		})
	}
	for _, change := range changes {
		switch w := change.(type) {
		case engine.PutRetryRecord:
			hear(w.Subscription, w.Key)
		case engine.DropRetryRecord:
			hear(w.Subscription, w.Key)
		}
	}
}

// other is the other member; nil when it is not there.
func (p *port) other() *port {
	if s := p.side.duo.sides[1-p.side.index]; s != nil && s.port != nil && !s.port.over {
		return s.port
	}
	return nil
}

// park hands a pair back to the actors after a while: nobody has it.
func (p *port) park(h handed, busy bool) {
	time.AfterFunc(rehandAfter, func() {
		p.side.duo.mu.Lock()
		over := p.over
		p.side.duo.mu.Unlock()
		if !over {
			p.system.Returned(h.journal, h.id, []uint64{h.sequence}, busy)
		}
	})
}

func (p *port) Owns(id engine.SubscriptionID) bool {
	p.side.duo.mu.Lock()
	defer p.side.duo.mu.Unlock()
	return p.side.duo.owner[id] == p.side.index
}

func (p *port) HandOut(event *engine.Event, id engine.SubscriptionID) {
	d, h := p.side.duo, handed{event.Ref.Journal, id, event.Ref.Sequence}
	d.mu.Lock()
	to := p.other()
	if p.over {
		to = nil
	}
	elsewhere := to != nil && d.owner[id] != p.side.index
	if elsewhere {
		p.out[h] = true
	}
	d.mu.Unlock()
	if elsewhere {
		d.send(to, func() { to.receive(p, event, h) })
		return
	}
	p.park(h, false)
}

// receive takes in a pair that a keeper hands out.
func (p *port) receive(from *port, event *engine.Event, h handed) {
	d := p.side.duo
	d.mu.Lock()
	settled, held, owns := p.settled[h], p.held[h], d.owner[h.id] == p.side.index
	if !settled && owns {
		p.held[h] = true
	}
	d.mu.Unlock()
	switch {
	case settled:
		d.send(from, func() { from.done([]handed{h}) })
	case held:
	case !owns:
		d.send(from, func() { from.back(h, false) })
	default:
		p.system.Deliver(event, []engine.SubscriptionID{h.id})
	}
}

// done hears that the other has settled pairs.
func (p *port) done(pairs []handed) {
	for _, h := range pairs {
		if p.takeOut(h) {
			p.system.Settled(h.journal, h.id, []uint64{h.sequence})
		}
	}
}

// back hears that the other has a pair no more.
func (p *port) back(h handed, busy bool) {
	if p.takeOut(h) {
		p.park(h, busy)
	}
}

func (p *port) takeOut(h handed) (was bool) {
	p.side.duo.mu.Lock()
	defer p.side.duo.mu.Unlock()
	was = p.out[h]
	delete(p.out, h)
	return was
}

func (p *port) Discharged(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64) {
	p.answer(journal, id, sequences, func(to *port, pairs []handed) { to.done(pairs) }, true)
}

func (p *port) GiveBack(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, busy bool) {
	p.answer(journal, id, sequences, func(to *port, pairs []handed) {
		for _, h := range pairs {
			to.back(h, busy)
		}
	}, false)
}

// answer tells the other of the pairs that it waits for.
func (p *port) answer(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, tell func(*port, []handed), settled bool) {
	d := p.side.duo
	d.mu.Lock()
	var waited []handed
	for _, sequence := range sequences {
		h := handed{journal, id, sequence}
		if p.held[h] {
			waited = append(waited, h)
		}
		delete(p.held, h)
		if settled {
			p.settled[h] = true
		}
	}
	to := p.other()
	over := p.over
	d.mu.Unlock()
	if len(waited) > 0 && to != nil && !over {
		d.send(to, func() { tell(to, waited) })
	}
}

func (p *port) Checkpoint(mark engine.Watermark, cursors []engine.Cursor) {
	p.side.duo.mu.Lock()
	defer p.side.duo.mu.Unlock()
	if !p.over {
		p.side.duo.marks[mark.Journal], p.side.duo.behind[mark.Journal] = mark, cursors
	}
}

func (p *port) Finished(engine.JournalID) {}
