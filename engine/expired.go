package engine

import "sync"

// expiredRanges are the deliveries that left the retention unattempted, as ranges. Safe for
// concurrent use.
type expiredRanges struct {
	mu     sync.RWMutex
	ranges map[SubscriptionID][]Expired
}

// NewExpired starts from the stored ranges.
func newExpiredRanges(stored []Expired) *expiredRanges {
	x := &expiredRanges{ranges: make(map[SubscriptionID][]Expired)}
	for _, r := range stored {
		x.ranges[r.Subscription] = append(x.ranges[r.Subscription], r)
	}
	return x
}

// Expire notes a range that the retention job has made durable.
func (e *Engine) Expire(r Expired) {
	e.expired.mu.Lock()
	defer e.expired.mu.Unlock()
	e.expired.ranges[r.Subscription] = append(e.expired.ranges[r.Subscription], r)
}

// LocalExpired lists what left the retention of the journals that this member keeps.
func (e *Engine) LocalExpired(id SubscriptionID) []Expired { return e.expired.of(id) }

func (x *expiredRanges) has(id SubscriptionID, ref EventRef) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, r := range x.ranges[id] {
		if r.Journal == ref.Journal && ref.Sequence >= r.Range.From && ref.Sequence <= r.Range.Through {
			return true
		}
	}
	return false
}

func (x *expiredRanges) of(id SubscriptionID) []Expired {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return append([]Expired(nil), x.ranges[id]...)
}
