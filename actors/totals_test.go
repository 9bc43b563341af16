package actors_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

// The totals of several lanes survive crashes: each lane's are written with its own
// watermark, and recovery counts again just what lies beyond it.
func TestTotalsSurviveCrashes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lanes = []engine.LaneConfig{{
			Name: "positions", Topics: []match.Pattern{"vehicle.position"}, Retention: time.Hour, MaxInFlight: 512, WindowShare: 0.5,
		}}
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
			stats := l.system.Stats()
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
