package check_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pannier/bench/history"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

// wall is when the runs of these tests began.
var wall = time.Date(2026, 5, 12, 9, 0, 0, 0, time.UTC)

// builder writes histories by hand and keeps what the final reader would find.
type builder struct {
	records  []history.Record
	ops      int
	accepted []history.Posted // in order of accept
	at       map[string]time.Duration
	ids      map[string]string
	rows     []history.Delivery // in order of accept
	names    []string
	deleted  map[string]bool
}

func newBuilder() *builder {
	return &builder{at: make(map[string]time.Duration), ids: make(map[string]string), deleted: make(map[string]bool)}
}

func (b *builder) add(r history.Record) { b.records = append(b.records, r) }

func (b *builder) op(role string, op history.Op, from, to time.Duration, end history.Type, fill func(begin, end *history.Record)) {
	b.ops++
	begin := history.Record{At: from, Role: role, Proc: role, Type: history.Invoke, Op: op, ID: strconv.Itoa(b.ops)}
	last := begin
	last.At, last.Type = to, end
	fill(&begin, &last)
	b.add(begin)
	b.add(last)
}

func secretOf(name string, n int) string {
	return "whsec_" + encode(fmt.Sprintf("%-24s", fmt.Sprintf("%s %d", name, n)))
}

func settings(name string, topics ...string) history.Settings {
	return history.Settings{
		Topics: topics, Tenant: "default", Enabled: true, Secret: secretOf(name, 0), MaxRetries: 5, MinDelay: s, Timeout: 10 * s,
	}
}

func (b *builder) change(op history.Op, name string, want history.Settings, from, to time.Duration) {
	b.op("admin", op, from, to, history.OK, func(begin, end *history.Record) {
		begin.Change = &history.Change{Name: name, Settings: want}
		end.Change = &history.Change{Name: name}
		switch op {
		case history.OpCreate:
			end.Change.ID = "sub_" + name
			b.names = append(b.names, name)
		case history.OpRotate:
			begin.Change.Settings = history.Settings{}
			end.Change.Secret = want.Secret
		case history.OpDelete:
			begin.Change.Settings = history.Settings{}
			b.deleted[name] = true
		default:
		}
		if op != history.OpRotate {
			end.Change.Secret = begin.Change.Secret
		}
	})
}

func posted(ref, topic string) history.Posted {
	return history.Posted{Ref: ref, Topic: topic, Data: fmt.Sprintf(`{"ref":%q,"n": 1.0}`, ref)}
}

// publish posts events; those of an ok, and of an info that took effect, are accepted.
func (b *builder) publish(from, to time.Duration, end history.Type, took bool, events ...history.Posted) {
	b.op("publisher", history.OpPublish, from, to, end, func(begin, last *history.Record) {
		begin.Publish = &history.Publish{Events: events}
		var ids []string
		for _, e := range events {
			id := e.ID
			if id == "" {
				id = "evt_" + e.Ref
			}
			ids = append(ids, id)
			b.ids[e.Ref] = id
			if took {
				b.accepted = append(b.accepted, e)
				b.at[e.Ref] = from
			}
		}
		if end == history.OK {
			last.Publish = &history.Publish{IDs: ids}
		}
	})
}

// attempt is one request to a receiver; status 0 is a reset.
func (b *builder) attempt(name string, e history.Posted, number int, secret string, from, to time.Duration, status int) {
	text, _ := json.Marshal(map[string]any{"id": b.ids[e.Ref], "topic": e.Topic, "data": "@"})
	raw := []byte(replaceData(string(text), e.Data))
	at := wall.Add(from)
	key, _ := standardwebhooks.NewWebhook(secret)
	signature, _ := key.Sign(b.ids[e.Ref], at, raw)
	answer := history.Answered
	if status == 0 {
		answer = history.Reset
	}
	b.add(history.Record{At: to, Role: "receiver", Proc: name, Type: history.Recv, Op: "attempt", Attempt: &history.Attempt{
		Name: name, SubscriptionID: "sub_" + name, WebhookID: b.ids[e.Ref], Topic: e.Topic,
		Timestamp: strconv.FormatInt(at.Unix(), 10), Signature: signature, Number: number, Body: string(raw),
		Started: from, Wall: at, Ended: to, Answer: answer, Status: status,
	}})
}

// row says how a delivery ended.
func (b *builder) row(name string, e history.Posted, state string, attempts int) {
	row := history.Delivery{
		Name: name, EventID: b.ids[e.Ref], State: state, Attempts: attempts, AcceptedAt: wall.Add(b.at[e.Ref]),
	}
	if state == "dead" {
		row.Reason = "exhausted"
	}
	b.rows = append(b.rows, row)
}

func (b *builder) kill(from, to time.Duration) {
	b.add(history.Record{At: to, Role: "fault", Proc: "killer", Type: history.Caused, Op: history.OpKill, Fault: &history.Fault{
		Target: "server", From: from, To: to,
	}})
}

func (b *builder) down(name string, from, to time.Duration) {
	b.add(history.Record{At: to, Role: "fault", Proc: name, Type: history.Caused, Op: history.OpDown, Fault: &history.Fault{
		Target: name, From: from, To: to,
	}})
}

// finish reads everything.
func (b *builder) finish(at time.Duration) []history.Record {
	read := func(op history.Op, fill func(*history.Record)) {
		r := history.Record{At: at, Role: "reader", Proc: "reader", Type: history.Read, Op: op}
		fill(&r)
		b.add(r)
	}
	for _, e := range b.accepted {
		shown := history.Event{ID: b.ids[e.Ref], Topic: e.Topic, Tenant: e.Tenant, AcceptedAt: wall.Add(b.at[e.Ref])}
		read(history.OpListed, func(r *history.Record) { r.Event = &shown })
		whole := shown
		whole.Status, whole.Data = 200, fmt.Sprintf(`{"n":1.0,"ref":%q}`, e.Ref)
		read(history.OpEvent, func(r *history.Record) { r.Event = &whole })
	}
	slices.SortStableFunc(b.rows, func(x, y history.Delivery) int { return x.AcceptedAt.Compare(y.AcceptedAt) })
	var stats history.Stats
	stats.Accepted = uint64(len(b.accepted))
	for _, row := range b.rows {
		stats.Matched++
		if row.State == "dead" {
			stats.Dead++
		} else {
			stats.Delivered++
		}
		if b.deleted[row.Name] {
			continue
		}
		read(history.OpDelivery, func(r *history.Record) { r.Delivery = &row })
		read(history.OpFeed, func(r *history.Record) { r.Delivery = &row })
	}
	for _, name := range b.names {
		if !b.deleted[name] {
			read(history.OpSubscription, func(r *history.Record) {
				r.Subscription = &history.Subscription{Name: name, ID: "sub_" + name}
			})
		}
	}
	read(history.OpStats, func(r *history.Record) { r.Stats = &stats })
	return b.records
}
