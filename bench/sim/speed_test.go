package main

import (
	"testing"
	"time"
)

// BenchmarkRuns measures how much faster than a clock the simulator is, on one core.
func BenchmarkRuns(b *testing.B) {
	virtual := time.Duration(0)
	for seed := uint64(1); b.Loop(); seed++ {
		w := newWorld(sized(options{
			subscriptions: 8, faultsFor: time.Minute, settleFor: 3 * time.Minute, rate: 100 * time.Millisecond, doubles: 0.01,
		}, seed), seed)
		if w.play(); w.judge.verdict != nil {
			b.Fatalf("seed %d: %v", seed, w.judge.verdict)
		}
		virtual += w.now.Sub(epoch)
	}
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "cluster-minutes/minute")
}
