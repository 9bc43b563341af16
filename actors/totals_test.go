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

// The totals of several lanes survive crashes: each lane's are written with its own
// watermark, and recovery counts again just what lies beyond it.
func TestTotalsSurviveCrashes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lanes = positionsLane(time.Hour)
		accepted := uint64(0)
		for boot := range 4 {
			l := w.boot()
			for range 2 - min(boot, 1) { // two subscriptions at first, then one more at each boot
				l.subscribe(nil)
			}
			for n := range 5 {
				l.publish("vehicle.position", fmt.Sprintf("p%d-%d", boot, n))
				l.publish("trip.created", fmt.Sprintf("t%d-%d", boot, n))
				accepted += 2
				pass(90 * time.Millisecond) // some of it before a watermark, some after
			}
			settle()
			stats := l.system.Stats(context.Background())
			// Boot b has b+2 subscriptions and 10 events: 20 + 30 + …
			if want := uint64((boot + 1) * 10); stats.Accepted != want || accepted != want {
				t.Fatalf("boot %d: accepted = %d, want %d", boot, stats.Accepted, want)
			}
			if want := uint64(5 * (boot + 1) * (boot + 4)); stats.Matched != want {
				t.Fatalf("boot %d: matched = %d, want %d", boot, stats.Matched, want)
			}
			l.kill()
		}
	})
}

// A crash repeats deliveries, a deletion takes pending ones away: matched is still what is
// delivered, pending and dead, and what was discarded.
func TestTotalsAddUpAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.boot()
		quick, slow, doomed := l.subscribe(nil), l.subscribe(nil), l.subscribe(nil)
		w.answer(func(p pair, n int) engine.Result {
			switch p.sub {
			case slow:
				pass(3 * time.Second)
			case doomed:
				return failing(p, n)
			}
			return succeeding(p, n)
		})
		for n := range 60 {
			l.publish("trip.created", fmt.Sprintf("t%d", n))
		}
		pass(1500 * time.Millisecond)
		l.publish("trip.created", "last")
		settle()
		l.kill()
		l = w.boot()
		pass(30 * time.Second)
		if got := w.count(quick, "last"); got != 2 {
			t.Errorf("last reached the quick endpoint %d times, want 2: no watermark knew of it", got)
		}
		if got := w.count(quick, "t0"); got != 1 {
			t.Errorf("t0 reached the quick endpoint %d times, want once, though it still waited for the slow one", got)
		}
		stats := l.system.Stats(context.Background())
		if stats.Matched != 183 || stats.Delivered != 122 || stats.Pending != 61 || stats.Dead != 0 {
			t.Errorf("after a crash: %+v, want 183 matched, 122 delivered, 61 pending", stats)
		}
		if err := l.engine.DeleteSubscription(t.Context(), admin, doomed); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		stats = l.system.Stats(context.Background())
		if stats.Matched != 183 || stats.Delivered != 122 || stats.Pending != 0 || stats.Dead != 0 {
			t.Errorf("after a deletion: %+v, want 183 matched, 122 delivered, none pending", stats)
		}
		l.stop()
		l = w.boot()
		if again := l.system.Stats(context.Background()); again != stats {
			t.Errorf("after a restart: %+v, want %+v", again, stats)
		}
		l.stop()
	})
}

// The totals of a drained lane are the shared lane's in the write that removes it: a crash
// right after neither forgets them nor counts them twice.
func TestTotalsSurviveTheRemovalOfALane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lanes, w.retain = positionsLane(time.Hour), 2*time.Hour
		l := w.boot()
		l.subscribe(nil)
		for n := range 5 {
			l.publish("vehicle.position", fmt.Sprintf("p%d", n))
		}
		pass(time.Second)
		l.stop()
		w.lanes = nil
		w.crashAfter = func(writes []engine.Write) bool {
			return slices.ContainsFunc(writes, func(w engine.Write) bool { _, drop := w.(engine.DropLane); return drop })
		}
		l = w.boot()
		pass(w.retain + time.Hour)
		if !l.dead.Load() {
			t.Fatal("the drained lane was not removed")
		}
		l.kill()
		w.crashAfter = nil
		l = w.boot()
		if got := l.system.Stats(context.Background()); got.Accepted != 5 || got.Matched != 5 || got.Delivered != 5 {
			t.Errorf("stats = %+v, want 5 accepted, matched and delivered", got)
		}
		l.stop()
	})
}
