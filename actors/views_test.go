package actors_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
)

// lagging publishes ten events to a subscription that takes one in 10 s.
func lagging(l *life) engine.SubscriptionID {
	sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.RatePerSecond = 0.1 })
	for n := range 10 {
		l.publish("trip.created", fmt.Sprint("e", n))
	}
	return sub
}

func TestOldestDueOfALane(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		work    func(*world, *life) *life // gives the life that is looked at
		age     time.Duration
		backlog uint64
	}{
		{"nothing waits", func(_ *world, l *life) *life {
			l.subscribe(nil)
			l.publish("trip.created", "a")
			pass(time.Minute)
			return l
		}, 0, 0},
		{"in a mailbox", func(_ *world, l *life) *life {
			lagging(l)
			pass(3 * time.Second)
			return l
		}, 3 * time.Second, 9},
		{"behind a cursor", func(_ *world, l *life) *life {
			lagging(l)
			pass(35 * time.Second)
			return l
		}, 35 * time.Second, 6},
		{"behind a cursor after a restart", func(w *world, l *life) *life {
			lagging(l)
			pass(35 * time.Second)
			l.stop()
			l = w.boot()
			pass(time.Second)
			return l
		}, 36 * time.Second, 5},
		{"of a disabled subscription", func(_ *world, l *life) *life {
			sub := lagging(l)
			pass(35 * time.Second)
			if err := l.engine.Disable(context.Background(), sub); err != nil {
				panic(err)
			}
			pass(time.Second)
			return l
		}, 0, 6},
		{"a retry record without room", func(w *world, l *life) *life {
			w.answer(failing)
			l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
			l.publish("trip.created", "a")
			pass(time.Second)
			w.answer(func(p pair, n int) engine.Result {
				pass(time.Minute)
				return succeeding(p, n)
			})
			l.publish("trip.created", "b")
			pass(39 * time.Second) // a was due 10 s after its failure
			return l
		}, 30 * time.Second, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := test.work(w, w.boot())
				settle()
				view := l.system.Views(t.Context())[0]
				if view.OldestAge != test.age || view.Backlog != test.backlog {
					t.Errorf("age %v, backlog %d; want %v and %d", view.OldestAge, view.Backlog, test.age, test.backlog)
				}
				l.stop()
			})
		})
	}
}

func TestOpenCircuitsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer(failing)
		l := w.boot()
		l.subscribe(func(s *engine.SubscriptionSpec) { s.MinDelay, s.MaxDelay = time.Hour, time.Hour })
		for n := range 19 {
			l.publish("trip.created", fmt.Sprint("e", n))
		}
		pass(61 * time.Second)
		if got := l.system.OpenCircuits(); got != 0 {
			t.Errorf("after 19 failures %d circuits are open", got)
		}
		l.publish("trip.created", "last")
		pass(time.Second)
		check := func(when string) {
			view := l.system.Views(t.Context())[0]
			if open, records := l.system.OpenCircuits(), l.system.RetryRecords(); open != 1 || records != 20 || view.OldestAge != 0 {
				t.Errorf("%s: %d circuits are open, %d retry records, age %v; want 1, 20 and 0", when, open, records, view.OldestAge)
			}
		}
		check("after 20 failures")
		l.stop()
		l = w.boot()
		settle()
		check("after a restart")
		l.stop()
	})
}
