// Package retry computes when a failed delivery is attempted again. Pure.
package retry

import "time"

// Schedule is a subscription's retry schedule.
type Schedule struct {
	MaxRetries         int
	MinDelay, MaxDelay time.Duration
}

// Delay is the delay before retry n (1 is the first), jittered by ±10 % with random in
// [0, 1) and never outside [MinDelay, MaxDelay].
func (s Schedule) Delay(n int, random float64) time.Duration { panic("skeleton") }

// Clamp brings a delay that a receiver asked for into [MinDelay, MaxDelay].
func (s Schedule) Clamp(d time.Duration) time.Duration { panic("skeleton") }

// After reads a Retry-After header, seconds or HTTP date.
func After(header string, now time.Time) (d time.Duration, ok bool) { panic("skeleton") }
