package check

import (
	"fmt"
	"slices"
	"time"

	"pannier/bench/history"
)

// oneEnd is A5: a delivery ends once, in one way.
func oneEnd(m *model, r *Report) {
	for _, p := range m.pairs {
		report := func(detail string) {
			r.add(Violation{Rule: OneEnd, Subscription: p.key.name, Event: p.key.ref, Detail: detail})
		}
		if len(p.rows) > 1 {
			report(fmt.Sprintf("listed %d times", len(p.rows)))
		}
		for _, row := range p.rows {
			if row.State == "delivered" && !p.succeeded() {
				report("listed as delivered, but its receiver never took it")
			}
			if row.State == "dead" && p.sub != nil && len(p.sub.replays) == 0 && m.keptSuccess(p) {
				report("a dead letter, though it was delivered")
			}
		}
	}
}

// keptSuccess tells whether some success cannot have been forgotten by a kill.
func (m *model) keptSuccess(p *pair) bool {
	return slices.ContainsFunc(p.attempts, func(a *history.Attempt) bool {
		_, forgotten := m.forgot(a, never)
		return a.Success() && !forgotten && !p.late(a)
	})
}

// repeats is A6: an attempt after a success is explained by a kill that came between the
// success and its settlement. Without kills there are none.
func repeats(m *model, r *Report) {
	for _, p := range m.pairs {
		for i, a := range p.attempts {
			if i+1 == len(p.attempts) || !a.Success() || p.late(a) {
				continue
			}
			next := p.attempts[i+1]
			kill, forgotten := m.forgot(a, next.Started)
			if !forgotten {
				r.add(Violation{
					Rule: RepeatsAtKills, Subscription: p.key.name, Event: p.key.ref,
					Detail: fmt.Sprintf("attempt %d at %v after the success of attempt %d at %v, %s",
						next.Number, next.Started, a.Number, a.Ended, m.nearestKill(a.Ended)),
				})
				continue
			}
			r.Repeats = append(r.Repeats, Repeat{
				Subscription: p.key.name, Event: p.key.ref, Before: kill.From - a.Ended,
			})
		}
	}
}

// late tells whether the answer may have come too late: the server had given the attempt
// up.
func (p *pair) late(a *history.Attempt) bool {
	if p.sub == nil {
		return false
	}
	versions, _ := p.sub.possible(sent(a), a.Started)
	return slices.ContainsFunc(versions, func(v *version) bool { return a.Ended-sent(a)+AnswerSlack >= v.Timeout })
}

// nearestKill says how far the next kill after t is.
func (m *model) nearestKill(t time.Duration) string {
	if next := m.killsFrom(t); len(next) > 0 {
		return fmt.Sprintf("the next kill came %v later", next[0].From-t)
	}
	return "no kill came later"
}

// schedule is A8: between a failure and the next attempt lies at least min_delay, there
// are no more attempts than the schedule has, and webhook-attempt counts them. A kill may
// forget an attempt, which is then made again.
func schedule(m *model, r *Report) {
	for _, p := range m.pairs {
		if p.sub == nil || len(p.sub.replays) > 0 {
			continue
		}
		report := func(format string, args ...any) {
			r.add(Violation{Rule: Schedule, Subscription: p.key.name, Event: p.key.ref, Detail: fmt.Sprintf(format, args...)})
		}
		for i := 1; i < len(p.attempts); i++ {
			if problem := m.gap(p, p.attempts[i-1], p.attempts[i]); problem != "" {
				report("%s", problem)
			}
		}
		if len(p.attempts) == 0 {
			continue
		}
		first, last := p.attempts[0], p.attempts[len(p.attempts)-1]
		most := 0
		versions, _ := p.sub.possible(p.event.invoke, last.Started)
		for _, v := range versions {
			most = max(most, 1+v.MaxRetries)
		}
		if most += m.killsIn(first.Started, last.Started); len(p.attempts) > most {
			report("%d attempts, at most %d are explained", len(p.attempts), most)
		}
	}
}

// gap says what is wrong between two attempts that follow one another.
func (m *model) gap(p *pair, a, b *history.Attempt) string {
	if b.Number < a.Number {
		return fmt.Sprintf("attempt %d after attempt %d", b.Number, a.Number)
	}
	if _, forgotten := m.forgot(a, b.Started); forgotten || a.Success() {
		return "" // made again, or it is A6
	}
	if b.Number == a.Number {
		return fmt.Sprintf("attempt %d twice", a.Number)
	}
	if b.Number > a.Number+1 && !m.downIn(p.key.name, a.Started, b.Started) {
		return fmt.Sprintf("attempt %d after attempt %d: some were used up without being made", b.Number, a.Number)
	}
	end := a.Ended
	if a.Answer == history.Abandoned || a.Answer == history.Cut || p.late(a) {
		end = a.Started // it ended when the sender gave up, which the receiver notices late
	}
	shortest := never
	versions, _ := p.sub.possible(a.Started, b.Started)
	for _, v := range versions {
		shortest = min(shortest, v.MinDelay)
	}
	if least := time.Duration(delayShare * float64(shortest)); b.Started-end < least {
		return fmt.Sprintf("attempt %d came %v after the failure of attempt %d, min_delay is %v", b.Number, b.Started-end, a.Number, shortest)
	}
	return ""
}

func (m *model) downIn(name string, from, to time.Duration) bool {
	return slices.ContainsFunc(m.downs[name], func(d history.Fault) bool { return d.To >= from && d.From <= to })
}
