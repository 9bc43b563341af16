// Package ledger keeps account of what a lane's journal still has to wait for: which pairs
// of event and subscription are not discharged, and so where the watermark stands.
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
	"slices"
)

const (
	// MaxOpenPairs bounds what Open lists, which is written with every watermark, at about 2
	// bytes a pair and 30 a subscription. What does not fit is repeated after a crash.
	MaxOpenPairs = 1 << 15
	// MaxOpenHandles bounds of how many subscriptions Open lists pairs.
	MaxOpenHandles = 1 << 12
)

// Ledger is the account of one journal. Not safe for concurrent use.
type Ledger struct {
	watermark uint64     // first sequence that is not discharged
	open      [][]uint32 // whom watermark, watermark+1, … wait for: handles, ascending
	head      int        // open[head] belongs to watermark
	held      map[uint64]bool
}

// New makes the ledger of a journal that is discharged below watermark.
func New(watermark uint64) *Ledger {
	return &Ledger{watermark: watermark, held: make(map[uint64]bool)}
}

// Route notes that the event at sequence was handed out to the subscriptions of these
// handles, which are ascending and belong to the ledger from now on. Sequences come in
// order and without gaps.
func (l *Ledger) Route(sequence uint64, handles []uint32) {
	if sequence != l.Next() {
		panic(fmt.Sprintf("ledger: routed %d, expected %d", sequence, l.Next()))
	}
	l.open = append(l.open, handles)
	l.advance()
}

// Hold notes that the event at sequence is a part of a batch of which other parts are not
// durable yet: it may not be handed out.
func (l *Ledger) Hold(sequence uint64) {
	l.held[sequence] = true
	l.Route(sequence, nil)
}

// Release ends Hold: the event was handed out to the subscriptions of these handles.
func (l *Ledger) Release(sequence uint64, handles []uint32) {
	if !l.held[sequence] {
		panic(fmt.Sprintf("ledger: released %d, which is not held", sequence))
	}
	delete(l.held, sequence)
	l.open[l.index(sequence)] = handles
	l.advance()
}

// Discharge takes the pair of the event at sequence and the subscription of handle off the
// account.
func (l *Ledger) Discharge(sequence uint64, handle uint32) {
	i := l.index(sequence)
	if i < l.head || i >= len(l.open) {
		panic(fmt.Sprintf("ledger: %d discharged, which does not wait", sequence))
	}
	at, found := slices.BinarySearch(l.open[i], handle)
	switch {
	case !found:
		panic(fmt.Sprintf("ledger: %d discharged more often than it was handed out", sequence))
	case len(l.open[i]) == 1:
		l.open[i] = nil
	case at == 0: // mostly: ends come in the order of the attempts
		l.open[i] = l.open[i][1:]
	default:
		l.open[i] = slices.Delete(l.open[i], at, at+1)
	}
	l.advance()
}

// Waits tells whether the event at sequence waits for the subscription of handle.
func (l *Ledger) Waits(sequence uint64, handle uint32) bool {
	if sequence < l.watermark || sequence >= l.Next() {
		return false
	}
	_, found := slices.BinarySearch(l.open[l.index(sequence)], handle)
	return found
}

// Watermark is the first sequence that is not discharged.
func (l *Ledger) Watermark() uint64 { return l.watermark }

// Next is the sequence that is handed out next.
func (l *Ledger) Next() uint64 { return l.watermark + uint64(len(l.open)-l.head) } //nolint:gosec // head never passes the end

// Frontier is the last sequence up to which everything may be read at a cursor.
func (l *Ledger) Frontier() uint64 {
	frontier := l.Next() - 1
	for sequence := range l.held {
		frontier = min(frontier, sequence-1)
	}
	return frontier
}

// Open lists the undischarged pairs of the events from the watermark through a sequence:
// the sequences of each handle, ascending. That sequence is the frontier, or a lower one
// where the bounds of the list are met.
func (l *Ledger) Open() (open map[uint32][]uint64, through uint64) {
	open = make(map[uint32][]uint64)
	frontier := l.Frontier()
	pairs, handles := 0, 0
	for through = l.watermark - 1; through < frontier; through++ {
		waiting := l.open[l.index(through+1)]
		pairs += len(waiting)
		for _, handle := range waiting {
			if _, listed := open[handle]; !listed {
				handles++
			}
		}
		if pairs > MaxOpenPairs || handles > MaxOpenHandles {
			break
		}
		for _, handle := range waiting {
			open[handle] = append(open[handle], through+1)
		}
	}
	return open, through
}

func (l *Ledger) index(sequence uint64) int {
	return l.head + int(sequence-l.watermark) //nolint:gosec // bounded by the length of open
}

// advance moves the watermark over what is discharged and gives memory back.
func (l *Ledger) advance() {
	for l.head < len(l.open) && len(l.open[l.head]) == 0 && !l.held[l.watermark] {
		l.head++
		l.watermark++
	}
	if l.head > 1024 && l.head > len(l.open)/2 {
		l.open = append(make([][]uint32, 0, len(l.open)-l.head+1024), l.open[l.head:]...)
		l.head = 0
	}
}
