package check_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/bench/check"
	"pannier/bench/history"
)

// oracle makes random histories of an engine that keeps every promise: it knows when each
// operation truly took effect, which the checker must not need to know.
type oracle struct {
	*builder
	t     *rapid.T
	subs  []*truth
	kills []time.Duration
	end   time.Duration
}

// truth is a subscription as it really was.
type truth struct {
	name   string
	states []state // in order of time
}

type state struct {
	at time.Duration
	history.Settings
	deleted bool
}

func (u *truth) at(t time.Duration) (state, bool) {
	for _, st := range slices.Backward(u.states) {
		if st.at <= t {
			return st, true
		}
	}
	return state{}, false
}

func (o *oracle) draw(least, most time.Duration, label string) time.Duration {
	return time.Duration(rapid.Int64Range(int64(least/ms), int64(most/ms)).Draw(o.t, label)) * ms
}

func (o *oracle) chance(percent int, label string) bool {
	return rapid.IntRange(1, 100).Draw(o.t, label) <= percent
}

// timeline draws a subscription and what becomes of it.
func (o *oracle) timeline(name string) {
	patterns := []string{"trip.created", "trip.*", "*", "bike.*"}
	want := settings(name, rapid.SampledFrom(patterns).Draw(o.t, "topics"))
	want.Tenant = rapid.SampledFrom([]string{"default", "nantes"}).Draw(o.t, "tenant")
	want.MaxRetries = rapid.IntRange(1, 4).Draw(o.t, "max_retries")
	u := &truth{name: name}
	o.subs = append(o.subs, u)
	begin, secret := o.draw(0, 3*s, "create"), 0
	step := func(op history.Op) bool {
		ok := begin + o.draw(1*ms, 400*ms, "takes")
		if ok >= o.end {
			return false
		}
		o.change(op, name, want, begin, ok)
		effect := begin + o.draw(0, ok-begin, "effect")
		u.states = append(u.states, state{at: effect, Settings: want, deleted: op == history.OpDelete})
		begin = ok + o.draw(1*ms, 6*s, "pause")
		return true
	}
	if !step(history.OpCreate) {
		return
	}
	for range rapid.IntRange(0, 4).Draw(o.t, "changes") {
		op := history.OpUpdate
		switch rapid.IntRange(0, 5).Draw(o.t, "change") {
		case 0:
			op = history.OpDelete
		case 1:
			op = history.OpRotate
			secret++
			want.Secret = secretOf(name, secret)
		case 2:
			want.Enabled = !want.Enabled
		default:
			want.Topics = []string{rapid.SampledFrom(patterns).Draw(o.t, "topics")}
		}
		if !step(op) || op == history.OpDelete {
			return
		}
	}
	if !want.Enabled { // everything ends enabled, or something would stay pending
		want.Enabled = true
		begin = max(begin, o.end)
		o.change(history.OpUpdate, name, want, begin, begin+ms)
		u.states = append(u.states, state{at: begin, Settings: want})
	}
}

// publishing draws one request and the deliveries that follow from it.
func (o *oracle) publishing(n int) {
	from := o.draw(0, o.end, "publish")
	to := from + o.draw(1*ms, 300*ms, "answer")
	var events []history.Posted
	for i := range rapid.IntRange(1, 3).Draw(o.t, "events") {
		e := posted(fmt.Sprintf("e%d-%d", n, i), rapid.SampledFrom([]string{"trip.created", "trip.ended", "bike.seen"}).Draw(o.t, "topic"))
		e.Tenant = rapid.SampledFrom([]string{"", "default", "nantes"}).Draw(o.t, "tenant")
		events = append(events, e)
	}
	end := rapid.SampledFrom([]history.Type{history.OK, history.OK, history.OK, history.Info, history.Fail}).Draw(o.t, "end")
	took := end == history.OK || (end == history.Info && o.chance(50, "took"))
	o.publish(from, to, end, took, events...)
	if !took {
		return
	}
	accept := from + o.draw(0, to-from, "accept")
	for _, e := range events {
		o.at[e.Ref] = accept
		for _, u := range o.subs {
			st, exists := u.at(accept)
			topic := st.Topics
			if exists && st.Enabled && !st.deleted && (e.Tenant == "" || e.Tenant == st.Tenant) && o.wants(topic, e.Topic) {
				o.deliver(u, e, accept)
			}
		}
	}
}

// wants is written otherwise than the checker's matcher.
func (o *oracle) wants(patterns []string, topic string) bool {
	table := map[string][]string{
		"trip.created": {"trip.created"}, "trip.*": {"trip.created", "trip.ended"},
		"bike.*": {"bike.seen"}, "*": {"trip.created", "trip.ended", "bike.seen"},
	}
	return slices.Contains(table[patterns[0]], topic)
}

// deliver draws the attempts of one delivery up to its end.
func (o *oracle) deliver(u *truth, e history.Posted, from time.Duration) {
	number, used := 1, 0
	at := from + o.draw(0, 200*ms, "first")
	for {
		st, _ := u.at(at)
		if st.deleted {
			return
		}
		if !st.Enabled {
			i := slices.IndexFunc(u.states, func(x state) bool { return x.at > at && x.Enabled && !x.deleted })
			if i < 0 {
				return // deleted while disabled
			}
			at = u.states[i].at
			continue
		}
		ended := at + o.draw(1*ms, 300*ms, "lasts")
		status := rapid.SampledFrom([]int{200, 302, 500, 0}).Draw(o.t, "status")
		o.attempt(u.name, e, number, st.Secret, at, ended, status)
		if kill, forgotten := o.forgets(at, ended); forgotten {
			at = max(kill, at) + o.draw(1*ms, 500*ms, "again")
			continue
		}
		if status == 200 || status == 302 {
			o.row(u.name, e, "delivered", number)
			return
		}
		if used == st.MaxRetries {
			o.row(u.name, e, "dead", number)
			return
		}
		number++
		used++
		at = ended + s + o.draw(0, 300*ms, "delay")
	}
}

// forgets draws whether a kill makes the engine forget an attempt.
func (o *oracle) forgets(started, ended time.Duration) (time.Duration, bool) {
	for _, kill := range o.kills {
		if kill >= started && kill <= ended {
			return kill, true
		}
		if kill > ended && kill <= ended+200*ms {
			return kill, o.chance(50, "forgotten")
		}
	}
	return 0, false
}

// A history in which every promise is kept passes, whatever happened when.
func TestValidHistoriesPass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		o := &oracle{builder: newBuilder(), t: rt, end: 20 * s}
		for range rapid.IntRange(0, 5).Draw(rt, "kills") {
			o.kills = append(o.kills, o.draw(s, o.end, "kill"))
		}
		slices.Sort(o.kills)
		for _, at := range o.kills {
			o.kill(at, at)
		}
		for n := range rapid.IntRange(1, 4).Draw(rt, "subscriptions") {
			o.timeline(fmt.Sprintf("s%d", n))
		}
		for n := range rapid.IntRange(1, 12).Draw(rt, "requests") {
			o.publishing(n)
		}
		slices.SortStableFunc(o.rows, func(a, b history.Delivery) int {
			return cmp.Or(a.AcceptedAt.Compare(b.AcceptedAt), cmp.Compare(a.EventID, b.EventID))
		})
		report, err := check.Check(o.finish(10 * time.Minute))
		if err != nil {
			rt.Fatal(err)
		}
		if !report.OK() {
			for _, v := range report.Shown {
				rt.Log(v)
			}
			rt.Fatalf("broken: %v", report.Broken())
		}
	})
}
