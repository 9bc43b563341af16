package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

func positionsLane(retention time.Duration) []engine.LaneConfig {
	return []engine.LaneConfig{{
		Name: "positions", Topics: []match.Pattern{"vehicle.position"}, Retention: retention, MaxInFlight: 512, WindowShare: 0.5,
	}}
}

var admin = engine.Caller{Role: engine.RoleAdmin}

func (l *life) deadLetters(sub engine.SubscriptionID) []engine.DeliveryView {
	l.world.t.Helper()
	listed, err := l.engine.Deliveries(context.Background(), admin, sub, engine.DeliveryFilter{State: engine.DeliveryDead}, engine.Page{Limit: 100})
	if err != nil {
		l.world.t.Fatal(err)
	}
	return listed.Items
}

func (l *life) setEnabled(sub engine.SubscriptionID, enabled bool) {
	l.world.t.Helper()
	_, err := l.engine.UpdateSubscription(context.Background(), admin, sub,
		func(spec engine.SubscriptionSpec) (engine.SubscriptionSpec, error) {
			spec.Enabled = enabled
			return spec, nil
		})
	if err != nil {
		l.world.t.Fatal(err)
	}
}

// What waited longer than the retention without an attempt becomes dead letters (expired);
// what had an attempt keeps its retry record, with its event.
func TestRetentionExpiresWhatWaited(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		writeTakes time.Duration
	}{
		{"at once", 0},
		{"the cursor is written in the middle", 2 * engine.WatermarkInterval},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { expireWhatWaited(t, tt.writeTakes) })
		})
	}
}

func expireWhatWaited(t *testing.T, writeTakes time.Duration) {
	t.Helper()
	w := newWorld(t)
	w.writeTakes = writeTakes
	w.lanes = positionsLane(time.Hour)
	w.answer(failing)
	l := w.boot()
	sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
	w.answer(func(p pair, n int) engine.Result {
		time.Sleep(6 * time.Second)
		return failing(p, n)
	})
	for n := range 10 {
		l.publish("vehicle.position", fmt.Sprintf("p%d", n))
	}
	time.Sleep(time.Second)
	l.setEnabled(sub, false)
	time.Sleep(time.Hour + 15*time.Minute)
	check := func(l *life) {
		t.Helper()
		dead := l.deadLetters(sub)
		if len(dead) != 9 {
			t.Fatalf("dead letters = %d, want 9", len(dead))
		}
		for _, d := range dead {
			if d.Reason != engine.ReasonExpired || d.Attempts != 0 || d.Topic != "vehicle.position" {
				t.Errorf("dead letter = %+v, want expired without an attempt", d)
			}
			if one, err := l.engine.Delivery(context.Background(), admin, d.ID); err != nil || one != d {
				t.Errorf("by its id = %+v, %v, want %+v", one, err, d)
			}
		}
		order := engine.ReplayOrder{DeadOnly: true, DryRun: true}
		if replayed, err := l.engine.Replay(context.Background(), admin, sub, order); err != nil || replayed.Count != 0 {
			t.Errorf("a replay would deliver %d of them, %v, want none: their bodies are gone", replayed.Count, err)
		}
		if stats := l.engine.Stats(context.Background()); stats.Dead != 9 || stats.Pending != 1 {
			t.Errorf("stats = %+v, want 9 dead and 1 pending", stats)
		}
	}
	check(l)
	if err := l.engine.RetryDelivery(context.Background(), admin, l.deadLetters(sub)[0].ID); engine.ErrorCode(err) != engine.CodeConflict {
		t.Errorf("retry of an expired delivery: %v, want conflict", err)
	}
	l.stop()
	l = w.boot()
	check(l)
	w.answer(succeeding)
	l.setEnabled(sub, true)
	time.Sleep(time.Minute)
	if got := w.count(sub, "p0"); got != 1 {
		t.Errorf("p0 was delivered %d times, want once: its record carries its event", got)
	}
	if err := l.engine.DeleteSubscription(context.Background(), admin, sub); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	left, err := w.state.Expired(context.Background(), sub, engine.DeliveryKey{}, 10)
	if stats := l.engine.Stats(context.Background()); err != nil || len(left) != 0 || stats.Dead != 0 || stats.Pending != 0 || stats.Delivered != 1 {
		t.Errorf("after the deletion %v are left, %v, stats = %+v, want 1 delivered and nothing else", left, err, stats)
	}
	l.stop()
}

// A crash between the dead letters of what expires takes none of it away: what was not written
// yet lies behind the cursor still, and what was is not delivered.
func TestCrashWhileSomethingExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 2500
		w := newWorld(t)
		w.writeTakes = 2 * engine.WatermarkInterval
		w.lanes = positionsLane(time.Hour)
		w.answer(func(p pair, n int) engine.Result {
			time.Sleep(6 * time.Second)
			return failing(p, n)
		})
		var expires atomic.Bool
		w.crashAfter = func(writes []engine.Write) (crash bool) {
			for _, write := range writes {
				switch write.(type) {
				case engine.PutExpired:
					expires.Store(true)
				case engine.PutWatermark:
					crash = expires.Load()
				}
			}
			return crash
		}
		l := w.boot()
		sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight = 1 })
		l.publish("vehicle.position", names(events)...)
		time.Sleep(time.Second)
		l.setEnabled(sub, false)
		time.Sleep(time.Hour + 15*time.Minute)
		if !l.dead.Load() {
			t.Fatal("nothing expired")
		}
		l.kill()
		w.crashAfter = nil
		w.answer(succeeding)
		before, err := w.state.DeadLetters(t.Context(), sub, engine.DeliveryKey{}, 2*events)
		if err != nil || len(before) == 0 || len(before) >= events-1 {
			t.Fatalf("%d dead letters at the crash, %v, want a part of them", len(before), err)
		}
		l = w.boot()
		time.Sleep(2 * time.Minute)
		after, err := w.state.DeadLetters(t.Context(), sub, engine.DeliveryKey{}, 2*events)
		if stats := l.engine.Stats(context.Background()); err != nil || len(after) != events-1 || stats.Dead != events-1 || stats.Pending != 1 {
			t.Errorf("%d dead letters, %v, stats = %+v, want %d and one that waits", len(after), err, stats, events-1)
		}
		l.stop()
	})
}

// A topic that passes the rate gets a lane of its own, and loses it when it is quiet; the
// journal goes when nothing needs it.
func TestPromotionAndDemotion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.promote, w.retain = 50, 2*time.Hour
		l := w.boot()
		sub := l.subscribe(nil)
		promoted := func() (name string) {
			for _, lane := range l.system.Views(t.Context()) {
				if lane.Promoted {
					name = lane.Name
				}
			}
			return name
		}
		sent := 0
		for second := range 25 {
			for range 60 {
				l.publish("vehicle.position", fmt.Sprintf("p%d", sent))
				sent++
			}
			l.publish("trip.created", fmt.Sprintf("t%d", second))
			time.Sleep(time.Second)
		}
		name := promoted()
		if name == "" {
			t.Fatal("the topic was not promoted at 60 events a second")
		}
		if got := l.system.Lane("vehicle.position"); got != name {
			t.Errorf("lane of the topic = %s, want %s", got, name)
		}
		if got := l.system.Lane("trip.created"); got != engine.SharedLane {
			t.Errorf("lane of a slow topic = %s, want %s", got, engine.SharedLane)
		}
		l.stop()
		l = w.boot()
		if got := promoted(); got != name {
			t.Errorf("promoted lane after a restart = %q, want %q", got, name)
		}
		for n := range sent {
			if got := w.count(sub, fmt.Sprintf("p%d", n)); got != 1 {
				t.Fatalf("p%d arrived %d times, want once", n, got)
			}
		}
		time.Sleep(15 * time.Minute)
		if got := promoted(); got != "" {
			t.Errorf("lane %s is still promoted after a quiet quarter of an hour", got)
		}
		time.Sleep(2*time.Hour + 20*time.Minute)
		if got := len(l.system.Views(t.Context())); got != 1 {
			t.Errorf("lanes = %d, want the shared one alone: the drained one is empty", got)
		}
		w.mu.Lock()
		if w.journals[name] != nil {
			t.Error("the journal of the drained lane was kept")
		}
		w.mu.Unlock()
		l.publish("vehicle.position", "last")
		time.Sleep(time.Second)
		if got := w.count(sub, "last"); got != 1 {
			t.Errorf("an event after the demotion arrived %d times, want once", got)
		}
		l.stop()
	})
}

// A request over two lanes of which one refuses is refused whole: nothing of it is shown or
// delivered, and it can be posted again.
func TestPartOfARefusedRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lanes = positionsLane(time.Hour)
		var full atomic.Bool
		full.Store(true)
		w.refuse = func(lane string) error {
			if lane == "positions" && full.Load() {
				return engine.Errorf(engine.CodeStorageFull, "the storage is full")
			}
			return nil
		}
		l := w.boot()
		sub := l.subscribe(nil)
		drafts := []engine.Draft{
			{ID: "p", Topic: "vehicle.position", Data: []byte("1")}, {ID: "t", Topic: "trip.created", Data: []byte("2")},
		}
		for _, key := range []string{"", "key"} {
			if _, err := l.engine.Accept(context.Background(), admin, drafts, key); engine.ErrorCode(err) != engine.CodeStorageFull {
				t.Fatalf("Accept with key %q: %v, want storage_full", key, err)
			}
		}
		time.Sleep(time.Minute)
		if got := w.count(sub, "t"); got != 0 {
			t.Errorf("an event of a refused request was delivered %d times", got)
		}
		if listed, err := l.engine.Events(context.Background(), admin, engine.EventFilter{}, engine.Page{Limit: 10}); err != nil || len(listed.Items) != 0 {
			t.Errorf("events = %v (%v), want none", listed.Items, err)
		}
		full.Store(false)
		accepted, err := l.engine.Accept(context.Background(), admin, drafts, "key")
		if err != nil || accepted.Replayed {
			t.Fatalf("posted again: %+v, %v; want it accepted", accepted, err)
		}
		time.Sleep(time.Second)
		l.kill()
		l = w.boot()
		time.Sleep(time.Minute)
		for _, id := range []string{"p", "t"} {
			if got := w.count(sub, id); got < 1 {
				t.Errorf("%s was lost", id)
			}
		}
		if stats := l.engine.Stats(context.Background()); stats.Pending != 0 {
			t.Errorf("stats = %+v, want nothing pending", stats)
		}
		l.stop()
	})
}

// A panic of an ingress actor ends the process: its ledger cannot be trusted any more.
func TestPanicOfAnIngressActorIsFatal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fatal := make(chan error, 1)
		w.fatal = func(err error) { fatal <- err }
		w.refuse = func(string) error { panic(errors.New("ledger: discharged twice")) }
		l := w.boot()
		go func() {
			_, _ = l.engine.Accept(context.Background(), admin, []engine.Draft{{Topic: "trip.created", Data: []byte("1")}}, "")
		}()
		if err := <-fatal; err == nil {
			t.Error("no error, want the panic")
		}
		l.kill()
	})
}
