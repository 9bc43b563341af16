package actors

import (
	"sync"
	"sync/atomic"

	"pannier/engine"
)

// heldParts are the batches over several lanes: whom their events are for, from accept to
// release, and how many lanes still have to write a watermark beyond them. Bounded by the
// requests under way. Safe for concurrent use.
type heldParts struct {
	mu      sync.Mutex
	matched map[engine.EventRef][]uint32
	lanes   map[uint64]*atomic.Int32
}

func newHeldParts() *heldParts {
	return &heldParts{matched: make(map[engine.EventRef][]uint32), lanes: make(map[uint64]*atomic.Int32)}
}

// holdMatched keeps whom the events of a held part are for.
func (i *ingress) holdMatched(s *submission) {
	h := i.system.held
	h.mu.Lock()
	defer h.mu.Unlock()
	for n, event := range s.part.Events {
		h.matched[event.Ref] = s.matched[n]
	}
	if len(s.part.Events) > 0 {
		id := s.part.Events[0].Batch.ID
		if h.lanes[id] == nil {
			h.lanes[id] = new(atomic.Int32)
		}
		h.lanes[id].Add(1)
	}
}

func (i *ingress) takeHeld(event *engine.Event) []uint32 {
	h := i.system.held
	h.mu.Lock()
	defer h.mu.Unlock()
	handles := h.matched[event.Ref]
	delete(h.matched, event.Ref)
	return handles
}

func (h *heldParts) lanesOf(batch uint64) *atomic.Int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lanes[batch] == nil {
		h.lanes[batch] = new(atomic.Int32)
	}
	return h.lanes[batch]
}

func (h *heldParts) forget(batch uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.lanes, batch)
}
