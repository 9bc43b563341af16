// Package ledger keeps account of what a lane's journal still has to wait for: how many
// pairs of event and subscription are not discharged, and so where the watermark stands.
// Pure: no I/O, no clock, no goroutine.
//
//	   discharged        some discharged       handed out next
//	├────────────────┼──────────────────────┼──►
//	                 watermark              next
//
// Invariant: the watermark never passes an event with an undischarged pair (I2).
package ledger

import (
	"fmt"

	"pannier/engine"
)

// MaxRanges bounds what a snapshot says of the events above the watermark; what does not
// fit is repeated after a crash.
const MaxRanges = 4096

// Ledger is the account of one journal. Not safe for concurrent use.
type Ledger struct {
	watermark uint64   // first sequence that is not discharged
	open      []uint32 // undischarged pairs of watermark, watermark+1, …
	head      int      // open[head] belongs to watermark
	held      map[uint64]bool
	pairs     int
}

// New makes the ledger of a journal that is discharged below watermark.
func New(watermark uint64) *Ledger {
	return &Ledger{watermark: watermark, held: make(map[uint64]bool)}
}

// Route notes that the event at sequence was handed out with so many live pairs. Sequences
// come in order and without gaps.
func (l *Ledger) Route(sequence uint64, pairs int) {
	if sequence != l.Next() {
		panic(fmt.Sprintf("ledger: routed %d, expected %d", sequence, l.Next()))
	}
	l.open = append(l.open, uint32(pairs)) //nolint:gosec // bounded by the number of subscriptions
	l.pairs += pairs
	l.advance()
}

// Hold notes that the event at sequence is a part of a batch of which other parts are not
// durable yet: it may not be handed out.
func (l *Ledger) Hold(sequence uint64) {
	l.Route(sequence, 1)
	l.held[sequence] = true
}

// Release ends Hold: the event was handed out with so many live pairs.
func (l *Ledger) Release(sequence uint64, pairs int) {
	if !l.held[sequence] {
		panic(fmt.Sprintf("ledger: released %d, which is not held", sequence))
	}
	delete(l.held, sequence)
	l.open[l.index(sequence)] += uint32(pairs) //nolint:gosec // bounded by the number of subscriptions
	l.pairs += pairs
	l.Discharge(sequence)
}

// Discharge takes one pair of the event at sequence off the account.
func (l *Ledger) Discharge(sequence uint64) {
	i := l.index(sequence)
	if i < l.head || i >= len(l.open) || l.open[i] == 0 {
		panic(fmt.Sprintf("ledger: %d discharged more often than it was handed out", sequence))
	}
	l.open[i]--
	l.pairs--
	l.advance()
}

// Watermark is the first sequence that is not discharged.
func (l *Ledger) Watermark() uint64 { return l.watermark }

// Next is the sequence that is handed out next.
func (l *Ledger) Next() uint64 { return l.watermark + uint64(len(l.open)-l.head) } //nolint:gosec // head never passes the end

// Pairs counts the undischarged pairs.
func (l *Ledger) Pairs() int { return l.pairs }

// Frontier is the last sequence up to which everything may be read at a cursor.
func (l *Ledger) Frontier() uint64 {
	frontier := l.Next() - 1
	for sequence := range l.held {
		frontier = min(frontier, sequence-1)
	}
	return frontier
}

// Discharged lists what is discharged at or above the watermark, at most MaxRanges ranges.
func (l *Ledger) Discharged() []engine.Range {
	var ranges []engine.Range
	for i := l.head; i < len(l.open); i++ {
		if l.open[i] != 0 {
			continue
		}
		sequence := l.watermark + uint64(i-l.head) //nolint:gosec // i never lies below head
		if n := len(ranges); n > 0 && ranges[n-1].Through+1 == sequence {
			ranges[n-1].Through = sequence
			continue
		}
		if len(ranges) == MaxRanges {
			break
		}
		ranges = append(ranges, engine.Range{From: sequence, Through: sequence})
	}
	return ranges
}

func (l *Ledger) index(sequence uint64) int {
	return l.head + int(sequence-l.watermark) //nolint:gosec // bounded by the length of open
}

// advance moves the watermark over what is discharged and gives memory back.
func (l *Ledger) advance() {
	for l.head < len(l.open) && l.open[l.head] == 0 {
		l.head++
		l.watermark++
	}
	if l.head > 1024 && l.head > len(l.open)/2 {
		l.open = append(make([]uint32, 0, len(l.open)-l.head+1024), l.open[l.head:]...)
		l.head = 0
	}
}
