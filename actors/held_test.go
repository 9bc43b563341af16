package actors_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

// The events of a batch over two lanes are handed out when both journals have it, behind
// events of higher sequences that came meanwhile. Whatever becomes of the mailbox then,
// each arrives once.
func TestEventsThatWereHeldArriveOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		meanwhile int // events handed out while two batches are held
		after     int // and after them
		stop      bool
	}{
		{"the mailbox is turned into a stretch", 3, 0, false},
		{"and filled again", 3, 3, false},
		{"the member stops", 3, 2, true},
		{"the mailbox is full just then", engine.MailboxCapacity, 0, false},
		{"the mailbox overflows before", engine.MailboxCapacity + 40, 10, false},
		{"the mailbox overflows later", engine.MailboxCapacity - 3, 40, false},
		{"it overflows and the member stops", engine.MailboxCapacity + 40, 10, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { heldWhile(t, tt.meanwhile, tt.after, tt.stop) })
		})
	}
}

func heldWhile(t *testing.T, meanwhile, after int, stop bool) {
	t.Helper()
	w := newWorld(t)
	w.lanes = []engine.LaneConfig{{
		Name: "positions", Topics: []match.Pattern{"vehicle.position"}, Retention: time.Hour, MaxInFlight: 512, WindowShare: 1,
	}}
	w.answer(func(p pair, n int) engine.Result {
		pass(7 * time.Second)
		return succeeding(p, n)
	})
	gate := make(chan struct{})
	l := w.boot()
	sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight = 2 })
	var want []string
	position := func(count int, format string) {
		for n := range count {
			id := fmt.Sprintf(format, n)
			l.publish("vehicle.position", id)
			want = append(want, id)
		}
	}
	position(2, "first-%d") // they fill the window
	settle()
	w.refuse = func(lane string) error {
		if lane == engine.SharedLane {
			<-gate
		}
		return nil
	}
	for n := range 2 {
		ids := []string{fmt.Sprintf("held-%d-0", n), fmt.Sprintf("trip-%d", n), fmt.Sprintf("held-%d-1", n)}
		want = append(want, ids...)
		go func() {
			_, err := l.engine.Accept(context.Background(), engine.Caller{}, []engine.Draft{
				{Topic: "vehicle.position", Data: []byte("1"), ID: ids[0]},
				{Topic: "trip.created", Data: []byte("2"), ID: ids[1]},
				{Topic: "vehicle.position", Data: []byte("3"), ID: ids[2]},
			}, "")
			if err != nil {
				t.Error(err)
			}
		}()
		settle()
		position(1, fmt.Sprintf("between-%d-%%d", n))
	}
	position(meanwhile, "meanwhile-%d")
	close(gate)
	settle()
	position(after, "after-%d")
	if stop {
		l.stop()
		l = w.boot()
	}
	pass(6 * time.Second) // the mailbox is too old now
	w.answer(succeeding)
	pass(time.Minute)
	for _, id := range want {
		if got := w.count(sub, id); got != 1 {
			t.Errorf("%s arrived %d times, want once", id, got)
		}
	}
	l.stop()
}

// A request over two lanes is refused because the copies of one of them take too long. They come
// in the end: nothing of the request is delivered then, and what follows in the lane is.
func TestAHeldPartThatIsLateIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t, func(w *world) { w.lanes = positionsLane(72 * time.Hour) })
		id := d.subscribe(0, func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
		l := d.sides[0].life
		slow := true
		d.sides[0].world.commits = func(lane string) time.Duration {
			if slow && lane != engine.SharedLane {
				return 15 * time.Second
			}
			return 0
		}
		drafts := []engine.Draft{
			{ID: "refused-1", Topic: "trip.created", Data: []byte("1")}, {ID: "refused-2", Topic: "vehicle.position", Data: []byte("1")},
		}
		_, err := l.engine.Accept(t.Context(), admin, drafts, "a-key")
		if engine.ErrorCode(err) != engine.CodeUnavailable {
			t.Fatalf("accept = %v, want unavailable", err)
		}
		slow = false
		time.Sleep(time.Minute)
		events := names(1000)
		l.publish("vehicle.position", events...)
		time.Sleep(time.Minute)
		d.wantOnce(id, events)
		if got := d.count(id, "refused-1") + d.count(id, "refused-2"); got != 0 {
			t.Errorf("what was refused arrived %d times", got)
		}
		if _, answered, err := d.sides[0].world.state.Answer(t.Context(), "a-key"); answered || err != nil {
			t.Errorf("the key of what was refused has an answer, %v", err)
		}
		if got := l.system.Undischarged(); got != 0 {
			t.Errorf("%d deliveries are waited for", got)
		}
		d.stop()
	})
}
