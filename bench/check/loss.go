package check

import (
	"fmt"
	"math"
	"time"

	"pannier/bench/history"
)

// noLoss is A1: an accepted event was taken by, or died with evidence for, every
// subscription it was certainly for.
func noLoss(m *model, r *Report) {
	spans := m.deliveredSpans()
	for _, e := range m.events {
		if e.end != history.OK {
			continue
		}
		for _, s := range m.subs {
			problem, lost := m.missing(s, e)
			if problem == "" {
				continue
			}
			if lost {
				r.Lost++
				problem += ", " + spans[e.publisher].place(e)
			}
			r.add(Violation{Rule: NoLoss, Subscription: s.name, Event: e.Ref, Detail: problem})
		}
	}
}

// missing says what is wrong with the end of an event at a subscription that it was
// certainly for; "" when nothing is. What is pending of a deleted subscription is given up.
func (m *model) missing(s *subscription, e *event) (problem string, lost bool) {
	if s.mayBeDeleted() || s.scopeOf(e) != must {
		return "", false
	}
	p := m.pairs[pairKey{s.name, e.Ref}]
	if p == nil {
		return "lost: never attempted", true
	}
	if p.succeeded() {
		return "", false
	}
	dead := p.deadLetters()
	for _, row := range p.rows {
		if row.State != "delivered" && row.State != "dead" {
			return "not ended: it is " + row.State, false // A10 too
		}
	}
	if len(dead) == 0 {
		return fmt.Sprintf("lost: %d attempts, none succeeded, no dead letter", len(p.attempts)), true
	}
	if len(dead) > 1 {
		return fmt.Sprintf("%d dead letters", len(dead)), false
	}
	return m.evidence(p, dead[0]), false
}

// evidence says why a dead letter is not accepted as an end: an engine could keep every
// other rule by giving everything up.
func (m *model) evidence(p *pair, row history.Delivery) string {
	if row.Reason != "exhausted" {
		return fmt.Sprintf("dead letter with reason %q, which nothing in the run explains", row.Reason)
	}
	versions, _ := p.sub.possible(p.event.invoke, never)
	least, most, shortest := math.MaxInt, 0, never
	for _, v := range versions {
		least = min(least, 1+v.MaxRetries)
		most = max(most, 1+v.MaxRetries)
		shortest = min(shortest, v.MinDelay)
	}
	if len(p.sub.replays) > 0 {
		most = math.MaxInt // a replay counts on
	}
	if row.Attempts < least || row.Attempts > most {
		return fmt.Sprintf("dead letter after %d attempts, its schedule has %d to %d", row.Attempts, least, most)
	}
	if seen := len(p.attempts) + m.unseen(p, shortest); seen < row.Attempts {
		return fmt.Sprintf("dead letter that claims %d attempts, its receiver saw %d", row.Attempts, len(p.attempts))
	}
	return ""
}

// unseen is how many attempts may have met a receiver that took no connections.
func (m *model) unseen(p *pair, shortest time.Duration) int {
	n := 0
	for _, down := range m.downs[p.key.name] {
		if down.To >= p.event.invoke {
			n += 1 + int(float64(down.To-down.From)/(delayShare*float64(max(shortest, time.Millisecond))))
		}
	}
	return n
}

// atomicFanOut is A1b: what an unknown answer accepted was accepted whole.
func atomicFanOut(m *model, r *Report) {
	for _, e := range m.events {
		if e.end != history.Info || e.seen == never {
			continue
		}
		for _, s := range m.subs {
			if problem, _ := m.missing(s, e); problem != "" {
				r.add(Violation{Rule: AtomicFanOut, Subscription: s.name, Event: e.Ref, Detail: "without an answer, but accepted: " + problem})
			}
		}
	}
	for _, req := range m.requests {
		if here, gone := req.torn(); here != nil && gone != nil && req.end != history.Fail {
			r.add(Violation{Rule: AtomicFanOut, Event: gone.Ref, Detail: "is not there, but " + here.Ref + " of the same request is"})
		}
	}
}

// torn finds an event of the request that is there and one that is not.
func (req *request) torn() (here, gone *event) {
	for _, e := range req.events {
		if e.seen == never {
			gone = e
		} else {
			here = e
		}
	}
	return here, gone
}

// span is from the first to the last event of a publisher that anybody took.
type span struct{ first, last time.Duration }

func (m *model) deliveredSpans() map[string]span {
	spans := make(map[string]span)
	for _, p := range m.pairs {
		if !p.succeeded() {
			continue
		}
		at := p.event.invoke
		s, known := spans[p.event.publisher]
		if !known {
			s = span{at, at}
		}
		spans[p.event.publisher] = span{min(s.first, at), max(s.last, at)}
	}
	return spans
}

// place tells where among its publisher's events a lost one lies: at the end a tail was
// cut off, in the middle something was skipped.
func (s span) place(e *event) string {
	switch {
	case s == span{}:
		return "like everything of its publisher"
	case e.invoke < s.first:
		return "at the beginning of its publisher's"
	case e.invoke > s.last:
		return "at the end of its publisher's"
	}
	return "in the middle of its publisher's"
}
