package main

import (
	"slices"
	"time"
)

// summary is what a half of a run measured.
type summary struct{ p50, p99, max time.Duration }

func summarise(took []time.Duration) summary {
	slices.Sort(took)
	at := func(part float64) time.Duration { return took[min(int(part*float64(len(took))), len(took)-1)] }
	return summary{p50: at(0.5), p99: at(0.99), max: took[len(took)-1]}
}
