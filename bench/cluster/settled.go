package main

import (
	"fmt"
	"time"
)

const (
	// takenOver is how long after the end of a process, of a cut or of a stop a journal may wait
	// for the member that goes on with it: where a member that was known is still looked for, 30 s.
	// What is taken meanwhile cannot be told to its journal, and may be taken again.
	takenOver = 40 * time.Second
	// durableWithin is how long the end of a delivery may be known to less than all its replicas.
	durableWithin = 2 * time.Second
	// forGood is the end of a disruption that nothing in the round ends.
	forGood = 24 * time.Hour
)

// span is an interval of a round.
type span struct{ from, to time.Duration }

// disruptions are the intervals in which a delivery's end may have been lost by one of its
// members, or not have reached it. An old disk takes back what was known, and whoever joined
// leaves at some time before the end: nothing is certain after these.
func disruptions(faults []happened) (spans []span) {
	for _, f := range faults {
		switch f.kind {
		case killOne, killAll, diskLost, diskDamaged:
			spans = append(spans, span{f.from, f.from + takenOver}, span{f.to, f.to + takenOver})
		case diskStale, rolling, scale:
			spans = append(spans, span{0, forGood})
		default:
			spans = append(spans, span{f.from, f.to + takenOver})
		}
	}
	return spans
}

// cameBack finds what was taken in quiet, when all that had to know of it did, and arrived again
// later: however the cluster was changed since, such a delivery has ended. again are events that
// were sent twice, which two members may have accepted.
func cameBack(arrivals []arrival, faults []happened, again map[string]bool) (found []string) {
	spans := disruptions(faults)
	taken := make(map[pair]arrival)
	for _, a := range arrivals {
		key := a.pair()
		first, twice := taken[key]
		if !twice {
			taken[key] = a
			continue
		}
		if !again[a.ref] && a.begun > first.done+durableWithin && quiet(spans, span{first.done, first.done + durableWithin}) {
			found = append(found, fmt.Sprintf("%s took %s at %v in quiet, and again at %v",
				a.name, a.ref, first.done.Round(time.Millisecond), a.begun.Round(time.Millisecond)))
		}
	}
	return found
}

func quiet(spans []span, during span) bool {
	for _, s := range spans {
		if s.from < during.to && during.from < s.to {
			return false
		}
	}
	return true
}
