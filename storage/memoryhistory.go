package storage

import (
	"context"
	"slices"
	"sync"

	"pannier/engine"
)

// MemoryHistory is the twin of History for tests and the simulator.
type MemoryHistory struct {
	mu       sync.Mutex
	attempts map[historyKey][]engine.Attempt
	count    int
	dropped  uint64
	closed   bool
}

type historyKey struct {
	sub engine.SubscriptionID
	key engine.DeliveryKey
}

// MaxMemoryAttempts bounds what a MemoryHistory keeps; more are dropped and counted.
const MaxMemoryAttempts = 100_000

// NewMemoryHistory makes an empty history.
func NewMemoryHistory() *MemoryHistory {
	return &MemoryHistory{attempts: make(map[historyKey][]engine.Attempt)}
}

// Record implements engine.History.
func (m *MemoryHistory) Record(attempts ...engine.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range attempts {
		if m.closed || m.count == MaxMemoryAttempts {
			m.dropped++
			continue
		}
		a.StartedAt = a.StartedAt.UTC()
		key := historyKey{a.Subscription, a.Key}
		list := m.attempts[key]
		at, known := slices.BinarySearchFunc(list, a, compareAttempts)
		if known {
			list[at] = a
			continue
		}
		m.attempts[key] = slices.Insert(list, at, a)
		m.count++
	}
}

// Dropped counts the attempts that were not recorded.
func (m *MemoryHistory) Dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

// Attempts implements engine.History; it lists at most MaxAttemptsListed.
func (m *MemoryHistory) Attempts(ctx context.Context, sub engine.SubscriptionID, key engine.DeliveryKey) ([]engine.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errHistoryClosed
	}
	list := m.attempts[historyKey{sub, key}]
	return slices.Clone(list[:min(len(list), MaxAttemptsListed)]), nil
}

// Close drops later attempts and makes reads unavailable.
func (m *MemoryHistory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
