package ledger_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pannier/engine/ledger"
)

func TestWatermark(t *testing.T) {
	t.Parallel()
	l := ledger.New(10)
	l.Route(10, []uint32{3, 5})
	l.Route(11, []uint32{5})
	l.Route(12, nil)
	l.Route(13, []uint32{3, 4})
	l.Discharge(11, 5)
	if got, want := l.Watermark(), uint64(10); got != want {
		t.Errorf("watermark = %d, want %d: event 10 has two pairs left", got, want)
	}
	open, through := l.Open()
	if want := map[uint32][]uint64{3: {10, 13}, 4: {13}, 5: {10}}; !reflect.DeepEqual(open, want) || through != 13 {
		t.Errorf("open = %v through %d, want %v through 13", open, through, want)
	}
	l.Discharge(10, 5)
	l.Discharge(10, 3)
	if got, want := l.Watermark(), uint64(13); got != want {
		t.Errorf("watermark = %d, want %d", got, want)
	}
	l.Discharge(13, 3)
	l.Discharge(13, 4)
	if open, through := l.Open(); len(open) != 0 || through != 13 {
		t.Errorf("open = %v through %d, want none through 13", open, through)
	}
}

func TestHeldPartStopsTheFrontier(t *testing.T) {
	t.Parallel()
	l := ledger.New(1)
	l.Route(1, nil)
	l.Hold(2)
	l.Route(3, []uint32{7})
	l.Discharge(3, 7)
	if got, want := l.Frontier(), uint64(1); got != want {
		t.Errorf("frontier = %d, want %d", got, want)
	}
	if got, want := l.Watermark(), uint64(2); got != want {
		t.Errorf("watermark = %d, want %d", got, want)
	}
	if open, through := l.Open(); len(open) != 0 || through != 1 {
		t.Errorf("open = %v through %d, want none through 1", open, through)
	}
	l.Release(2, []uint32{7})
	if got, want := l.Frontier(), uint64(3); got != want {
		t.Errorf("frontier = %d, want %d", got, want)
	}
	l.Discharge(2, 7)
	if got, want := l.Watermark(), uint64(4); got != want {
		t.Errorf("watermark = %d, want %d", got, want)
	}
}

func TestMisuseEndsInPanic(t *testing.T) {
	t.Parallel()
	pair := []uint32{7}
	tests := []struct {
		name string
		call func(l *ledger.Ledger)
	}{
		{"route with a gap", func(l *ledger.Ledger) { l.Route(3, pair) }},
		{"discharge below the watermark", func(l *ledger.Ledger) { l.Discharge(0, 7) }},
		{"discharge twice", func(l *ledger.Ledger) {
			l.Route(1, pair)
			l.Route(2, []uint32{6, 7})
			l.Discharge(2, 7)
			l.Discharge(2, 7)
		}},
		{"discharge of another subscription", func(l *ledger.Ledger) { l.Route(1, pair); l.Discharge(1, 8) }},
		{"discharge what was not routed", func(l *ledger.Ledger) { l.Discharge(1, 7) }},
		{"release what is not held", func(l *ledger.Ledger) { l.Route(1, pair); l.Release(1, pair) }},
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

func TestOpenIsBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handles func(event uint32) []uint32 // of 4,096 events
		want    uint64                      // listed through
	}{
		{"as many pairs as there is room for", func(uint32) []uint32 { return handles(0, 8) }, 4096},
		{"one pair for each event more", func(uint32) []uint32 { return handles(0, 9) }, ledger.MaxOpenPairs / 9},
		{"as many subscriptions", func(event uint32) []uint32 { return handles(event, 1) }, 4096},
		{"twice as many subscriptions", func(event uint32) []uint32 { return handles(2*event, 2) }, ledger.MaxOpenHandles / 2},
		{"more subscriptions in the first event", func(uint32) []uint32 { return handles(0, ledger.MaxOpenHandles+1) }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := ledger.New(1)
			for event := range uint32(4096) {
				l.Route(uint64(event)+1, tt.handles(event))
			}
			if _, got := l.Open(); got != tt.want {
				t.Errorf("listed through %d, want %d", got, tt.want)
			}
		})
	}
}

// handles gives n of them from first on.
func handles(first, n uint32) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = first + uint32(i)
	}
	return all
}

// The ledger against a map: whatever is routed, held, released and discharged in whatever
// order, the watermark is the first sequence with an open pair, and the list of the open
// pairs says which there are.
func TestLedgerIsAMapOfOpenPairs(t *testing.T) {
	t.Parallel()
	type pair struct {
		sequence uint64
		handle   uint32
	}
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, 1<<40).Draw(t, "first")
		l, next := ledger.New(first), first
		var open []pair
		held := map[uint64]bool{}
		handOut := func(t *rapid.T, sequence uint64) []uint32 {
			to := handles(rapid.Uint32Range(0, 9).Draw(t, "handle"), rapid.Uint32Range(0, 3).Draw(t, "pairs"))
			for _, handle := range to {
				open = append(open, pair{sequence, handle})
			}
			return to
		}
		t.Repeat(map[string]func(*rapid.T){
			"route": func(t *rapid.T) {
				l.Route(next, handOut(t, next))
				next++
			},
			"hold": func(*rapid.T) {
				l.Hold(next)
				held[next] = true
				next++
			},
			"release": func(t *rapid.T) {
				for sequence := range held {
					l.Release(sequence, handOut(t, sequence))
					delete(held, sequence)
					return
				}
			},
			"discharge": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("nothing is open")
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "index")
				l.Discharge(open[i].sequence, open[i].handle)
				open = slices.Delete(open, i, i+1)
			},
			"": func(t *rapid.T) {
				frontier := next - 1
				for sequence := range held {
					frontier = min(frontier, sequence-1)
				}
				watermark, listed := frontier+1, map[pair]bool{}
				for _, p := range open {
					watermark = min(watermark, p.sequence)
					if p.sequence <= frontier {
						listed[p] = true
					}
				}
				if got := l.Watermark(); got != watermark {
					t.Fatalf("watermark = %d, want %d", got, watermark)
				}
				if got := l.Next(); got != next {
					t.Fatalf("next = %d, want %d", got, next)
				}
				all, through := l.Open()
				if through != frontier {
					t.Fatalf("listed through %d, want %d", through, frontier)
				}
				for handle, sequences := range all {
					if !slices.IsSorted(sequences) {
						t.Fatalf("sequences of %d = %v, want them ascending", handle, sequences)
					}
					for _, sequence := range sequences {
						if !listed[pair{sequence, handle}] {
							t.Fatalf("%d for %d is listed and not open", sequence, handle)
						}
						delete(listed, pair{sequence, handle})
					}
				}
				if len(listed) > 0 {
					t.Fatalf("%v are open and not listed", listed)
				}
			},
		})
	})
}
