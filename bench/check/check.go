// Package check judges the history of a fault run: was every accepted event delivered to
// everybody it was for, was nothing invented, repeated or sent to the wrong place. It is a
// pure function of the records; it shares no code with the engine, has its own naïve
// matcher of topics, and verifies signatures with the library of Standard Webhooks.
//
// Every operation is an interval and takes effect at one unknown point inside it. For an
// event e and a subscription s that gives three cases (scope.go):
//
//	MUST      every version of s that may have been in force during e's accept matches
//	MUST-NOT  none of them matches
//	MAY       the rest
//
// Only what is certain is demanded, so an engine that keeps its promises always passes,
// and an operation with an unknown end only makes MAY larger. Every rule is linear in the
// number of pairs that were seen.
package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pannier/bench/history"
)

// Rule names a rule.
type Rule string

// The rules for one member.
const (
	NoLoss         Rule = "A1"  // an accepted event reaches everybody it was for, or is a dead letter with evidence
	AtomicFanOut   Rule = "A1b" // an event or batch with an unknown answer was accepted as a whole or not at all
	NothingInvent  Rule = "A2"  // nothing arrives that was not posted so, and nothing twice under two ids
	RightReceiver  Rule = "A3"  // nothing goes to whom it is not for
	Silence        Rule = "A4"  // no attempt starts once a subscription is deleted or disabled
	OneEnd         Rule = "A5"  // a delivery has one end
	RepeatsAtKills Rule = "A6"  // what succeeded is repeated only around a kill
	Schedule       Rule = "A8"  // retries keep their delays, their number and their count
	Signed         Rule = "A9"  // each attempt is signed freshly with a secret in force, under one id
	Accounting     Rule = "A10" // the totals add up and nothing is left pending
	Readable       Rule = "A11" // what was accepted can be read with its deliveries after a restart
)

// Rules lists all rules.
func Rules() []Rule {
	return []Rule{
		NoLoss, AtomicFanOut, NothingInvent, RightReceiver, Silence, OneEnd, RepeatsAtKills, Schedule, Signed,
		Accounting, Readable,
	}
}

// How sharp the rules are.
const (
	// DuplicateWindow is how long after a success a kill may still forget it: the engine writes
	// what is settled every 250 ms, to a disk that may be busy.
	DuplicateWindow = 3 * time.Second
	// AnswerSlack is how long an answer may be on its way to a server that waits for it.
	AnswerSlack = 500 * time.Millisecond
	// FreshFor is how old a timestamp may be when the request arrives: a busy machine lets
	// processes wait.
	FreshFor = 5 * time.Second
	// delayShare of min_delay must pass between two attempts.
	delayShare = 0.9
	// maxShown bounds the violations of one rule that a report describes.
	maxShown = 20
)

// Violation is a broken rule.
type Violation struct {
	Rule         Rule
	Subscription string // "" where none is concerned
	Event        string // its ref
	Detail       string
}

// String gives the violation on one line.
func (v Violation) String() string {
	return fmt.Sprintf("%-4s subscription=%s event=%s %s", v.Rule, cmp.Or(v.Subscription, "-"), cmp.Or(v.Event, "-"), v.Detail)
}

// Repeat is a success after a success that a kill explains.
type Repeat struct {
	Subscription string
	Event        string
	// Before is how long before the kill the first success was answered; negative: after it.
	Before time.Duration
}

// Report is the verdict on a history.
type Report struct {
	Accepted    int // events answered 202
	Unknown     int // events whose answer was lost for good
	Deliveries  int // pairs of subscription and event with a success
	DeadLetters int
	Attempts    int
	Kills       int
	Lost        int // pairs without an end
	Repeats     []Repeat

	Counts map[Rule]int // violations
	Shown  []Violation  // the first of each rule
}

// OK tells whether no rule is broken.
func (r *Report) OK() bool { return len(r.Counts) == 0 }

// Broken lists the rules that are broken, in their order.
func (r *Report) Broken() []Rule {
	var broken []Rule
	for _, rule := range Rules() {
		if r.Counts[rule] > 0 {
			broken = append(broken, rule)
		}
	}
	return broken
}

func (r *Report) add(v Violation) {
	r.Counts[v.Rule]++
	if r.Counts[v.Rule] <= maxShown {
		r.Shown = append(r.Shown, v)
	}
}

// Check judges the records of one run, in any order. It fails only when they are no
// history of a whole run.
func Check(records []history.Record) (*Report, error) {
	m, err := newModel(records)
	if err != nil {
		return nil, err
	}
	report := &Report{Counts: make(map[Rule]int), Kills: len(m.kills), Attempts: m.attempts}
	for _, e := range m.events {
		switch e.end {
		case history.OK:
			report.Accepted++
		case history.Info:
			report.Unknown++
		default:
		}
	}
	for _, p := range m.pairs {
		if p.succeeded() {
			report.Deliveries++
		}
		report.DeadLetters += len(p.deadLetters())
	}
	for _, judge := range []func(*model, *Report){
		noLoss, atomicFanOut, nothingInvented, rightReceiver, silence, oneEnd, repeats, schedule, signed, accounting, readable,
	} {
		judge(m, report)
	}
	slices.SortStableFunc(report.Shown, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(slices.Index(Rules(), a.Rule), slices.Index(Rules(), b.Rule)),
			cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Event, b.Event))
	})
	return report, nil
}
