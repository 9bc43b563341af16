package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"pannier/bench/history"
)

// arrival is an event that a subscription's receiver took.
type arrival struct {
	name, ref   string // the subscription, the event
	begun, done time.Duration
}

// pair is a delivery, by the harness's own names of the subscription and the event.
type pair struct{ name, ref string }

func (a arrival) pair() pair { return pair{a.name, a.ref} }

// arrivalsIn lists what was taken, in the order of the ends.
func arrivalsIn(records []history.Record) (arrivals []arrival) {
	for i := range records {
		if a := records[i].Attempt; records[i].Type == history.Recv && a.Success() {
			arrivals = append(arrivals, arrival{a.Name, refOf(a), a.Started, a.Ended})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return cmp.Compare(a.done, b.done) })
	return arrivals
}

// refOf is the producer's own name of an event: one that two members accepted may have two ids.
func refOf(a *history.Attempt) string {
	var body struct{ Data struct{ Ref string } }
	if json.Unmarshal([]byte(a.Body), &body) != nil {
		return a.WebhookID
	}
	return body.Data.Ref
}

// noFault is what duplicates are attributed to that came before every fault.
const noFault kind = "none"

// attribute counts what arrived again, by the fault that had begun last before the repeat did.
func attribute(arrivals []arrival, faults []happened) map[kind]int {
	seen := make(map[pair]bool)
	counts := make(map[kind]int)
	for _, a := range arrivals {
		key := a.pair()
		if seen[key] {
			counts[preceding(faults, a.begun)]++
		}
		seen[key] = true
	}
	return counts
}

// preceding is the fault that began last, no later than t.
func preceding(faults []happened, t time.Duration) kind {
	found, begun := noFault, time.Duration(-1)
	for _, f := range faults {
		if f.from <= t && f.from > begun {
			found, begun = f.kind, f.from
		}
	}
	return found
}
