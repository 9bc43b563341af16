package storage

import (
	"context"
	"slices"
	"strings"
	"sync"

	"pannier/engine"
)

// MemoryState is the twin of State for tests and the simulator: the same keys and values,
// in memory. It starts no goroutine and knows no time but its clock's.
type MemoryState struct {
	keyedState
	mu     sync.Mutex
	keys   []string // in order
	values map[string][]byte
	closed bool
	// dones wait for their call, in order; whoever finds calling false calls them all, so
	// that a done may write again.
	dones   []func()
	calling bool
}

// NewMemoryState makes an empty state.
func NewMemoryState(clock engine.Clock) *MemoryState {
	m := &MemoryState{values: make(map[string][]byte)}
	m.view, m.apply, m.clock = m.viewMemory, m.applyNow, clock
	m.queue = func(w write) error { return m.write(w.changes, w.done) }
	return m
}

// Write implements engine.State: the changes are applied and done is called, in order,
// before it returns; a Write from inside a done, or during another's, leaves its own done
// to the one under way. Errors: unavailable (closed), too_large (see MaxWriteBytes).
func (m *MemoryState) Write(writes []engine.Write, done func()) error {
	changes, _, err := encodeChanges(writes)
	if err != nil {
		return err
	}
	return m.write(changes, done)
}

func (m *MemoryState) write(changes []change, done func()) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return errClosed
	}
	for _, c := range changes {
		if err := m.change(c); err != nil {
			m.mu.Unlock()
			return err
		}
	}
	if done != nil {
		m.dones = append(m.dones, done)
	}
	mine := !m.calling
	m.calling = true
	m.mu.Unlock()
	for mine {
		mine = m.callNext()
	}
	return nil
}

// callNext calls one done, without the lock; false when there is none left.
func (m *MemoryState) callNext() bool {
	m.mu.Lock()
	if len(m.dones) == 0 {
		m.calling = false
		m.mu.Unlock()
		return false
	}
	next := m.dones[0]
	m.dones = m.dones[1:]
	m.mu.Unlock()
	next()
	return true
}

// change applies c; it fails on a late change of a value that cannot be read.
func (m *MemoryState) change(c change) error {
	if c.late == nil {
		m.set(c)
		return nil
	}
	for more := true; more; {
		var changes []change
		var err error
		if changes, more, err = c.late.resolve(memoryView{m}); err != nil {
			return err
		}
		for _, c := range changes {
			m.set(c)
		}
	}
	return nil
}

func (m *MemoryState) set(c change) {
	key := string(c.key)
	_, known := m.values[key]
	switch {
	case c.value != nil:
		m.values[key] = c.value
		if !known {
			at, _ := slices.BinarySearch(m.keys, key)
			m.keys = slices.Insert(m.keys, at, key)
		}
	case known:
		delete(m.values, key)
		at, _ := slices.BinarySearch(m.keys, key)
		m.keys = slices.Delete(m.keys, at, at+1)
	}
}

// Close makes further writes and reads unavailable.
func (m *MemoryState) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *MemoryState) applyNow(_ context.Context, changes []change) error {
	return m.write(changes, nil)
}

// viewMemory implements keyedState.view.
func (m *MemoryState) viewMemory(read func(stateView) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	return read(memoryView{m})
}

// memoryView implements stateView; its state's lock is held.
type memoryView struct{ m *MemoryState }

func (v memoryView) get(key []byte) ([]byte, bool, error) {
	value, found := v.m.values[string(key)]
	return value, found, nil
}

func (v memoryView) scan(prefix, from []byte, visit func(key, value []byte) (bool, error)) error {
	start := max(string(prefix), string(from))
	at, _ := slices.BinarySearch(v.m.keys, start)
	for _, key := range v.m.keys[at:] {
		if !strings.HasPrefix(key, string(prefix)) {
			return nil
		}
		if more, err := visit([]byte(key), v.m.values[key]); err != nil || !more {
			return err
		}
	}
	return nil
}
