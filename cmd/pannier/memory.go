package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	// smallMemory is what a process with little to keep takes at most.
	smallMemory = 128 << 20
	// lessRoom is how much less than the collector alone would let it a larger heap may grow.
	lessRoom = 40 << 20
	// leastRoom is left above what is kept, or the collector would do nothing but collect.
	leastRoom = 24 << 20
	// memoryLook is how often the limit follows what is kept, memoryLooks how many looks must have
	// found so much: a table of the history takes seconds.
	memoryLook  = time.Second
	memoryLooks = 10
)

// limitMemory keeps the soft limit of the process's memory (debug.SetMemoryLimit) a little above
// what it keeps, until ctx ends. Badger writes a table of the history with tens of megabytes that
// are garbage in a moment, and the collector alone lets them double the heap first. Whoever starts
// the process with GOMEMLIMIT decides instead.
func limitMemory(ctx context.Context) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	look := time.NewTicker(memoryLook)
	defer look.Stop()
	var live []int64 // of the latest looks
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(sample)
		live = append(live, int64(sample[0].Value.Uint64())) //nolint:gosec // no heap has 2^63 bytes
		live = live[max(0, len(live)-memoryLooks):]
		debug.SetMemoryLimit(memoryLimit(live))
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// memoryLimit is the limit in bytes when so many were kept at the latest looks.
func memoryLimit(live []int64) int64 {
	return max(smallMemory, 2*slices.Min(live)-lessRoom, live[len(live)-1]+leastRoom)
}
