package check

import (
	"fmt"
	"time"

	"pannier/bench/history"
)

// accounting is A10: nothing is pending at the end, and the totals are those of the lists.
func accounting(m *model, r *Report) {
	report := func(name, format string, args ...any) {
		r.add(Violation{Rule: Accounting, Subscription: name, Detail: fmt.Sprintf(format, args...)})
	}
	if m.stats.Pending != 0 {
		report("", "%d deliveries are still pending", m.stats.Pending)
	}
	for _, s := range m.ends {
		if s.Pending != 0 {
			report(s.Name, "%d deliveries are still pending", s.Pending)
		}
	}
	dead, delivered := uint64(0), uint64(0)
	for _, row := range m.deliveries {
		switch row.State {
		case "dead":
			dead++
		case "delivered":
			delivered++
		default:
			report(row.Name, "delivery of %s is %s", row.EventID, row.State)
		}
	}
	if got := uint64(len(m.listed)); m.stats.Accepted != got {
		report("", "accepted is %d, %d events are listed", m.stats.Accepted, got)
	}
	whole := true // what is deleted is counted, but can no longer be listed
	for _, s := range m.subs {
		whole = whole && !s.mayBeDeleted()
	}
	for _, total := range []struct {
		name       string
		got, lists uint64
	}{
		{"matched", m.stats.Matched, dead + delivered},
		{"delivered", m.stats.Delivered, delivered},
		{"dead", m.stats.Dead, dead},
	} {
		if total.got < total.lists || (whole && total.got != total.lists) {
			report("", "%s is %d, the lists have %d", total.name, total.got, total.lists)
		}
	}
}

// readable is A11: after the last restart every accepted event can be read by its id, is
// listed once, and is in the lists of every subscription it was certainly for.
func readable(m *model, r *Report) {
	shelf := m.shelve()
	for name, rows := range m.feeds {
		m.feedOrder(name, rows, r)
	}
	for _, s := range m.subs {
		if s.id != "" && !s.mayBeDeleted() && !shelf.subs[s.name] {
			r.add(Violation{Rule: Readable, Subscription: s.name, Detail: "the subscription is not listed"})
		}
	}
	for _, e := range m.events {
		if e.end == history.OK {
			m.readableEvent(e, shelf, r)
		}
	}
}

// shelf is what the final reader found, by what it found.
type shelf struct {
	read   map[string]bool // ids of events
	listed map[string]int  // likewise
	fed    map[pairKey]int
	subs   map[string]bool
}

func (m *model) shelve() *shelf {
	s := &shelf{
		read: make(map[string]bool), listed: make(map[string]int), fed: make(map[pairKey]int), subs: make(map[string]bool),
	}
	for _, e := range m.readByID {
		s.read[e.ID] = s.read[e.ID] || e.Status == 200
	}
	for _, e := range m.listed {
		s.listed[e.ID]++
	}
	for name, rows := range m.feeds {
		for _, row := range rows {
			if e := m.byID[row.EventID]; e != nil {
				s.fed[pairKey{name, e.Ref}]++
			}
		}
	}
	for _, end := range m.ends {
		s.subs[end.Name] = true
	}
	return s
}

func (m *model) readableEvent(e *event, found *shelf, r *Report) {
	report := func(name, format string, args ...any) {
		r.add(Violation{Rule: Readable, Subscription: name, Event: e.Ref, Detail: fmt.Sprintf(format, args...)})
	}
	if len(e.ids) == 0 {
		report("", "was accepted without an id") // A2 too
		return
	}
	if !found.read[e.ids[0]] {
		report("", "event %s cannot be read", e.ids[0])
	}
	if n := found.listed[e.ids[0]]; n != 1 {
		report("", "event %s is listed %d times", e.ids[0], n)
	}
	for _, s := range m.subs {
		if s.mayBeDeleted() || s.scopeOf(e) != must {
			continue
		}
		key := pairKey{s.name, e.Ref}
		if p := m.pairs[key]; p == nil || len(p.rows) == 0 {
			report(s.name, "the delivery is not listed")
		}
		if n := found.fed[key]; n != 1 {
			report(s.name, "is %d times in the reconciliation feed", n)
		}
	}
}

// feedOrder checks that a feed is in order of (accept time, id).
func (m *model) feedOrder(name string, rows []history.Delivery, r *Report) {
	for i := 1; i < len(rows); i++ {
		a, b := rows[i-1], rows[i]
		at, bt := a.AcceptedAt.Truncate(time.Millisecond), b.AcceptedAt.Truncate(time.Millisecond)
		if bt.Before(at) || (bt.Equal(at) && b.EventID <= a.EventID) {
			r.add(Violation{Rule: Readable, Subscription: name, Detail: fmt.Sprintf("the feed has %s after %s", b.EventID, a.EventID)})
		}
	}
}
