package main

import (
	"sync"
	"time"
)

// tally is what a receiver took, by its own count: which events, how often, and when. Safe for
// concurrent use.
type tally struct {
	mu       sync.Mutex
	taken    map[string]bool
	repeated int
	latest   time.Time
	pauses   []arrival // in order
}

// arrival is when something came, and how long after what came before it.
type arrival struct {
	at    time.Time
	after time.Duration
}

// countedPause is the shortest pause that is kept: a second has a hundred arrivals.
const countedPause = 100 * time.Millisecond

func newTally() *tally { return &tally{taken: make(map[string]bool)} }

// take counts one request that is answered with success.
func (t *tally) take(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken[id] {
		t.repeated++
	}
	t.taken[id] = true
	if pause := at.Sub(t.latest); !t.latest.IsZero() && pause >= countedPause {
		t.pauses = append(t.pauses, arrival{at, pause})
	}
	if at.After(t.latest) {
		t.latest = at
	}
}

// counts gives how many events were taken and how many requests repeated one.
func (t *tally) counts() (events, repeated int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.taken), t.repeated
}

// missing gives those of ids that were not taken.
func (t *tally) missing(ids []string) (missing []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		if !t.taken[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// longestPause is the longest time without anything taken that ended between two moments.
func (t *tally) longestPause(from, until time.Time) (longest time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, pause := range t.pauses {
		if pause.at.After(from) && !pause.at.After(until) {
			longest = max(longest, pause.after)
		}
	}
	return longest
}
