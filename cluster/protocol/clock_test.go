package protocol

import (
	"testing"
	"time"

	"pannier/engine"
)

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	a, b := NewClock("a"), NewClock("b")
	first := a.Next(now)
	if second := a.Next(now.Add(-time.Hour)); second <= first {
		t.Errorf("a clock that went back gave %d after %d", second, first)
	}
	ahead := b.Next(now.Add(MaxClockSkew))
	if err := a.Witness(ahead, now); err != nil {
		t.Errorf("a stamp %s ahead: %v", MaxClockSkew, err)
	}
	if next := a.Next(now); next <= ahead {
		t.Errorf("after a stamp was witnessed the clock gave %d, want above %d", next, ahead)
	}
	tooFar := b.Next(now.Add(MaxClockSkew + time.Second))
	if err := a.Witness(tooFar, now); err == nil {
		t.Error("a stamp too far ahead was taken in")
	}
}

// TestStampsOfTwoMembersDiffer: two members never give the same stamp, or two different
// versions would count as one.
func TestStampsOfTwoMembersDiffer(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	a, b := NewClock("a"), NewClock("b")
	given := make(map[engine.Stamp]bool)
	for range 1000 {
		for _, stamp := range []engine.Stamp{a.Next(now), b.Next(now)} {
			if given[stamp] {
				t.Fatalf("stamp %d was given twice", stamp)
			}
			given[stamp] = true
		}
	}
}
