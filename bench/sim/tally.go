package main

import (
	"fmt"
	"io"
	"time"
)

// tally sums runs up.
type tally struct {
	runs       int
	virtual    time.Duration
	steps      int
	accepts    int
	deliveries int
	duplicates int
	faults     map[string]int
	repeats    map[string]int // duplicates, by the fault before them
}

func newTally() *tally { return &tally{faults: make(map[string]int), repeats: make(map[string]int)} }

func (t *tally) add(w *world) {
	t.runs++
	t.virtual += w.now.Sub(epoch)
	t.steps += w.steps
	t.accepts += w.judge.accepts
	t.deliveries += len(w.judge.arrived)
	for name, n := range w.judge.faults {
		t.faults[name] += n
	}
	for name, n := range w.judge.repeats {
		t.repeats[name] += n
		t.duplicates += n
	}
}

// print writes the sum down, with what each fault cost.
func (t *tally) print(out io.Writer, took time.Duration) error {
	faults := 0
	for _, n := range t.faults {
		faults += n
	}
	if _, err := fmt.Fprintf(out,
		"%d runs, %.0f cluster-minutes in %.1f s (%.0f a minute), %d steps, %d faults\n%d events answered, %d deliveries: 0 lost, %d repeated\n%-10s  %6s  %9s\n",
		t.runs, t.virtual.Minutes(), took.Seconds(), t.virtual.Minutes()/took.Minutes(), t.steps, faults,
		t.accepts, t.deliveries, t.duplicates, "FAULT", "TIMES", "REPEATS"); err != nil {
		return err
	}
	for _, f := range append([]string{noFault}, faultNames()...) {
		if _, err := fmt.Fprintf(out, "%-10s  %6d  %9d\n", f, t.faults[f], t.repeats[f]); err != nil {
			return err
		}
	}
	return nil
}
