package engine

import "sync"

// DroppedBatches are the batches that recovery dropped because they were incomplete: their
// request was never answered, so their events are shown and delivered to nobody. Safe for
// concurrent use.
type DroppedBatches struct {
	mu  sync.RWMutex
	ids map[uint64]bool
}

// NewDroppedBatches starts from the stored ids.
func NewDroppedBatches(ids []uint64) *DroppedBatches {
	d := &DroppedBatches{ids: make(map[uint64]bool, len(ids))}
	for _, id := range ids {
		d.ids[id] = true
	}
	return d
}

// Add drops a batch; it tells whether it was not dropped before.
func (d *DroppedBatches) Add(id uint64) (added bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	added = !d.ids[id]
	d.ids[id] = true
	return added
}

// Has tells whether an event belongs to a dropped batch.
func (d *DroppedBatches) Has(event *Event) bool {
	if event.Batch.ID == 0 {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.ids[event.Batch.ID]
}
