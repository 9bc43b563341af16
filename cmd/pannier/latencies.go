package main

import (
	"slices"
	"sync"
	"time"
)

// maxLatencies bounds the sample: the latest ones count.
const maxLatencies = 8192

// latencies keep the latest durations and give their percentiles. Safe for concurrent use.
type latencies struct {
	mu     sync.Mutex
	sample []time.Duration
	next   int // where the oldest lies once the sample is full
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sample) < maxLatencies {
		l.sample = append(l.sample, d)
		return
	}
	l.sample[l.next] = d
	l.next = (l.next + 1) % maxLatencies
}

// percentile gives the duration that a part p (0 to 1) of the sample does not exceed; 0
// without a sample.
func (l *latencies) percentile(p float64) time.Duration {
	l.mu.Lock()
	sorted := slices.Clone(l.sample)
	l.mu.Unlock()
	if len(sorted) == 0 {
		return 0
	}
	slices.Sort(sorted)
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
