package actors_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/storage"
)

// behaviour is how the endpoints of a topic answer.
type behaviour struct {
	after   time.Duration
	outcome engine.Outcome
}

// slowSender answers by the first segment of the topic, and counts what is under way by that
// segment, by lane, and in all ("").
type slowSender struct {
	behaviours map[string]behaviour

	mu      sync.Mutex
	running map[string]int
	most    map[string]int // since the last call of mostOf
	ended   map[string]int // by segment
}

func newSlowSender(behaviours map[string]behaviour) *slowSender {
	return &slowSender{behaviours: behaviours, running: make(map[string]int), most: make(map[string]int), ended: make(map[string]int)}
}

func (s *slowSender) Send(ctx context.Context, r *engine.SendRequest) engine.Result {
	segment, _, _ := strings.Cut(r.Event.Topic, ".")
	s.count(r.Lane, segment, 1)
	defer s.count(r.Lane, segment, -1)
	b := s.behaviours[segment]
	select {
	case <-time.After(b.after):
		return engine.Result{Outcome: b.outcome, RetryAfter: -1}
	case <-ctx.Done():
		return engine.Result{Outcome: engine.OutcomeInterrupted}
	}
}

func (s *slowSender) count(lane, segment string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"lane " + lane, segment, ""} {
		s.running[name] += n
		s.most[name] = max(s.most[name], s.running[name])
	}
	if n < 0 {
		s.ended[segment]++
	}
}

func (s *slowSender) endedOf(segment string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[segment]
}

// mostOf is the most that was under way at once since it was last asked for.
func (s *slowSender) mostOf(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most[name]
	s.most[name] = s.running[name]
	return most
}

// Endpoints that do not answer would fill the lane many times over; the others get their
// events at once all the same.
func TestSilentEndpointsLeavePlacesForOthers(t *testing.T) {
	t.Parallel()
	const places = 4096
	for silent, events := range map[int]int{1: 64, 70: 64, 1000: 8} {
		t.Run(fmt.Sprintf("silent=%d", silent), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sender := newSlowSender(map[string]behaviour{
					"alarm": {4 * time.Second, engine.OutcomeSuccess}, "trip": {time.Millisecond, engine.OutcomeSuccess},
				})
				m := newMember(t, &engine.Snapshot{}, storage.NewMemoryState(time.Now), sender)
				m.subscribe(t, 1, "trip.*")
				for n := range silent { // one after the other: the first ones find everything free
					topic := fmt.Sprintf("alarm.city%d", n)
					m.subscribe(t, 1, topic)
					m.publish(t, topic, events)
				}
				settle()
				for n := range 10 {
					m.publish(t, "trip.created", 1)
					pass(10 * time.Millisecond)
					if got := sender.endedOf("trip"); got != n+1 {
						t.Fatalf("%d of %d events arrived beside %d silent endpoints", got, n+1, silent)
					}
				}
				if got, want := sender.mostOf("alarm"), min(silent*events, places/2); got < want || got > places {
					t.Errorf("up to %d attempts on silent endpoints, want %d to %d", got, want, places)
				}
				pass(time.Minute) // those that wait take their turn
				if got, want := sender.endedOf("alarm"), silent*events; got != want {
					t.Errorf("%d attempts were made on silent endpoints, want %d", got, want)
				}
			})
		})
	}
}

// In a lane that is more than half full a subscription has places by how its endpoint
// answers: more with each success, one after a failure.
func TestPlacesByCredit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := newSlowSender(map[string]behaviour{
			"silent": {time.Hour, engine.OutcomeFailure}, "failing": {time.Second, engine.OutcomeFailure},
			"healthy": {time.Second, engine.OutcomeSuccess},
		})
		m := newMember(t, &engine.Snapshot{}, storage.NewMemoryState(time.Now), sender, lane("busy", "*", 40))
		check := func(segment string, want int) {
			t.Helper()
			if got := sender.mostOf(segment); got != want {
				t.Errorf("up to %d attempts of %s were under way, want %d", got, segment, want)
			}
		}
		for _, segment := range []string{"silent", "failing", "healthy"} {
			m.subscribe(t, 1, segment+".*")
			m.publish(t, segment+".event", 100)
			settle()
		}
		check("silent", 20) // half of the lane
		check("failing", 2)
		check("healthy", 2)
		pass(1500 * time.Millisecond)
		check("failing", 2)
		check("healthy", 4)
		pass(5 * time.Second)
		check("failing", 1)
		check("healthy", 16)
		check("lane busy", 37)
	})
}

// The member's own cap holds over all lanes, and a lane that waited for it goes on when
// another lane's attempts end.
func TestMemberCapOverLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const memberCap, subscriptions, events = 8192, 60, 40
		topics := []string{"a", "b", "c", "d", "e"}
		behaviours := make(map[string]behaviour)
		var lanes []engine.LaneConfig
		for n, topic := range topics {
			behaviours[topic] = behaviour{time.Duration(1+n) * time.Second, engine.OutcomeSuccess}
			lanes = append(lanes, lane(topic, match.Pattern(topic), 4096))
		}
		sender := newSlowSender(behaviours)
		m := newMember(t, &engine.Snapshot{}, storage.NewMemoryState(time.Now), sender, lanes...)
		for _, topic := range topics {
			m.subscribe(t, subscriptions, topic)
			m.publish(t, topic, events)
			settle()
		}
		pass(5 * time.Minute)
		if got := sender.mostOf(""); got != memberCap {
			t.Errorf("up to %d attempts were under way, want %d", got, memberCap)
		}
		for _, topic := range topics {
			if got := sender.endedOf(topic); got != subscriptions*events {
				t.Errorf("%d attempts of %s, want %d", got, topic, subscriptions*events)
			}
		}
	})
}

func lane(name string, topics match.Pattern, places int) engine.LaneConfig {
	return engine.LaneConfig{Name: name, Topics: []match.Pattern{topics}, Retention: time.Hour, MaxInFlight: places, WindowShare: 1}
}
