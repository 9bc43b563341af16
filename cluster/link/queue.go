package link

import (
	"context"
	"sync"
)

// queue holds the encoded envelopes that wait for one peer, bounded in bytes. One goroutine
// takes them out; any may put them in.
type queue struct {
	bound  int
	filled chan struct{} // has a token when something may wait

	mu        sync.Mutex
	envelopes [][]byte
	bytes     int
	closed    bool
}

func newQueue(bound int) queue { return queue{bound: bound, filled: make(chan struct{}, 1)} }

// hasRoom tells whether a small envelope would be taken.
func (q *queue) hasRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.closed && q.bytes < q.bound
}

// push tells whether b was taken.
func (q *queue) push(b []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.bytes+len(b) > q.bound {
		return false
	}
	q.envelopes = append(q.envelopes, b)
	q.bytes += len(b)
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return true
}

// pop takes the oldest envelope; nil when there is none.
func (q *queue) pop() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.envelopes) == 0 {
		return nil
	}
	b := q.envelopes[0]
	q.envelopes[0] = nil
	q.envelopes = q.envelopes[1:]
	q.bytes -= len(b)
	return b
}

// wait waits for an envelope; false when ctx is over.
func (q *queue) wait(ctx context.Context) bool {
	select {
	case <-q.filled:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// shut drops what waits, and all that is pushed until reopen; it counts what it dropped.
func (q *queue) shut() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.envelopes)
	q.envelopes, q.bytes, q.closed = nil, 0, true
	return uint64(n)
}

// reopen ends shut.
func (q *queue) reopen() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = false
}
