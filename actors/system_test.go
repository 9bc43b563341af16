package actors_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
)

func TestEventReachesEverySubscriptionThatMatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.boot()
		all := l.subscribe(nil)
		trips := l.subscribe(func(s *engine.SubscriptionSpec) { s.Topics = []string{"trip.*"} })
		l.publish("trip.created", "a")
		l.publish("cyclist.created", "b")
		time.Sleep(time.Second)
		for _, c := range []struct {
			sub   engine.SubscriptionID
			event string
			want  int
		}{{all, "a", 1}, {all, "b", 1}, {trips, "a", 1}, {trips, "b", 0}} {
			if got := w.count(c.sub, c.event); got != c.want {
				t.Errorf("%s got %s %d times, want %d", c.sub, c.event, got, c.want)
			}
		}
		stats := l.engine.Stats(context.Background())
		if stats.Accepted != 2 || stats.Matched != 3 || stats.Delivered != 3 || stats.Pending != 0 {
			t.Errorf("stats = %+v, want 2 accepted, 3 matched, 3 delivered, none pending", stats)
		}
		l.stop()
	})
}

// The schedule of the public contract with a crash between each attempt: the timers are in
// the state, not in the process.
func TestRetryScheduleOverRestarts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*life)
	}{
		{"no restart", nil},
		{"graceful restart", (*life).stop},
		{"crash", (*life).kill},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.answer(failing)
				l := w.boot()
				sub := l.subscribe(nil)
				l.publish("trip.created", "a")
				for range 6 {
					time.Sleep(2 * time.Second)
					if tt.end != nil {
						tt.end(l)
						l = w.boot()
					}
					time.Sleep(8*time.Second + 30*time.Minute)
				}
				want := []time.Duration{10 * time.Second, 36600 * time.Millisecond, 134 * time.Second, 491 * time.Second, 1800 * time.Second}
				sent := w.attempts()
				if got := len(sent); got != 6 {
					t.Fatalf("attempts = %d, want 6", got)
				}
				if tt.end == nil {
					for n, delay := range want {
						got := sent[n+1].Sub(sent[n])
						if got < delay-delay/10 || got > delay+delay/10 {
							t.Errorf("delay %d = %v, want %v ± 10 %%", n+1, got, delay)
						}
					}
				}
				listed, err := l.engine.Deliveries(context.Background(), engine.Caller{}, sub, engine.DeliveryFilter{State: engine.DeliveryDead}, engine.Page{Limit: 10})
				if err != nil || len(listed.Items) != 1 || listed.Items[0].Reason != engine.ReasonExhausted || listed.Items[0].Attempts != 6 {
					t.Errorf("dead letters = %+v (%v), want one, exhausted after 6 attempts", listed.Items, err)
				}
				l.stop()
			})
		})
	}
}

// What does not fit into the mailbox waits in the journal: everything arrives, once.
func TestFullMailboxBecomesLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer(func(p pair, n int) engine.Result {
			time.Sleep(200 * time.Millisecond)
			return succeeding(p, n)
		})
		l := w.boot()
		sub := l.subscribe(nil)
		const events = 5000
		for n := range events / 100 {
			ids := make([]string, 100)
			for i := range ids {
				ids[i] = fmt.Sprintf("e%d", n*100+i)
			}
			l.publish("trip.created", ids...)
		}
		time.Sleep(30 * time.Second)
		for n := range events {
			if got := w.count(sub, fmt.Sprintf("e%d", n)); got != 1 {
				t.Fatalf("event %d arrived %d times, want once", n, got)
			}
		}
		if stats := l.engine.Stats(context.Background()); stats.Pending != 0 || stats.Delivered != events {
			t.Errorf("stats = %+v, want all delivered", stats)
		}
		l.publish("trip.created", "live")
		time.Sleep(time.Second)
		if got := w.count(sub, "live"); got != 1 {
			t.Errorf("the subscription did not come back to life: %d", got)
		}
		l.stop()
	})
}

// A crash in the middle of a backlog loses nothing.
func TestCrashWhileLagging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer(func(p pair, n int) engine.Result {
			time.Sleep(100 * time.Millisecond)
			return succeeding(p, n)
		})
		l := w.boot()
		sub := l.subscribe(nil)
		quick := l.subscribe(func(s *engine.SubscriptionSpec) { s.Topics = []string{"none"} })
		_ = quick
		const events = 3000
		for n := range events {
			if n%100 == 0 {
				time.Sleep(37 * time.Millisecond)
			}
			if n%700 == 699 {
				l.kill()
				l = w.boot()
			}
			l.publish("trip.created", fmt.Sprintf("e%d", n))
		}
		time.Sleep(time.Minute)
		for n := range events {
			if got := w.count(sub, fmt.Sprintf("e%d", n)); got < 1 {
				t.Fatalf("event %d was lost", n)
			}
		}
		l.stop()
	})
}

func TestSleepingSubscriptionIsWokenForItsRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer(func(p pair, n int) engine.Result {
			if n < 4 {
				return failing(p, n)
			}
			return succeeding(p, n)
		})
		l := w.boot()
		sub := l.subscribe(nil)
		l.publish("trip.created", "a")
		time.Sleep(5 * time.Minute)
		if got := w.count(sub, "a"); got != 1 {
			t.Errorf("delivered %d times after its fourth attempt, want once", got)
		}
		l.stop()
	})
}

// A delivery that crashes its subscription's actor again and again is quarantined; its
// neighbours are delivered.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.poison("poison")
		l := w.boot()
		sub := l.subscribe(nil)
		l.publish("trip.created", "poison")
		time.Sleep(time.Minute)
		l.publish("trip.created", "b")
		time.Sleep(time.Minute)
		listed, err := l.engine.Deliveries(context.Background(), engine.Caller{}, sub, engine.DeliveryFilter{State: engine.DeliveryDead}, engine.Page{Limit: 10})
		if err != nil || len(listed.Items) != 1 || listed.Items[0].Reason != engine.ReasonQuarantined {
			t.Errorf("dead letters = %+v (%v), want one, quarantined", listed.Items, err)
		}
		if got := w.count(sub, "b"); got != 1 {
			t.Errorf("the neighbour was delivered %d times, want once", got)
		}
		l.stop()
	})
}

func TestDedicatedLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lanes = positionsLane(time.Hour)
		w.answer(func(p pair, n int) engine.Result {
			if p.event[0] == 'p' {
				time.Sleep(time.Second)
			}
			return succeeding(p, n)
		})
		l := w.boot()
		sub := l.subscribe(nil)
		for n := range 2000 {
			l.publish("vehicle.position", fmt.Sprintf("p%d", n))
		}
		began := time.Now()
		l.publish("trip.created", "trip")
		settle()
		if got := w.count(sub, "trip"); got != 1 {
			t.Errorf("the trip waited behind the positions (%v)", time.Since(began))
		}
		time.Sleep(2 * time.Minute)
		for n := range 2000 {
			if got := w.count(sub, fmt.Sprintf("p%d", n)); got != 1 {
				t.Fatalf("position %d arrived %d times, want once", n, got)
			}
		}
		l.stop()
	})
}

// A request over two lanes is whole or not there at all.
func TestBatchOverLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lanes = positionsLane(time.Hour)
		l := w.boot()
		sub := l.subscribe(nil)
		accepted, err := l.engine.Accept(context.Background(), engine.Caller{}, []engine.Draft{
			{Topic: "vehicle.position", Data: []byte("1"), ID: "p"}, {Topic: "trip.created", Data: []byte("2"), ID: "t"},
		}, "key")
		if err != nil || len(accepted.IDs) != 2 {
			t.Fatalf("accepted = %+v, %v", accepted, err)
		}
		l.kill()
		l = w.boot()
		time.Sleep(time.Second)
		for _, id := range []string{"p", "t"} {
			if got := w.count(sub, id); got < 1 {
				t.Errorf("%s was lost", id)
			}
		}
		again, err := l.engine.Accept(context.Background(), engine.Caller{}, []engine.Draft{
			{Topic: "vehicle.position", Data: []byte("1"), ID: "p"}, {Topic: "trip.created", Data: []byte("2"), ID: "t"},
		}, "key")
		if err != nil || !again.Replayed || !slices.Equal(again.IDs, []string{"p", "t"}) {
			t.Errorf("repeated = %+v, %v; want the first answer", again, err)
		}
		l.stop()
	})
}

// A deletion leaves the id and the revision, in memory and in the state, and no secret.
func TestDeletionKeepsNoSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.boot()
		sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.Headers = map[string]string{"x-token": "secret"} })
		if err := l.engine.DeleteSubscription(t.Context(), admin, sub); err != nil {
			t.Fatal(err)
		}
		settle()
		l.stop()
		l = w.boot()
		handle, known := l.table.Known(sub)
		if !known {
			t.Fatal("the deletion is forgotten")
		}
		left := l.table.Latest(handle)
		if !left.Deleted || left.URL != "" || len(left.Topics)+len(left.Secrets)+len(left.Headers) > 0 {
			t.Errorf("a deleted subscription is kept as %+v", left)
		}
		l.stop()
	})
}
