package actors

import (
	"container/heap"
	"sync"
	"time"

	"pannier/engine"
)

// timers wakes subscriptions: one heap and one timer for the whole member, whatever the
// number of deliveries. A subscription that sleeps stays in it. Safe for concurrent use.
type timers struct {
	clock engine.Clock

	mu     sync.Mutex
	heap   wakeHeap
	byID   map[*entry]*wakeItem
	timer  *time.Timer
	closed bool
}

type wakeItem struct {
	entry *entry
	at    time.Time
	index int
}

func newTimers(clock engine.Clock) *timers {
	return &timers{clock: clock, byID: make(map[*entry]*wakeItem)}
}

// set plans the next wake of an entry; a zero time plans none.
func (t *timers) set(e *entry, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	item := t.byID[e]
	switch {
	case at.IsZero() && item != nil:
		heap.Remove(&t.heap, item.index)
		delete(t.byID, e)
	case at.IsZero():
		return
	case item == nil:
		item = &wakeItem{entry: e, at: at}
		t.byID[e] = item
		heap.Push(&t.heap, item)
	case item.at.Equal(at):
		return
	default:
		item.at = at
		heap.Fix(&t.heap, item.index)
	}
	t.armLocked()
}

// armLocked sets the one timer to the earliest wake.
func (t *timers) armLocked() {
	if t.closed || len(t.heap) == 0 {
		return
	}
	delay := max(0, t.heap[0].at.Sub(t.clock()))
	if t.timer == nil {
		t.timer = time.AfterFunc(delay, t.fire)
		return
	}
	t.timer.Reset(delay)
}

func (t *timers) fire() {
	t.mu.Lock()
	now := t.clock()
	var due []*entry
	for len(t.heap) > 0 && !t.heap[0].at.After(now) {
		item, _ := heap.Pop(&t.heap).(*wakeItem)
		delete(t.byID, item.entry)
		due = append(due, item.entry)
	}
	t.armLocked()
	t.mu.Unlock()
	for _, e := range due {
		e.wake()
	}
}

func (t *timers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// wakeHeap is a container/heap by time.
type wakeHeap []*wakeItem

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *wakeHeap) Push(x any) {
	item, _ := x.(*wakeItem)
	item.index = len(*h)
	*h = append(*h, item)
}

func (h *wakeHeap) Pop() any {
	old := *h
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return item
}
