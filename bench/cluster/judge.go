package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"pannier/bench/check"
	"pannier/bench/history"
)

// verdict is what was found in a round.
type verdict struct {
	plan       plan
	faults     []happened
	report     *check.Report
	problems   []string
	broken     []check.Violation
	late       int // attempts after a confirmed deletion or disabling, of events from before it
	duplicates map[kind]int
	gaps       []gap
	took       time.Duration
}

func (v *verdict) ok() bool { return len(v.problems) == 0 && len(v.broken) == 0 }

// read has the judge know which deliveries are dead letters or have not ended.
func (r *round) read(ctx context.Context) {
	host := r.group.net.host(0)
	add := func(op history.Op, record history.Record) {
		record.At, record.Role, record.Proc, record.Type, record.Op = r.log.Now(), "reader", "reader", history.Read, op
		r.log.Add(record)
	}
	type row struct {
		EventID    string    `json:"event_id"`
		State      string    `json:"state"`
		Reason     string    `json:"reason"`
		Attempts   int       `json:"attempts"`
		AcceptedAt time.Time `json:"accepted_at"`
	}
	for _, s := range r.admin.known {
		for _, state := range []string{"dead", "waiting", "attempting"} {
			err := list(ctx, r.client, host, subscriptionsPath+"/"+s.id+"/deliveries", url.Values{"state": {state}}, func(d row) {
				add(history.OpDelivery, history.Record{Delivery: &history.Delivery{
					Name: s.name, EventID: d.EventID, State: d.State, Reason: d.Reason, Attempts: d.Attempts, AcceptedAt: d.AcceptedAt,
				}})
			})
			if err != nil && slices.Contains(r.admin.standing, s) {
				r.problem("%v", err)
			}
		}
	}
	add(history.OpStats, history.Record{Stats: &history.Stats{}}) // the totals of a cluster are not judged
}

// judged are the rules of bench/check that hold whatever happens to a cluster. The others bound
// repeats, delays and totals of one member around its kills.
func judged(faults []happened) map[check.Rule]bool {
	rules := map[check.Rule]bool{
		check.NoLoss: true, check.AtomicFanOut: true, check.NothingInvent: true, check.RightReceiver: true, check.Signed: true,
	}
	for _, f := range faults {
		if f.kind.losesDisk() {
			delete(rules, check.AtomicFanOut) // what nobody answered may be lost with its only disk
		}
		if f.kind == stopped {
			delete(rules, check.Signed) // an attempt that was stopped on its way has an old timestamp
		}
	}
	return rules
}

// judge closes the history and judges it.
func (r *round) judge(ctx context.Context) (*verdict, error) {
	faults := r.nemesis.faults()
	for _, f := range faults {
		if f.kind == stopped { // attempts it had under way count, though nobody saw them
			r.unseen(f)
		}
	}
	took := r.log.Now()
	if err := r.log.Close(); err != nil {
		return nil, fmt.Errorf("write the history: %w", err)
	}
	records := r.log.Records()
	report, err := check.Check(records)
	if err != nil {
		return nil, fmt.Errorf("judge the history: %w", err)
	}
	v := &verdict{plan: r.plan, faults: faults, report: report, problems: r.problems, took: took, late: report.Counts[check.Silence]}
	if report.Lost > 0 {
		v.problems = append(v.problems, fmt.Sprintf("%d deliveries are lost", report.Lost))
	}
	rules := judged(faults)
	for _, violation := range report.Shown {
		if rules[violation.Rule] && !diedTwice(violation) && !r.cameAgain(violation) {
			if a, known := r.posted[violation.Event]; known {
				violation.Detail += fmt.Sprintf(" (accepted by member %d)", a.member)
			}
			v.broken = append(v.broken, violation)
		}
	}
	arrivals := arrivalsIn(records)
	v.duplicates = attribute(arrivals, faults)
	v.note("deliveries are missing of subscriptions that the same member had made before", r.unread(records, faults))
	v.note("events are retained and not listed", r.unlisted(ctx, faults))
	if r.listed {
		v.note("deliveries are said to be made and nobody got them", r.claimed(ctx, arrivals))
	}
	v.note("deliveries came back after they had ended", cameBack(arrivals, faults, r.again))
	v.gaps = takeovers(arrivals, faults, r.steadyNames(), r.loaded)
	return v, nil
}

// note adds what is not as it must be to the problems; a few are named.
func (v *verdict) note(what string, found []string) {
	if len(found) > 0 {
		v.problems = append(v.problems, fmt.Sprintf("%d %s", len(found), what))
		v.problems = append(v.problems, found[:min(len(found), maxNamed)]...)
	}
}

// cameAgain tells whether an event is said to be for nobody of that name, but was sent to members
// more than once: one may have accepted it, without an answer, before the other did, and each
// matched it with the versions of its time. The judge knows one accept of an event only.
func (r *round) cameAgain(violation check.Violation) bool {
	return violation.Rule == check.RightReceiver && r.again[violation.Event]
}

// diedTwice tells whether what is wrong is a second dead letter of an event: two members asked at
// once may both accept it, and each delivers what it accepted.
func diedTwice(violation check.Violation) bool {
	return violation.Rule == check.NoLoss && strings.HasSuffix(violation.Detail, " dead letters")
}

func (r *round) unseen(f happened) {
	for _, s := range r.admin.known {
		r.log.Add(history.Record{
			At: r.log.Now(), Role: "fault", Proc: "nemesis", Type: history.Caused, Op: history.OpDown,
			Fault: &history.Fault{Target: s.name, From: f.from, To: f.to},
		})
	}
}

func (r *round) steadyNames() (names []string) {
	for _, s := range r.admin.standing {
		if s.Topics[0] == "steady.*" {
			names = append(names, s.name)
		}
	}
	return names
}
