package storage

import (
	"slices"
	"sync"

	"pannier/engine"
)

// MaxDamageRanges bounds the list of damaged ranges. Past it the two ranges that lie
// closest together become one: the list may then name intact sequences, but never hides a
// damaged one.
const MaxDamageRanges = 1024

// damageList is what is known to be damaged, in order and without overlaps.
type damageList struct {
	mu     sync.Mutex
	ranges []engine.Range
}

// add tells whether the range was news.
func (d *damageList) add(from, through uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	// ranges[i:k] touch the new one.
	i, _ := slices.BinarySearchFunc(d.ranges, from, func(r engine.Range, from uint64) int {
		if r.Through+1 < from {
			return -1
		}
		return 1
	})
	k := i
	for k < len(d.ranges) && d.ranges[k].From <= through+1 {
		k++
	}
	if k > i {
		if d.ranges[i].From <= from && d.ranges[i].Through >= through {
			return false
		}
		from, through = min(from, d.ranges[i].From), max(through, d.ranges[k-1].Through)
	}
	d.ranges = slices.Replace(d.ranges, i, k, engine.Range{From: from, Through: through})
	if len(d.ranges) > MaxDamageRanges {
		d.joinClosest()
	}
	return true
}

func (d *damageList) joinClosest() {
	best := 1
	for i := 2; i < len(d.ranges); i++ {
		if d.gap(i) < d.gap(best) {
			best = i
		}
	}
	d.ranges[best-1].Through = d.ranges[best].Through
	d.ranges = slices.Delete(d.ranges, best, best+1)
}

func (d *damageList) gap(i int) uint64 { return d.ranges[i].From - d.ranges[i-1].Through }

func (d *damageList) list() []engine.Range {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ranges)
}
