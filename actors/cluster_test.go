package actors_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/actors"
	"pannier/engine"
)

// duo is two members of a cluster with links that take a while and lose nothing: the twin of
// cluster.Node.
type duo struct {
	t     *testing.T
	sides [2]*side

	mu     sync.Mutex
	owner  map[engine.SubscriptionID]int
	marks  map[engine.JournalID]engine.Watermark
	behind map[engine.JournalID][]engine.Cursor
	// settled is what each side said of journals that were not its own.
	settled [2]map[engine.JournalID]map[engine.SubscriptionID][]uint64
}

// side is one of them; it implements engine.Cluster for its actors.
type side struct {
	duo   *duo
	index int
	world *world
	life  *life
}

const linkTakes = time.Millisecond

// newDuo starts both; prepare, if any, changes their worlds before.
func newDuo(t *testing.T, prepare ...func(*world)) *duo {
	t.Helper()
	d := &duo{
		t: t, owner: make(map[engine.SubscriptionID]int), marks: make(map[engine.JournalID]engine.Watermark),
		behind: make(map[engine.JournalID][]engine.Cursor),
	}
	for n := range d.sides {
		s := &side{duo: d, index: n, world: newWorld(t)}
		s.world.cluster = s
		d.settled[n] = make(map[engine.JournalID]map[engine.SubscriptionID][]uint64)
		for _, change := range prepare {
			change(s.world)
		}
		d.sides[n] = s
		s.life = s.world.boot()
	}
	return d
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

// give makes a member the owner.
func (d *duo) give(id engine.SubscriptionID, owner int) {
	d.mu.Lock()
	d.owner[id] = owner
	d.mu.Unlock()
	for _, s := range d.sides {
		s.life.system.Moved(map[int]bool{engine.ShardOf(id): true})
	}
}

// count is how often an event arrived, from whichever member.
func (d *duo) count(id engine.SubscriptionID, event string) int {
	return d.sides[0].world.count(id, event) + d.sides[1].world.count(id, event)
}

// later has something done by the other member, if it lives then.
func (s *side) later(do func(other *actors.System)) {
	other := s.duo.sides[1-s.index]
	time.AfterFunc(linkTakes, func() {
		if !other.life.dead.Load() {
			do(other.life.system)
		}
	})
}

func (s *side) Owns(id engine.SubscriptionID) bool {
	s.duo.mu.Lock()
	defer s.duo.mu.Unlock()
	return s.duo.owner[id] == s.index
}

func (s *side) HandOut(event *engine.Event, id engine.SubscriptionID) {
	s.later(func(other *actors.System) {
		if s.duo.sides[1-s.index].Owns(id) {
			other.Deliver(event, []engine.SubscriptionID{id})
			return
		}
		s.life.system.Returned(event.Ref.Journal, id, []uint64{event.Ref.Sequence}, false)
	})
}

func (s *side) Discharged(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64) {
	s.duo.mu.Lock()
	settled := s.duo.settled[s.index]
	if settled[journal] == nil {
		settled[journal] = make(map[engine.SubscriptionID][]uint64)
	}
	settled[journal][id] = append(settled[journal][id], sequences...)
	s.duo.mu.Unlock()
	s.later(func(other *actors.System) { other.Settled(journal, id, sequences) })
}

func (s *side) GiveBack(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, busy bool) {
	s.later(func(other *actors.System) { other.Returned(journal, id, sequences, busy) })
}

func (s *side) Checkpoint(mark engine.Watermark, cursors []engine.Cursor) {
	s.duo.mu.Lock()
	defer s.duo.mu.Unlock()
	s.duo.marks[mark.Journal], s.duo.behind[mark.Journal] = mark, cursors
}

func (s *side) Finished(engine.JournalID) {}

// adopt has a side go on with the journal of the other, which is dead.
func (s *side) adopt(journal engine.Journal) {
	s.duo.t.Helper()
	s.duo.mu.Lock()
	mark, known := s.duo.marks[journal.ID()]
	if !known {
		mark = engine.Watermark{Journal: journal.ID(), Sequence: 1}
	}
	settled := s.duo.settled[s.index][journal.ID()]
	for _, sequences := range settled {
		slices.Sort(sequences)
	}
	cursors := s.duo.behind[journal.ID()]
	s.duo.settled[s.index][journal.ID()] = nil
	s.duo.mu.Unlock()
	err := s.life.system.Adopt(actors.Adoption{
		Name: "adopted", Journal: journal, Mark: mark, Cursors: cursors, Settled: settled, Foreign: true,
	})
	if err != nil {
		s.duo.t.Fatal(err)
	}
}

func names(n int) []string {
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf("event-%05d", i)
	}
	return events
}

// TestTheOwnerDelivers: what one member accepts goes out from the member that owns the
// subscription, and the first one's journal waits for nothing afterwards.
func TestTheOwnerDelivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		here, there := d.subscribe(0, nil), d.subscribe(1, nil)
		events := names(1000)
		d.sides[0].life.publish("trip.created", events...)
		time.Sleep(5 * time.Second)
		for _, event := range events {
			if d.sides[0].world.count(here, event) != 1 || d.sides[1].world.count(there, event) != 1 {
				t.Fatalf("%s arrived %d and %d times from its owners, want once each", event,
					d.sides[0].world.count(here, event), d.sides[1].world.count(there, event))
			}
		}
		if got := d.sides[0].life.system.Undischarged(); got != 0 {
			t.Errorf("the keeper waits for %d deliveries", got)
		}
		d.stop()
	})
}

// TestASlowEndpointElsewhereLags: its events wait behind the keeper's cursor, not in memory, and
// hold nobody up.
func TestASlowEndpointElsewhereLags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		slow := d.subscribe(1, func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
		quick := d.subscribe(1, nil)
		d.sides[1].world.answer(func(p pair, n int) engine.Result {
			if p.sub == slow {
				time.Sleep(time.Second)
			}
			return succeeding(p, n)
		})
		events := names(1500)
		d.sides[0].life.publish("trip.created", events...)
		time.Sleep(20 * time.Second)
		for _, event := range events {
			if got := d.count(quick, event); got != 1 {
				t.Fatalf("%s reached the quick endpoint %d times, want once", event, got)
			}
		}
		d.mu.Lock()
		waiting := uint64(0)
		for _, cursors := range d.behind {
			for _, c := range cursors {
				waiting += c.Waiting
			}
		}
		d.mu.Unlock()
		if waiting < 1000 {
			t.Errorf("%d events wait behind the cursor, want most of them", waiting)
		}
		time.Sleep(time.Hour)
		for _, event := range events {
			if got := d.count(slow, event); got != 1 {
				t.Fatalf("%s reached the slow endpoint %d times, want once", event, got)
			}
		}
		d.stop()
	})
}

// TestAMoveLosesAndRepeatsNothing: the owner changes again and again while events come.
func TestAMoveLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		id := d.subscribe(0, nil)
		for _, s := range d.sides {
			s.world.answer(func(p pair, n int) engine.Result {
				time.Sleep(3 * time.Millisecond)
				return succeeding(p, n)
			})
		}
		events := names(2000)
		for n := range 20 {
			d.sides[0].life.publish("trip.created", events[100*n:100*n+100]...)
			time.Sleep(7 * time.Millisecond)
			d.give(id, n%2)
		}
		time.Sleep(time.Minute)
		for _, event := range events {
			if got := d.count(id, event); got != 1 {
				t.Fatalf("%s arrived %d times, want once", event, got)
			}
		}
		d.stop()
	})
}

// TestAnotherGoesOnWithAJournal: the keeper dies, and the other member hands out what it had not
// seen discharged.
func TestAnotherGoesOnWithAJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		id := d.subscribe(1, func(s *engine.SubscriptionSpec) { s.MaxInFlight = 2 })
		lagging := d.subscribe(1, func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
		d.sides[1].world.answer(func(p pair, n int) engine.Result {
			if p.sub == lagging {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Millisecond)
			return succeeding(p, n)
		})
		events := names(900)
		d.sides[0].life.publish("trip.created", events...)
		time.Sleep(300 * time.Millisecond)
		d.sides[0].life.kill()
		time.Sleep(400 * time.Millisecond) // it goes on with what it has meanwhile
		d.sides[1].adopt(d.sides[0].world.journals[engine.SharedLane])
		time.Sleep(time.Hour)
		repeated := 0
		for _, event := range events {
			for _, sub := range []engine.SubscriptionID{id, lagging} {
				got := d.count(sub, event)
				if got == 0 {
					t.Fatalf("%s never reached %s", event, sub)
				}
				repeated += got - 1
			}
		}
		if repeated > 0 {
			t.Errorf("%d deliveries were repeated, want none: their owner knows what it has settled", repeated)
		}
		if got := d.sides[1].life.system.Undischarged(); got != 0 {
			t.Errorf("the new keeper waits for %d deliveries", got)
		}
		d.stop()
	})
}

// slowJournal gives a few records at a time, and takes its time for them.
type slowJournal struct{ engine.Journal }

func (j slowJournal) Read(from uint64, limit int, visit func(uint64, engine.Record) bool) (uint64, error) {
	time.Sleep(20 * time.Millisecond)
	return j.Journal.Read(from, min(limit, 100), visit)
}

// TestAdoptionForActorsAtWork: while a member goes through a journal that it adopts, its actors
// deliver what comes meanwhile. What finds no room in their mailboxes waits behind the cursor.
func TestAdoptionForActorsAtWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		id := d.subscribe(1, func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
		d.sides[1].world.answer(func(p pair, n int) engine.Result {
			time.Sleep(10 * time.Millisecond)
			return succeeding(p, n)
		})
		events := names(4 * engine.MailboxCapacity)
		d.sides[0].life.publish("trip.created", events...)
		d.sides[0].life.kill()
		d.sides[1].life.publish("trip.created", "at-work-1", "at-work-2", "at-work-3", "at-work-4", "at-work-5", "at-work-6")
		d.sides[1].adopt(slowJournal{d.sides[0].world.journals[engine.SharedLane]})
		time.Sleep(time.Hour)
		for _, event := range events {
			if d.count(id, event) == 0 {
				t.Fatalf("%s never arrived", event)
			}
		}
		if got := d.sides[1].life.system.Undischarged(); got != 0 {
			t.Errorf("the new keeper waits for %d deliveries", got)
		}
		d.stop()
	})
}

// TestSubscriptionActorPanics: a delivery crashes its actor at the owner again and again. It ends
// as a dead letter there, its neighbours arrive, and the keeper waits for nothing.
func TestSubscriptionActorPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const poison = "event-00050"
		d := newDuo(t, func(w *world) { w.poison(poison) })
		id := d.subscribe(1, nil)
		events := names(100)
		for _, event := range events {
			d.sides[0].life.publish("trip.created", event)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Minute)
		for _, event := range events {
			if got := d.count(id, event); event != poison && got == 0 {
				t.Errorf("%s never arrived", event)
			}
		}
		letters := d.sides[1].life.deadLetters(id)
		if len(letters) != 1 || letters[0].Reason != engine.ReasonQuarantined {
			t.Errorf("dead letters: %+v, want one, quarantined", letters)
		}
		if got := d.sides[0].life.system.Undischarged(); got != 0 {
			t.Errorf("the keeper waits for %d deliveries", got)
		}
		d.stop()
	})
}

// TestDiskNearlyFull: a member whose disk is nearly full refuses events, goes on with what others
// hand out to it, and accepts again once there is room.
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		d := newDuo(t, func(w *world) {
			if w.cluster.(*side).index == 0 {
				w.refuse = func(string) error {
					if full.Load() {
						return engine.Errorf(engine.CodeStorageFull, "the storage is full")
					}
					return nil
				}
			}
		})
		id := d.subscribe(0, nil)
		full.Store(true)
		drafts := []engine.Draft{{ID: "refused", Topic: "trip.created", Data: []byte(`{}`)}}
		if _, err := d.sides[0].life.engine.Accept(context.Background(), admin, drafts, ""); engine.ErrorCode(err) != engine.CodeStorageFull {
			t.Errorf("Accept on a full disk: %v, want storage_full", err)
		}
		d.sides[1].life.publish("trip.created", "elsewhere")
		time.Sleep(time.Minute)
		full.Store(false)
		d.sides[0].life.publish("trip.created", "refused")
		time.Sleep(time.Minute)
		for _, event := range []string{"elsewhere", "refused"} {
			if got := d.count(id, event); got != 1 {
				t.Errorf("%s arrived %d times, want once", event, got)
			}
		}
		d.stop()
	})
}
