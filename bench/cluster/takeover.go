package main

import (
	"slices"
	"time"
)

const (
	// takeoverWindow is how long after a kill the longest silence is looked for.
	takeoverWindow = 15 * time.Second
	// shortestWindow is the least time that must be left of it: less may end before the takeover
	// does, and says nothing.
	shortestWindow = 8 * time.Second
	// steadyWindow before a kill must hold no silence of steadySilence: else there was no
	// steady stream to begin with.
	steadyWindow  = 3 * time.Second
	steadySilence = time.Second
)

// gap is the longest time without a delivery of one subscription around a kill.
type gap struct {
	name  string
	long  time.Duration
	owned bool // by the member that was killed
}

// takeovers measures every steady stream at every kill of one member, up to the next fault or
// the end of the load.
func takeovers(arrivals []arrival, faults []happened, names []string, loaded time.Duration) (gaps []gap) {
	streams := make(map[string][]time.Duration)
	for _, a := range arrivals {
		streams[a.name] = append(streams[a.name], a.done)
	}
	for _, f := range faults {
		if f.kind != killOne {
			continue
		}
		until := min(f.from+takeoverWindow, loaded)
		for _, other := range faults {
			if other.from > f.from {
				until = min(until, other.from)
			}
		}
		if until-f.from < shortestWindow {
			continue
		}
		for _, name := range names {
			stream := streams[name]
			if longest(stream, f.from-steadyWindow, f.from) < steadySilence && !overlapped(faults, f) {
				gaps = append(gaps, gap{name, longest(stream, f.from, until), slices.Contains(f.streams, name)})
			}
		}
	}
	return gaps
}

// overlapped tells whether another fault went on when f began: its silence would be of both.
func overlapped(faults []happened, f happened) bool {
	return slices.ContainsFunc(faults, func(o happened) bool { return o.from < f.from && o.to >= f.from-steadyWindow })
}

// longest is the longest time without an arrival in an interval; arrivals are in order. The
// silence that an arrival before the interval began counts from the interval's begin.
func longest(stream []time.Duration, from, to time.Duration) time.Duration {
	last, most := from, time.Duration(0)
	for _, t := range stream {
		if t < from {
			continue
		}
		if t > to {
			break
		}
		most = max(most, t-last)
		last = t
	}
	return max(most, to-last)
}
