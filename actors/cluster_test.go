package actors_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

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
		d.wantOnce(quick, events)
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
		d.wantOnce(slow, events)
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
		d.wantOnce(id, events)
		d.stop()
	})
}

// TestTwoOwnersInTurns: ownership goes to and fro while hand-outs are under way in both directions,
// so that each member has events of the other that only an owner would attempt.
func TestTwoOwnersInTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		id := d.subscribe(0, nil)
		events := names(40)
		d.sides[1].life.publish("trip.created", events[:5]...)
		settle()
		d.give(id, 1)
		settle()
		d.sides[0].life.publish("trip.created", events[5:]...)
		settle()
		d.give(id, 0)
		time.Sleep(17 * time.Millisecond)
		d.give(id, 1)
		time.Sleep(time.Minute)
		d.wantOnce(id, events)
		d.stop()
	})
}

// TestWordOfARecordBehindItsEnd: the owner hears of a retry record only after it has settled the
// delivery. It makes no attempt of it, successful or not, and nobody waits for it.
func TestWordOfARecordBehindItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		id := d.subscribe(1, nil)
		d.sides[0].life.publish("trip.created", "of-the-other")
		d.sides[1].life.publish("trip.created", "of-its-own")
		time.Sleep(time.Minute)
		for _, side := range d.sides {
			for _, journal := range side.world.journals {
				found, err := journal.Get(1)
				if err != nil {
					t.Fatal(err)
				}
				record := &engine.RetryRecord{Subscription: id, Key: found.Event.Key(), Carried: true}
				d.sides[1].life.system.Merge(id, record.Key, record)
			}
		}
		time.Sleep(time.Hour)
		if got := len(d.sides[1].world.attempts()); got != 2 {
			t.Errorf("%d attempts, want one for each event", got)
		}
		if got, want := d.sides[1].life.system.Stats(context.Background()), (engine.StatsView{Accepted: 1, Matched: 1, Delivered: 1}); got != want {
			t.Errorf("totals = %+v, want %+v", got, want)
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
		d.kill(0)
		time.Sleep(400 * time.Millisecond) // it goes on with what it has meanwhile
		d.adopt(1)
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

// TestAnAdoptedJournalIsOfItsLane: it keeps the lane's retention and share, whoever keeps it.
func TestAnAdoptedJournalIsOfItsLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t, func(w *world) { w.lanes = positionsLane(time.Hour) })
		d.subscribe(1, nil)
		d.kill(0)
		d.adopt(1)
		retentions := make(map[time.Duration]int)
		for _, lane := range d.sides[1].life.system.Views(t.Context()) {
			retentions[lane.Retention]++
		}
		if retentions[time.Hour] != 2 || retentions[72*time.Hour] != 2 {
			t.Errorf("retentions %v, want those of the two lanes twice", retentions)
		}
		d.stop()
	})
}

// TestAnAdopterKnowsFormerVersions: what the member that died had accepted was matched with a version
// that is not in force any more, and that no event of the other member's own was matched with.
func TestAnAdopterKnowsFormerVersions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		id := d.subscribe(1, func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
		d.sides[1].world.answer(func(p pair, n int) engine.Result {
			time.Sleep(8 * time.Second)
			return failing(p, n)
		})
		events := names(900)
		d.sides[0].life.publish("trip.created", events...)
		time.Sleep(time.Second)
		d.change(id, func(s *engine.Subscription) { s.Topics = []match.Pattern{"bike.*"} })
		time.Sleep(2 * time.Minute)
		d.kill(0)
		d.sides[1].world.answer(succeeding)
		d.adopt(1)
		time.Sleep(3 * time.Hour)
		d.wantArrived(id, events)
		d.stop()
	})
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
		d.kill(0)
		d.sides[1].life.publish("trip.created", "at-work-1", "at-work-2", "at-work-3", "at-work-4", "at-work-5", "at-work-6")
		d.slow = true
		d.adopt(1)
		time.Sleep(time.Hour)
		d.wantArrived(id, events)
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
			if w.cluster.(*port).side.index == 0 {
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
		d.wantOnce(id, []string{"elsewhere", "refused"})
		d.stop()
	})
}

// TestAttemptsUnderWayEndWhereTheyBegan: a subscription gets another owner while attempts of it are
// under way. They are not made again however long they take, and new events do not wait for them.
func TestAttemptsUnderWayEndWhereTheyBegan(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{500 * time.Millisecond, 2 * time.Second, 29 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			d := newDuo(t)
			id := d.subscribe(0, nil)
			d.sides[0].world.answer(func(p pair, n int) engine.Result {
				time.Sleep(takes)
				return succeeding(p, n)
			})
			before := []string{"before-1", "before-2"}
			d.sides[0].life.publish("trip.created", before...)
			time.Sleep(200 * time.Millisecond)
			d.give(id, 1)
			d.sides[0].life.publish("trip.created", "after")
			time.Sleep(1500 * time.Millisecond)
			d.wantOnce(id, []string{"after"})
			time.Sleep(2 * time.Minute)
			d.wantOnce(id, append(before, "after"))
			for _, side := range d.sides {
				if records := side.life.system.RetryRecords(); records != 0 {
					t.Errorf("attempts of %s: a member has %d retry records at the end", takes, records)
				}
			}
			d.stop()
		})
	}
}

// TestAnAdopterSaysThatItIndexes the ids that the member that died had been given: those of the last
// minutes are not waited for longer than they take, however many are older.
func TestAnAdopterSaysThatItIndexes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.subscribe(1, nil)
		events := names(600)
		d.sides[0].life.publish("trip.created", events[:570]...)
		time.Sleep(20 * time.Minute)
		d.sides[0].life.publish("trip.created", events[570:]...)
		time.Sleep(time.Minute)
		system := d.sides[1].life.system
		if system.Indexing() {
			t.Error("it indexes before there is anything to adopt")
		}
		d.kill(0)
		d.slow = true
		began := time.Now()
		d.adopt(1)
		if !system.Indexing() {
			t.Error("nothing is said to be missing while it is")
		}
		for system.Indexing() {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took > 50*time.Millisecond { // a slow read takes 20 ms for 100 records
			t.Errorf("the last 30 of 600 events took %s", took)
		}
		d.stop()
	})
}
