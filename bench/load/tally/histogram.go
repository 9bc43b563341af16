package tally

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram keeps durations in steps of at most 1/32 of their size, from a microsecond to
// days. The zero value is ready. Safe for concurrent use.
type Histogram struct {
	buckets [bucketCount]atomic.Int64
	count   atomic.Int64
}

const (
	subBits     = 5 // 32 steps to the double
	bucketCount = (40 - subBits + 1) << subBits
)

// Add counts a duration; one below a microsecond counts as that.
func (h *Histogram) Add(d time.Duration) {
	h.buckets[bucketOf(max(0, d.Microseconds()))].Add(1)
	h.count.Add(1)
}

// Count is how many durations were added.
func (h *Histogram) Count() int64 { return h.count.Load() }

// Merge adds the durations of another histogram.
func (h *Histogram) Merge(other *Histogram) {
	for i := range other.buckets {
		h.buckets[i].Add(other.buckets[i].Load())
	}
	h.count.Add(other.count.Load())
}

// Percentile gives a duration that a part p (0 to 1) of the durations does not exceed, at
// most 1/32 too long; 0 without any.
func (h *Histogram) Percentile(p float64) time.Duration {
	rank := max(1, int64(p*float64(h.count.Load())+0.5))
	seen := int64(0)
	for i := range h.buckets {
		if seen += h.buckets[i].Load(); seen >= rank {
			return time.Duration(upperBound(i)) * time.Microsecond
		}
	}
	return 0
}

// bucketOf: values below 32 have a bucket each, then each doubling has 32.
func bucketOf(micros int64) int {
	shift := max(0, bits.Len64(uint64(micros))-subBits-1) //nolint:gosec // not negative
	return min(shift<<subBits+int(micros>>shift), bucketCount-1)
}

func upperBound(bucket int) int64 {
	shift := max(0, bucket>>subBits-1)
	return int64(bucket-shift<<subBits+1)<<shift - 1
}
