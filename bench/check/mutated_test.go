package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pannier/bench/check"
	"pannier/bench/history"
)

// edit changes every record that pick finds; it must find some.
func edit(t *testing.T, records []history.Record, pick func(*history.Record) bool, change func(*history.Record)) []history.Record {
	t.Helper()
	found := false
	for i := range records {
		if pick(&records[i]) {
			found = true
			change(&records[i])
		}
	}
	if !found {
		t.Fatal("nothing to change in the golden history")
	}
	return records
}

// without drops every record that pick finds.
func without(records []history.Record, pick func(*history.Record) bool) []history.Record {
	return slices.DeleteFunc(records, func(r history.Record) bool { return pick(&r) })
}

func attemptsOf(name, ref string) func(*history.Record) bool {
	return func(r *history.Record) bool {
		return r.Attempt != nil && r.Attempt.Name == name && strings.Contains(r.Attempt.Body, `"`+ref+`"`)
	}
}

func attemptOf(name, ref string, number int) func(*history.Record) bool {
	all := attemptsOf(name, ref)
	return func(r *history.Record) bool { return all(r) && r.Attempt.Number == number }
}

func rowOf(op history.Op, name, id string) func(*history.Record) bool {
	return func(r *history.Record) bool {
		return r.Op == op && r.Delivery != nil && r.Delivery.Name == name && r.Delivery.EventID == id
	}
}

func readOf(op history.Op, id string) func(*history.Record) bool {
	return func(r *history.Record) bool { return r.Op == op && r.Event != nil && r.Event.ID == id }
}

func isStats(r *history.Record) bool { return r.Stats != nil }

func isKill(r *history.Record) bool { return r.Op == history.OpKill }

// moveKill moves the kill in time.
func moveKill(to time.Duration) func(*history.Record) {
	return func(r *history.Record) {
		r.At, r.Fault = to+5*ms, &history.Fault{Target: "server", From: to, To: to + 5*ms}
	}
}

// shift moves an attempt in time.
func shift(by time.Duration) func(*history.Record) {
	return func(r *history.Record) {
		a := *r.Attempt
		a.Started, a.Ended = a.Started+by, a.Ended+by
		r.Attempt = &a
		r.At += by
	}
}

// sentAlso adds an attempt to a history, signed as the given receiver expects.
func sentAlso(records []history.Record, name string, e history.Posted, number int, secret string, at time.Duration, status int) []history.Record {
	b := newBuilder()
	b.ids[e.Ref] = "evt_" + e.Ref
	if e.ID != "" {
		b.ids[e.Ref] = e.ID
	}
	b.attempt(name, e, number, secret, at, at+20*ms, status)
	return append(records, b.records...)
}

// Each rule has histories that break it, and nothing but what is named.
func TestMutatedHistoriesFail(t *testing.T) {
	t.Parallel()
	type records = []history.Record
	tests := []struct {
		name   string
		want   []check.Rule
		mutate func(t *testing.T, h records) records
	}{
		{"an accepted event is never attempted", []check.Rule{check.NoLoss, check.OneEnd}, func(_ *testing.T, h records) records {
			return without(h, attemptsOf("good", "plain"))
		}},
		{"an accepted event vanishes", []check.Rule{check.NoLoss, check.Accounting, check.Readable}, func(_ *testing.T, h records) records {
			h = without(h, attemptsOf("good", "plain"))
			for _, op := range []history.Op{history.OpDelivery, history.OpFeed} {
				h = without(h, rowOf(op, "good", "evt_plain"))
			}
			return without(without(h, readOf(history.OpEvent, "evt_plain")), readOf(history.OpListed, "evt_plain"))
		}},
		{"a retried delivery is forgotten", []check.Rule{check.NoLoss, check.OneEnd}, func(_ *testing.T, h records) records {
			return without(h, attemptOf("good", "retried", 3))
		}},
		{"a dead letter after its first attempt", []check.Rule{check.NoLoss}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, func(r *history.Record) bool { return r.Delivery != nil && r.Delivery.State == "dead" }, func(r *history.Record) {
				d := *r.Delivery
				d.Attempts = 1
				r.Delivery = &d
			})
		}},
		{"a dead letter that claims attempts nobody saw", []check.Rule{check.NoLoss}, func(_ *testing.T, h records) records {
			return without(h, func(r *history.Record) bool { return r.Op == history.OpDown })
		}},
		{"a dead letter for no reason", []check.Rule{check.NoLoss}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, func(r *history.Record) bool { return r.Delivery != nil && r.Delivery.State == "dead" }, func(r *history.Record) {
				d := *r.Delivery
				d.Reason = "expired"
				r.Delivery = &d
			})
		}},
		{"an unanswered event reaches one of two", []check.Rule{check.AtomicFanOut}, func(t *testing.T, h records) records {
			t.Helper()
			// good asks for bikes too, from the beginning
			h = edit(t, h, func(r *history.Record) bool { return r.Op == history.OpCreate && r.Change.Name == "good" }, func(r *history.Record) {
				c := *r.Change
				c.Topics = []string{"trip.*", "bike.seen"}
				r.Change = &c
			})
			return h
		}},
		{"half of an unanswered batch is there", []check.Rule{check.AtomicFanOut, check.NothingInvent}, func(_ *testing.T, h records) records {
			h = without(h, attemptsOf("wide", "batched2"))
			h = without(h, rowOf(history.OpDelivery, "wide", "evt_batched2"))
			h = without(h, rowOf(history.OpFeed, "wide", "evt_batched2"))
			return without(h, readOf(history.OpEvent, "evt_batched2"))
		}},
		{"other data arrives", []check.Rule{check.NothingInvent, check.Signed}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptsOf("good", "plain"), func(r *history.Record) {
				a := *r.Attempt
				a.Body = strings.Replace(a.Body, "1.0", "1", 1) // equal as JSON, not byte for byte
				r.Attempt = &a
			})
		}},
		{"something arrives that nobody posted", []check.Rule{check.NothingInvent}, func(_ *testing.T, h records) records {
			return sentAlso(h, "good", posted("ghost", "trip.created"), 1, secretOf("good", 0), 3*s, 200)
		}},
		{"a refused event arrives", []check.Rule{check.NothingInvent}, func(_ *testing.T, h records) records {
			return sentAlso(h, "good", refused, 1, secretOf("good", 0), 3*s, 200)
		}},
		{"an event is accepted under two ids", []check.Rule{check.NothingInvent}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, func(r *history.Record) bool {
				return r.Type == history.OK && r.Publish != nil && slices.Equal(r.Publish.IDs, []string{"given-1"}) && r.At > 2150*ms
			}, func(r *history.Record) { r.Publish = &history.Publish{IDs: []string{"given-2"}} })
		}},
		{"an answer names an id twice", []check.Rule{check.NothingInvent}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, func(r *history.Record) bool {
				return r.Type == history.OK && r.Publish != nil && slices.Equal(r.Publish.IDs, []string{"evt_plain"})
			}, func(r *history.Record) { r.Publish = &history.Publish{IDs: []string{"evt_plain", "evt_plain"}} })
		}},
		{"an id stands for two events", []check.Rule{check.NothingInvent}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptsOf("good", "late"), func(r *history.Record) {
				a := *r.Attempt
				a.Body = strings.Replace(a.Body, "evt_late", "evt_plain", 1)
				a.WebhookID = "evt_plain"
				key, _ := standardwebhooks.NewWebhook(secretOf("good", 1))
				a.Signature, _ = key.Sign(a.WebhookID, a.Wall, []byte(a.Body))
				r.Attempt = &a
			})
		}},
		{"an event is read with other data", []check.Rule{check.NothingInvent}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, readOf(history.OpEvent, "evt_plain"), func(r *history.Record) {
				e := *r.Event
				e.Data = `{"ref":"plain"}`
				r.Event = &e
			})
		}},
		{"an event goes to whom it is not for", []check.Rule{check.RightReceiver}, func(_ *testing.T, h records) records {
			return sentAlso(h, "wide", plain, 1, secretOf("wide", 0), 2*s, 200)
		}},
		{"an event is listed for whom it is not for", []check.Rule{check.RightReceiver, check.OneEnd, check.Accounting}, func(_ *testing.T, h records) records {
			return append(h, history.Record{At: 20 * s, Type: history.Read, Op: history.OpDelivery, Delivery: &history.Delivery{
				Name: "wide", EventID: "evt_plain", State: "delivered",
			}})
		}},
		{"an attempt in another's name", []check.Rule{check.RightReceiver}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptsOf("good", "plain"), func(r *history.Record) {
				a := *r.Attempt
				a.SubscriptionID = "sub_wide"
				r.Attempt = &a
			})
		}},
		{"an attempt after the deletion", []check.Rule{check.Silence}, func(_ *testing.T, h records) records {
			return sentAlso(h, "bye", doomed, 2, secretOf("bye", 0), 7*s+100*ms, 200)
		}},
		{"an attempt while disabled", []check.Rule{check.Silence}, func(_ *testing.T, h records) records {
			return sentAlso(h, "calm", quiet, 1, secretOf("calm", 0), 4*s, 200)
		}},
		{"an event accepted after the deletion", []check.Rule{check.RightReceiver, check.Silence}, func(_ *testing.T, h records) records {
			b := newBuilder()
			b.ops = 1000
			after := posted("after", "bye.now")
			b.publish(10*s, 10*s+5*ms, history.Info, true, after)
			b.attempt("bye", after, 1, secretOf("bye", 0), 10*s+10*ms, 10*s+20*ms, 200)
			return append(b.records, h...)
		}},
		{"a delivered event is a dead letter", []check.Rule{check.OneEnd, check.Accounting}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, rowOf(history.OpDelivery, "good", "evt_late"), func(r *history.Record) {
				d := *r.Delivery
				d.State, d.Reason, d.Attempts = "dead", "exhausted", 6
				r.Delivery = &d
			})
		}},
		{"a delivery is listed twice", []check.Rule{check.OneEnd, check.Accounting}, func(_ *testing.T, h records) records {
			i := slices.IndexFunc(h, func(r history.Record) bool { return rowOf(history.OpDelivery, "good", "evt_plain")(&r) })
			return append(h, h[i])
		}},
		{"a repeat without a kill", []check.Rule{check.RepeatsAtKills}, func(_ *testing.T, h records) records {
			return without(h, isKill)
		}},
		{"a repeat long before its kill", []check.Rule{check.RepeatsAtKills}, func(t *testing.T, h records) records {
			t.Helper()
			h = edit(t, h, isKill, moveKill(14*s))
			return sentAlso(h, "calm", quiet, 1, secretOf("calm", 0), 14*s+500*ms, 200)
		}},
		{"a repeat before its kill", []check.Rule{check.RepeatsAtKills}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, isKill, moveKill(6*s+900*ms))
		}},
		{"a repeat after a graceful end", []check.Rule{check.RepeatsAtKills}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, isKill, func(r *history.Record) { r.Op = history.OpStop })
		}},
		{"a repeat after an answer in time", []check.Rule{check.RepeatsAtKills}, func(_ *testing.T, h records) records {
			// the answer took 9 s of the 10 s timeout
			h = without(h, attemptsOf("good", "plain"))
			b := newBuilder()
			b.ids["plain"] = "evt_plain"
			b.attempt("good", plain, 1, secretOf("good", 0), 8*s, 17*s, 200)
			b.attempt("good", plain, 2, secretOf("good", 1), 18*s, 18*s+10*ms, 200)
			return append(h, b.records...)
		}},
		{"two attempts at once", []check.Rule{check.RepeatsAtKills}, func(_ *testing.T, h records) records {
			return sentAlso(h, "good", plain, 2, secretOf("good", 0), 1*s+10*ms, 200)
		}},
		{"a retry comes early", []check.Rule{check.Schedule}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptOf("good", "retried", 2), shift(-300*ms))
		}},
		{"an attempt's number twice", []check.Rule{check.Schedule}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptOf("good", "retried", 2), func(r *history.Record) {
				a := *r.Attempt
				a.Number = 1
				r.Attempt = &a
			})
		}},
		{"an attempt is used up without being made", []check.Rule{check.Schedule}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptOf("good", "retried", 3), func(r *history.Record) {
				a := *r.Attempt
				a.Number = 5
				r.Attempt = &a
			})
		}},
		{"more attempts than the schedule has", []check.Rule{check.Schedule}, func(_ *testing.T, h records) records {
			for n := 3; n < 9; n++ {
				h = sentAlso(h, "wide", hopeless, n, secretOf("wide", 0), time.Duration(n+3)*2*s, 500)
			}
			return h
		}},
		{"a secret of somebody else", []check.Rule{check.Signed}, func(_ *testing.T, h records) records {
			return sentAlso(without(h, attemptsOf("good", "plain")), "good", plain, 1, secretOf("wide", 0), 1*s+5*ms, 200)
		}},
		{"a secret that was replaced", []check.Rule{check.Signed}, func(_ *testing.T, h records) records {
			return sentAlso(without(h, attemptsOf("good", "late")), "good", late, 1, secretOf("good", 0), 9*s+5*ms, 200)
		}},
		{"an old timestamp", []check.Rule{check.Signed}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, attemptOf("good", "retried", 3), func(r *history.Record) {
				a := *r.Attempt
				a.Wall = a.Wall.Add(5 * s)
				r.Attempt = &a
			})
		}},
		{"something is still pending", []check.Rule{check.Accounting}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, func(r *history.Record) bool { return r.Subscription != nil && r.Subscription.Name == "good" }, func(r *history.Record) {
				r.Subscription = &history.Subscription{Name: "good", ID: "sub_good", Pending: 1}
			})
		}},
		{"a delivery waits that nobody attempts", []check.Rule{check.NoLoss, check.Accounting}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, without(h, attemptsOf("good", "plain")), rowOf(history.OpDelivery, "good", "evt_plain"), func(r *history.Record) {
				d := *r.Delivery
				d.State = "waiting"
				r.Delivery = &d
			})
		}},
		{"a delivery is still waiting", []check.Rule{check.Accounting}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, rowOf(history.OpDelivery, "good", "evt_plain"), func(r *history.Record) {
				d := *r.Delivery
				d.State = "waiting"
				r.Delivery = &d
			})
		}},
		{"the totals are wrong", []check.Rule{check.Accounting}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, isStats, func(r *history.Record) {
				stats := *r.Stats
				stats.Accepted++
				r.Stats = &stats
			})
		}},
		{"an event cannot be read", []check.Rule{check.Readable}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, readOf(history.OpEvent, "evt_plain"), func(r *history.Record) {
				r.Event = &history.Event{ID: "evt_plain", Status: 404}
			})
		}},
		{"an event is not listed", []check.Rule{check.Accounting, check.Readable}, func(_ *testing.T, h records) records {
			return without(h, readOf(history.OpListed, "evt_plain"))
		}},
		{"a delivery is not listed", []check.Rule{check.Readable}, func(_ *testing.T, h records) records {
			return without(h, rowOf(history.OpDelivery, "good", "evt_plain"))
		}},
		{"an event is not in the feed", []check.Rule{check.Readable}, func(_ *testing.T, h records) records {
			return without(h, rowOf(history.OpFeed, "good", "evt_plain"))
		}},
		{"the feed is out of order", []check.Rule{check.Readable}, func(t *testing.T, h records) records {
			t.Helper()
			return edit(t, h, rowOf(history.OpFeed, "good", "evt_plain"), func(r *history.Record) {
				d := *r.Delivery
				d.AcceptedAt = wall.Add(time.Hour)
				r.Delivery = &d
			})
		}},
		{"a subscription is gone", []check.Rule{check.Readable}, func(_ *testing.T, h records) records {
			return without(h, func(r *history.Record) bool { return r.Subscription != nil && r.Subscription.Name == "good" })
		}},
	}
	broken := make(map[check.Rule]bool)
	for _, tt := range tests {
		for _, rule := range tt.want[:1] {
			broken[rule] = true
		}
	}
	for _, rule := range check.Rules() {
		if !broken[rule] {
			t.Errorf("no mutated history is for rule %s", rule)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, tt.mutate(t, golden()))
			got, want := report.Broken(), slices.Clone(tt.want)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("broken = %v, want %v; %v", got, want, report.Shown)
			}
		})
	}
}
