// Package retry computes when a failed delivery is attempted again. Pure: the clock and
// the random number come in.
package retry

import (
	"math"
	"time"
)

// jitter is how far a delay may leave the schedule, as a share of it.
const jitter = 0.1

// Schedule is a subscription's retry schedule: MaxRetries delays that grow geometrically
// from MinDelay to MaxDelay. The default of 5 between 10 s and 30 min gives 10 s, 36.6 s,
// 134 s, 491 s and 1800 s.
type Schedule struct {
	MaxRetries         int
	MinDelay, MaxDelay time.Duration
}

// Delay is the delay before retry n (1 is the first), jittered by ±10 % with random in
// [0, 1) and never outside [MinDelay, MaxDelay].
func (s Schedule) Delay(n int, random float64) time.Duration {
	n = max(1, min(n, s.MaxRetries))
	factor := 1.0
	if s.MaxRetries > 1 {
		factor = math.Pow(float64(s.MaxDelay)/float64(s.MinDelay), 1/float64(s.MaxRetries-1))
	}
	delay := float64(s.MinDelay) * math.Pow(factor, float64(n-1))
	return s.Clamp(time.Duration(delay * (1 - jitter + 2*jitter*random)))
}

// Clamp brings a delay that a receiver asked for into [MinDelay, MaxDelay].
func (s Schedule) Clamp(d time.Duration) time.Duration {
	return max(s.MinDelay, min(d, s.MaxDelay))
}
