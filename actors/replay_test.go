package actors_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
)

// TestReplayOfOneMomentGoesOn: events that were accepted together, whose ids are in another order than
// their records, are each delivered once more although the member is restarted in the middle.
func TestReplayOfOneMomentGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.boot()
		sub := l.subscribe(nil)
		var events []string
		for n := range 12 {
			events = append(events, fmt.Sprintf("event-%02d", (n*5)%12))
		}
		l.publish("trip.created", events...)
		time.Sleep(time.Second)
		order := engine.ReplayOrder{Rate: 1}
		if _, err := l.engine.Replay(context.Background(), engine.Caller{Role: engine.RoleAdmin}, sub, order); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5500 * time.Millisecond)
		l.stop()
		l = w.boot()
		time.Sleep(time.Minute)
		for _, event := range events {
			if got := w.count(sub, event); got != 2 {
				t.Errorf("%s arrived %d times, want twice", event, got)
			}
		}
		l.stop()
	})
}
