package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"pannier/bench/history"
)

// nothingInvented is A2: whatever arrives or can be read was posted, with these very
// bytes, was not refused, and is one event.
func nothingInvented(m *model, r *Report) {
	report := func(name, ref, format string, args ...any) {
		r.add(Violation{Rule: NothingInvent, Subscription: name, Event: ref, Detail: fmt.Sprintf(format, args...)})
	}
	for _, a := range m.strays {
		report(a.Name, "", "attempt of %s with what nobody posted", a.WebhookID)
	}
	for _, p := range m.pairs {
		for _, a := range p.attempts {
			if problem := p.event.altered(a); problem != "" {
				report(p.key.name, p.key.ref, "%s", problem)
			}
		}
	}
	for _, e := range m.events {
		if e.end == history.Fail && e.seen != never {
			report("", e.Ref, "was refused, and is there all the same")
		}
		if len(e.ids) > 1 {
			report("", e.Ref, "was accepted more than once: %s", strings.Join(e.ids, ", "))
		}
	}
	for _, req := range m.requests {
		if req.end == history.OK && req.ids != len(req.events) {
			report("", req.events[0].Ref, "%d events were answered with %d ids", len(req.events), req.ids)
		}
	}
	for id, both := range m.shared {
		report("", both[1].Ref, "has the id %s, which is that of %s", id, both[0].Ref)
	}
	m.readInvented(report)
}

// readInvented is the part of A2 that the final reader sees.
func (m *model) readInvented(report func(name, ref, format string, args ...any)) {
	for _, read := range m.readByID {
		e := m.byID[read.ID]
		switch {
		case read.Status != 200: // A11
		case e == nil:
			report("", "", "event %s can be read, but nobody posted it", read.ID)
		case !sameJSON(read.Data, e.Data) || read.Topic != e.Topic || read.Tenant != e.Tenant:
			report("", e.Ref, "reads otherwise than it was posted")
		}
	}
	for _, row := range m.deliveries {
		if m.byID[row.EventID] == nil {
			report(row.Name, "", "delivery of event %s, which nobody posted", row.EventID)
		}
	}
	for _, row := range m.listed {
		if m.byID[row.ID] == nil {
			report("", "", "event %s is listed, but nobody posted it", row.ID)
		}
	}
}

// altered says what of an attempt is not as it was posted.
func (e *event) altered(a *history.Attempt) string {
	if a.Answer == history.Cut {
		return "" // the body is not whole
	}
	var got body
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		return "attempt with a broken body"
	}
	switch {
	case !bytes.Equal(got.Data, []byte(e.Data)):
		return "attempt with other data than was posted"
	case got.Topic != e.Topic || a.Topic != e.Topic:
		return "attempt with another topic"
	case got.ID != a.WebhookID:
		return "attempt whose body and header have different ids"
	case e.ID != "" && a.WebhookID != e.ID:
		return "attempt with another id than the given one"
	}
	return ""
}

// sameJSON compares two JSON values: only receivers are promised the very bytes.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	decode := func(text string) any {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var value any
		if decoder.Decode(&value) != nil {
			return nil
		}
		return value
	}
	va, vb := decode(a), decode(b)
	return va != nil && reflect.DeepEqual(va, vb)
}
