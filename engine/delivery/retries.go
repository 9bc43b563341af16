package delivery

import (
	"container/heap"
	"time"

	"pannier/engine"
)

// retries holds a subscription's retry records in memory, the next due first. A record
// that is being attempted is not in it.
type retries struct {
	byKey map[engine.DeliveryKey]*retryItem
	due   dueHeap
}

type retryItem struct {
	record engine.RetryRecord
	index  int // in the heap
}

func (r *retries) len() int { return len(r.due) }

// put adds a record or replaces the one with its key.
func (r *retries) put(record engine.RetryRecord) {
	if r.byKey == nil {
		r.byKey = make(map[engine.DeliveryKey]*retryItem)
	}
	if item, found := r.byKey[record.Key]; found {
		item.record = record
		heap.Fix(&r.due, item.index)
		return
	}
	item := &retryItem{record: record}
	r.byKey[record.Key] = item
	heap.Push(&r.due, item)
}

// next is when the first record is due, on the subscription's own clock.
func (r *retries) next() (time.Time, bool) {
	if len(r.due) == 0 {
		return time.Time{}, false
	}
	return r.due[0].record.Due, true
}

// first is the record that is due first.
func (r *retries) first() (engine.RetryRecord, bool) {
	if len(r.due) == 0 {
		return engine.RetryRecord{}, false
	}
	return r.due[0].record, true
}

// pop takes the record that is due first.
func (r *retries) pop() engine.RetryRecord {
	item, _ := heap.Pop(&r.due).(*retryItem)
	delete(r.byKey, item.record.Key)
	return item.record
}

// popFreshest takes the record with the fewest attempts, the earliest due among equals: a
// probe must not use up the schedule of one delivery alone.
func (r *retries) popFreshest() engine.RetryRecord {
	best := r.due[0]
	for _, item := range r.due[1:] {
		if item.record.Used < best.record.Used ||
			(item.record.Used == best.record.Used && item.record.Due.Before(best.record.Due)) {
			best = item
		}
	}
	heap.Remove(&r.due, best.index)
	delete(r.byKey, best.record.Key)
	return best.record
}

// remove takes a record out and tells whether it was there.
func (r *retries) remove(key engine.DeliveryKey) bool {
	item, found := r.byKey[key]
	if found {
		heap.Remove(&r.due, item.index)
		delete(r.byKey, key)
	}
	return found
}

func (r *retries) get(key engine.DeliveryKey) (engine.RetryRecord, bool) {
	item, found := r.byKey[key]
	if !found {
		return engine.RetryRecord{}, false
	}
	return item.record, true
}

// dueHeap is a container/heap of items by due time.
type dueHeap []*retryItem

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].record.Due.Before(h[j].record.Due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	item, _ := x.(*retryItem)
	item.index = len(*h)
	*h = append(*h, item)
}

func (h *dueHeap) Pop() any {
	old := *h
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return item
}
