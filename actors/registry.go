package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"pannier/engine"
)

// groups is the number of supervisors the subscription actors are spread over.
const groups = 16

// registry finds the entries of the subscriptions that have work. Safe for concurrent use.
type registry struct {
	system *System
	groups []*actor.PID

	mu      sync.RWMutex
	entries map[engine.Handle]*entry
}

func newRegistry(s *System) *registry {
	return &registry{system: s, entries: make(map[engine.Handle]*entry)}
}

// get finds or makes the entry of a subscription.
func (r *registry) get(handle engine.Handle) *entry {
	r.mu.RLock()
	e := r.entries[handle]
	r.mu.RUnlock()
	if e != nil {
		return e
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e = r.entries[handle]; e == nil {
		e = &entry{
			id: r.system.table.Latest(handle).ID, handle: handle, system: r.system,
			group: r.groups[int(handle)%len(r.groups)],
		}
		r.entries[handle] = e
	}
	return e
}

// find gives the entry only if there is one.
func (r *registry) find(handle engine.Handle) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.entries[handle]
}

func (r *registry) all() []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*entry, 0, len(r.entries))
	for _, e := range r.entries {
		all = append(all, e)
	}
	return all
}
