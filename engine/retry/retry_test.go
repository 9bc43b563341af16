package retry_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine/retry"
)

func TestContractSchedule(t *testing.T) {
	t.Parallel()
	s := retry.Schedule{MaxRetries: 5, MinDelay: 10 * time.Second, MaxDelay: 30 * time.Minute}
	for n, want := range []float64{10, 36.6, 134, 491, 1800} {
		for _, random := range []float64{0, 0.5, 0.999} {
			got := s.Delay(n+1, random).Seconds()
			if got < want*0.895 || got > want*1.105 || got < 10 || got > 1800 {
				t.Errorf("delay %d with %v = %v s, want %v ± 10 %%", n+1, random, got, want)
			}
		}
	}
}

func TestDelaysGrowInsideTheBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Int64Range(int64(time.Second), int64(24*time.Hour)).Draw(t, "min")
		high := rapid.Int64Range(low, int64(24*time.Hour)).Draw(t, "max")
		s := retry.Schedule{
			MaxRetries: rapid.IntRange(0, 20).Draw(t, "retries"), MinDelay: time.Duration(low), MaxDelay: time.Duration(high),
		}
		before := time.Duration(0)
		for n := -1; n <= 22; n++ {
			jittered := s.Delay(n, rapid.Float64Range(0, 0.999).Draw(t, "random"))
			if jittered < s.MinDelay || jittered > s.MaxDelay {
				t.Fatalf("Delay(%d) = %v leaves [%v, %v]", n, jittered, s.MinDelay, s.MaxDelay)
			}
			plain := s.Delay(n, 0.5)
			if plain < before {
				t.Fatalf("Delay(%d) = %v is below %v", n, plain, before)
			}
			before = plain
		}
	})
}

func TestAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 12, 7, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		header string
		want   time.Duration
		ok     bool
	}{
		{"seconds", "120", 2 * time.Minute, true},
		{"zero", "0", 0, true},
		{"date", "Tue, 12 May 2026 07:01:00 GMT", time.Minute, true},
		{"date that has passed", "Tue, 12 May 2026 06:00:00 GMT", 0, true},
		{"year 9999", "Fri, 31 Dec 9999 23:59:59 GMT", 365 * 24 * time.Hour, true},
		{"overflow", "99999999999999999999", 365 * 24 * time.Hour, true},
		{"negative", "-5", 0, false},
		{"fraction", "1.5", 0, false},
		{"words", "soon", 0, false},
		{"empty", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := retry.After(tt.header, now)
			if got != tt.want || ok != tt.ok {
				t.Errorf("After(%q) = %v, %v; want %v, %v", tt.header, got, ok, tt.want, tt.ok)
			}
		})
	}
}
