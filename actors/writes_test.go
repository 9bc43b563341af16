package actors_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// The idea of the engine: one journal record for each event, whatever the fan-out, and
// nothing in the state for a delivery that succeeds on its first attempt. What is written
// there goes by the clock, so ten times the events cost no more.
func TestFirstAttemptThatSucceedsWritesNothing(t *testing.T) {
	t.Parallel()
	const span = 10 * time.Second
	// The watermark moves at most once in an interval; one more for what began before.
	const most = int(span/engine.WatermarkInterval) + 1
	for _, fanOut := range []int{1, 10, 100} {
		t.Run(fmt.Sprintf("fan-out=%d", fanOut), func(t *testing.T) {
			t.Parallel()
			for _, events := range []int{50, 500} {
				synctest.Test(t, func(t *testing.T) {
					if got := writesOf(t, fanOut, events, span); got == 0 || got > most {
						t.Errorf("%d events wrote %d watermarks in %v, want 1 to %d", events, got, span, most)
					}
				})
			}
		})
	}
}

// writesOf has events delivered, spread evenly over span, and counts the writes to the
// state in that time. Any that is not a watermark is an error.
func writesOf(t *testing.T, fanOut, events int, span time.Duration) (watermarks int) {
	t.Helper()
	state := &countingState{State: storage.NewMemoryState(time.Now)}
	var delivered atomic.Int64
	m := newMember(t, &engine.Snapshot{}, state, sinkSender{func(*engine.SendRequest) { delivered.Add(1) }})
	m.subscribe(t, fanOut, "*")
	pass(time.Second)
	first := m.journalEnd()
	state.reset()
	for range events {
		m.publish(t, "trip.created", 1)
		pass(span / time.Duration(events))
	}
	kinds := state.reset()
	if got, want := delivered.Load(), int64(fanOut*events); got != want {
		t.Fatalf("%d deliveries, want %d", got, want)
	}
	if got := m.journalEnd() - first; got != uint64(events) {
		t.Errorf("%d events made %d journal records, want one each", events, got)
	}
	watermarks = kinds["engine.PutWatermark"]
	delete(kinds, "engine.PutWatermark")
	if len(kinds) > 0 {
		t.Errorf("beside watermarks the state was written %v, want nothing", kinds)
	}
	return watermarks
}

// journalEnd is the next sequence of the shared lane's journal.
func (m *member) journalEnd() uint64 {
	_, next := m.system.Journals(context.Background())[0].Journal.Bounds()
	return next
}

// countingState counts the changes it is asked for, by kind.
type countingState struct {
	engine.State
	mu    sync.Mutex
	kinds map[string]int
}

func (s *countingState) Write(changes []engine.Write, done func()) error {
	s.mu.Lock()
	if s.kinds == nil {
		s.kinds = make(map[string]int)
	}
	for _, change := range changes {
		s.kinds[fmt.Sprintf("%T", change)]++
	}
	s.mu.Unlock()
	return s.State.Write(changes, done)
}

// reset gives the counts so far and begins anew.
func (s *countingState) reset() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := s.kinds
	s.kinds = make(map[string]int)
	return kinds
}

// More dies at once than one write of the state takes: it becomes dead letters all the same.
func TestManyLargeDeliveriesDieAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events, size = 64, 100 << 10
		w := newWorld(t)
		w.answer(func(p pair, n int) engine.Result {
			time.Sleep(time.Second)
			return failing(p, n)
		})
		l := w.boot()
		sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight, s.MaxRetries = events, 0 })
		drafts := make([]engine.Draft, events)
		for n := range drafts {
			data := bytes.Repeat([]byte("x"), size)
			data[0], data[size-1] = '"', '"'
			drafts[n] = engine.Draft{ID: fmt.Sprintf("e%d", n), Topic: "trip.created", Data: data}
		}
		l.accept(drafts)
		time.Sleep(time.Minute)
		dead, err := w.state.DeadLetters(t.Context(), sub, engine.DeliveryKey{}, 2*events)
		if err != nil || len(dead) != events {
			t.Errorf("%d dead letters, %v, want %d", len(dead), err, events)
		}
		if stats := l.system.Stats(context.Background()); stats.Pending != 0 {
			t.Errorf("stats = %+v, want nothing pending", stats)
		}
		l.stop()
	})
}
