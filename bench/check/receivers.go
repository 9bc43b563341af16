package check

import (
	"fmt"

	"pannier/bench/history"
)

// rightReceiver is A3: nothing was attempted at, or is listed for, a subscription that it
// was certainly not for.
func rightReceiver(m *model, r *Report) {
	for _, p := range m.pairs {
		if p.event.end == history.Fail {
			continue // A2
		}
		report := func(detail string) {
			r.add(Violation{Rule: RightReceiver, Subscription: p.key.name, Event: p.key.ref, Detail: detail})
		}
		if p.sub == nil {
			report("a subscription that was never made")
			continue
		}
		if p.sub.scopeOf(p.event) == mustNot {
			report(fmt.Sprintf("%d attempts and %d rows of what it was not for", len(p.attempts), len(p.rows)))
		}
		for _, a := range p.attempts {
			if p.sub.id != "" && a.SubscriptionID != p.sub.id {
				report("attempt in the name of subscription " + a.SubscriptionID)
			}
		}
	}
}

// silence is A4: once a subscription is certainly deleted or disabled no attempt starts.
func silence(m *model, r *Report) {
	for _, p := range m.pairs {
		if p.sub == nil {
			continue // A3
		}
		for _, a := range p.attempts {
			versions, absent := p.sub.possible(sent(a), a.Started)
			silent := !absent
			what := "disabled"
			for _, v := range versions {
				silent = silent && !v.live()
				if v.deleted {
					what = "deleted"
				}
			}
			if silent {
				r.add(Violation{
					Rule: Silence, Subscription: p.key.name, Event: p.key.ref,
					Detail: fmt.Sprintf("attempt %d at %v, %s before that", a.Number, a.Started, what),
				})
			}
		}
	}
}
