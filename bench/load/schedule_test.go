package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// However long a request takes, the next one is due when it would have been, and what was
// not sent meanwhile counts from then.
func TestScheduleHasNoOmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newSchedule(start, 100, 10, time.Second) // a request every 100 ms
		for want := range uint64(10) {
			n, due, ok := s.next()
			if !ok || n != want || due != start.Add(time.Duration(want)*100*time.Millisecond) {
				t.Fatalf("request %d is due at %v (%v)", n, due.Sub(start), ok)
			}
			if want == 3 {
				<-time.After(450 * time.Millisecond) // the server stalls
			}
		}
		if n, due, ok := s.next(); ok {
			t.Errorf("request %d is due at %v, after the end", n, due.Sub(start))
		}
	})
}

// Without a rate every request is due when it is taken.
func TestScheduleWithoutRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(time.Now(), 0, 10, time.Second)
		for range 3 {
			if _, due, ok := s.next(); !ok || !due.Equal(time.Now()) {
				t.Fatalf("due at %v, now is %v (%v)", due, time.Now(), ok)
			}
		}
		<-time.After(time.Second)
		if _, _, ok := s.next(); ok {
			t.Error("a request after the end")
		}
	})
}
