package ledger_test

import (
	"testing"

	"pgregory.net/rapid"

	"pannier/engine"
	"pannier/engine/ledger"
)

func TestWatermark(t *testing.T) {
	t.Parallel()
	l := ledger.New(10)
	l.Route(10, 2)
	l.Route(11, 1)
	l.Route(12, 0)
	l.Route(13, 1)
	l.Discharge(11)
	if got, want := l.Watermark(), uint64(10); got != want {
		t.Errorf("watermark = %d, want %d: event 10 has two pairs left", got, want)
	}
	if got, want := l.Discharged(), (engine.Range{From: 11, Through: 12}); len(got) != 1 || got[0] != want {
		t.Errorf("discharged = %v, want [%v]", got, want)
	}
	l.Discharge(10)
	l.Discharge(10)
	if got, want := l.Watermark(), uint64(13); got != want {
		t.Errorf("watermark = %d, want %d", got, want)
	}
}

func TestHeldPartStopsTheFrontier(t *testing.T) {
	t.Parallel()
	l := ledger.New(1)
	l.Route(1, 0)
	l.Hold(2)
	l.Route(3, 0)
	if got, want := l.Frontier(), uint64(1); got != want {
		t.Errorf("frontier = %d, want %d", got, want)
	}
	if got, want := l.Watermark(), uint64(2); got != want {
		t.Errorf("watermark = %d, want %d", got, want)
	}
	l.Release(2, 1)
	if got, want := l.Frontier(), uint64(3); got != want {
		t.Errorf("frontier = %d, want %d", got, want)
	}
	l.Discharge(2)
	if got, want := l.Watermark(), uint64(4); got != want {
		t.Errorf("watermark = %d, want %d", got, want)
	}
}

func TestMisuseEndsInPanic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		call func(l *ledger.Ledger)
	}{
		{"route with a gap", func(l *ledger.Ledger) { l.Route(3, 1) }},
		{"discharge below the watermark", func(l *ledger.Ledger) { l.Discharge(0) }},
		{"discharge twice", func(l *ledger.Ledger) { l.Route(1, 1); l.Route(2, 1); l.Discharge(2); l.Discharge(2) }},
		{"discharge what was not routed", func(l *ledger.Ledger) { l.Discharge(1) }},
		{"release what is not held", func(l *ledger.Ledger) { l.Route(1, 1); l.Release(1, 1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic, want one")
				}
			}()
			tt.call(ledger.New(1))
		})
	}
}

func TestDischargedIsBounded(t *testing.T) {
	t.Parallel()
	l := ledger.New(1)
	for i := range uint64(2*ledger.MaxRanges + 4) {
		l.Route(i+1, int(1-i%2))
	}
	if got, want := len(l.Discharged()), ledger.MaxRanges; got != want {
		t.Errorf("ranges = %d, want %d", got, want)
	}
}

// The ledger against a map: whatever is routed, held, released and discharged in whatever
// order, the watermark is the first sequence with an open pair.
func TestLedgerIsAMapOfOpenPairs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, 1<<40).Draw(t, "first")
		l, next := ledger.New(first), first
		open, held := map[uint64]int{}, map[uint64]bool{}
		var openSequences []uint64
		t.Repeat(map[string]func(*rapid.T){
			"route": func(t *rapid.T) {
				pairs := rapid.IntRange(0, 3).Draw(t, "pairs")
				l.Route(next, pairs)
				if pairs > 0 {
					open[next] = pairs
					openSequences = append(openSequences, next)
				}
				next++
			},
			"hold": func(*rapid.T) {
				l.Hold(next)
				held[next] = true
				next++
			},
			"release": func(t *rapid.T) {
				for sequence := range held {
					pairs := rapid.IntRange(0, 3).Draw(t, "pairs")
					l.Release(sequence, pairs)
					delete(held, sequence)
					if pairs > 0 {
						open[sequence] = pairs
						openSequences = append(openSequences, sequence)
					}
					return
				}
			},
			"discharge": func(t *rapid.T) {
				if len(openSequences) == 0 {
					t.Skip("nothing is open")
				}
				i := rapid.IntRange(0, len(openSequences)-1).Draw(t, "index")
				sequence := openSequences[i]
				l.Discharge(sequence)
				open[sequence]--
				if open[sequence] == 0 {
					delete(open, sequence)
					openSequences = append(openSequences[:i], openSequences[i+1:]...)
				}
			},
			"": func(t *rapid.T) {
				want := next
				for sequence := range open {
					want = min(want, sequence)
				}
				for sequence := range held {
					want = min(want, sequence)
				}
				if got := l.Watermark(); got != want {
					t.Fatalf("watermark = %d, want %d", got, want)
				}
				if got := l.Next(); got != next {
					t.Fatalf("next = %d, want %d", got, next)
				}
				for _, r := range l.Discharged() {
					for sequence := r.From; sequence <= r.Through; sequence++ {
						if open[sequence] > 0 || held[sequence] {
							t.Fatalf("%d is listed as discharged", sequence)
						}
					}
				}
			},
		})
	})
}
