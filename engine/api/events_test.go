package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPostOneEvent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		accepted, w := m.do(202, "POST", "/v1/events", adminKey, `{"topic":"trip.created","data": {"n":1.0, "big":9223372036854775809,"s":"\u00e9<&>"} }`,
			"Content-Type", "application/json; charset=UTF-8")
		id := text(accepted["id"])
		if len(accepted) != 1 || !strings.HasPrefix(id, "evt_") || w.Header().Get("Idempotency-Replayed") != "" {
			m.Errorf("got %v, %v", accepted, w.Header())
		}
		found, w := m.do(200, "GET", "/v1/events/"+id, adminKey, "")
		if !strings.Contains(w.Body.String(), `"data":{"n":1.0,"big":9223372036854775809,"s":"\u00e9<&>"}`) {
			m.Errorf("the data is not as it was posted: %s", w.Body)
		}
		delete(found, "data")
		at := timeText(time.Now())
		wantObject(m.T, "event", found, `{"id":"`+id+`","topic":"trip.created","tenant":null,"timestamp":"`+at+`","accepted_at":"`+at+`"}`)
	})
}

func TestPostEveryMember(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		accepted, _ := m.do(202, "POST", "/v1/events", adminKey,
			`{"id":"order-1_A","topic":"trip.created","timestamp":"2026-05-12T09:41:20.5123+02:00","tenant":"nantes","data":null}`)
		if accepted["id"] != "order-1_A" {
			m.Errorf("got %v, want the given id", accepted)
		}
		found, _ := m.do(200, "GET", "/v1/events/order-1_A", adminKey, "")
		wantObject(m.T, "event", found, `{"id":"order-1_A","topic":"trip.created","tenant":"nantes","data":null,
			"timestamp":"2026-05-12T07:41:20.512Z","accepted_at":"`+timeText(time.Now())+`"}`)
	})
}

func TestPostManyEvents(t *testing.T) {
	t.Parallel()
	const cloud = `{"specversion":"1.0","id":"c-1","source":"/fleet","type":"trip.created","time":"2026-05-12T07:41:20Z","subject":"s","ext":7,"data":{"n":1}}`
	for _, test := range []struct {
		name, media, body string
		ids               int
	}{
		{"array", "application/json", `[{"topic":"a","data":1},{"topic":"b","data":2}]`, 2},
		{"array of one", "application/json", `[{"topic":"a","data":1}]`, 1},
		{"lines", "application/x-ndjson", "{\"topic\":\"a\",\"data\":1}\r\n\n{\"topic\":\"b\",\"data\":2}", 2},
		{"one line", "application/x-ndjson", `{"topic":"a","data":1}`, 1},
		{"CloudEvents", "application/cloudevents-batch+json", "[" + cloud + "," + strings.Replace(cloud, "c-1", "c-2", 1) + "]", 2},
		{"the same event twice", "application/json", `[{"id":"x","topic":"a","data":1},{"topic":"a","data":1},{"id":"x","topic":"a","data":1}]`, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(m *member) {
				accepted, _ := m.do(202, "POST", "/v1/events", adminKey, test.body, "Content-Type", test.media)
				ids, _ := accepted["ids"].([]any)
				if len(accepted) != 2 || accepted["accepted"] != float64(test.ids) || len(ids) != test.ids {
					m.Fatalf("got %v, want %d ids", accepted, test.ids)
				}
				list, _ := m.do(200, "GET", "/v1/events", adminKey, "")
				var listed []any
				for _, event := range items(list) {
					listed = append(listed, event["id"])
				}
				for _, id := range ids {
					if !slices.Contains(listed, id) {
						m.Errorf("%v is not among %v", id, listed)
					}
				}
				if len(listed) != test.ids {
					m.Errorf("%d events are listed, want %d", len(listed), test.ids)
				}
			})
		})
	}
}

func TestPostCloudEvent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.subscribe()
		accepted, _ := m.do(202, "POST", "/v1/events", adminKey,
			`{"specversion":"1.0","id":"c-1","source":"/fleet","type":"trip.created","time":"2026-05-12T07:41:20Z","subject":"s","ext":7,"data":{"n":1}}`,
			"Content-Type", "application/cloudevents+json; charset=utf-8")
		if accepted["id"] != "c-1" {
			m.Errorf("got %v, want the id c-1", accepted)
		}
		found, _ := m.do(200, "GET", "/v1/events/c-1", adminKey, "")
		wantObject(m.T, "event", found, `{"id":"c-1","topic":"trip.created","tenant":null,"timestamp":"2026-05-12T07:41:20.000Z",
			"accepted_at":"`+timeText(time.Now())+`","data":{"n":1},"extensions":{"source":"/fleet","subject":"s","ext":7}}`)
		settle()
		if body := string(m.attempts()[0].Event.AppendBody(nil)); !strings.Contains(body, `"extensions":{"source":"/fleet","subject":"s","ext":7}`) {
			m.Errorf("the receiver gets %s", body)
		}
	})
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	const one, other = `{"topic":"a","data":1}`, `{"topic":"a","data":2}`
	const given, changed = `{"id":"x","topic":"a","data":{"n":1}}`, `{"id":"x","topic":"a","data":{"n": 1}}`
	type post struct {
		after           time.Duration
		body, key       string // key is the Idempotency-Key
		status          int
		replayed, fresh bool // fresh: another answer than the first
	}
	for _, test := range []struct {
		name   string
		posts  []post
		events int
	}{
		{"an id again", []post{{body: given, status: 202}, {body: given, status: 202, replayed: true}}, 1},
		{"an id for other data", []post{{body: given, status: 202}, {body: changed, status: 409}}, 1},
		{"an id for another topic", []post{{body: given, status: 202}, {body: `{"id":"x","topic":"b","data":{"n":1}}`, status: 409}}, 1},
		{"an id for another tenant", []post{{body: given, status: 202}, {body: `{"id":"x","topic":"a","tenant":"t","data":{"n":1}}`, status: 409}}, 1},
		{"an id just within the window", []post{{body: given, status: 202}, {after: day - time.Millisecond, body: given, status: 202, replayed: true}}, 1},
		{"an id after the window", []post{{body: given, status: 202}, {after: day, body: changed, status: 202}}, 2},
		{"a key again", []post{{body: one, key: "k", status: 202}, {body: one, key: "k", status: 202, replayed: true}}, 1},
		{"a key for another request", []post{{body: one, key: "k", status: 202}, {body: other, key: "k", status: 409}}, 1},
		{"another key", []post{{body: one, key: "k", status: 202}, {body: one, key: "l", status: 202, fresh: true}}, 2},
		{"no key", []post{{body: one, status: 202}, {body: one, status: 202, fresh: true}}, 2},
		{"a key after the window", []post{{body: one, key: "k", status: 202}, {after: day, body: one, key: "k", status: 202, fresh: true}}, 2},
		{"a batch with a key again", []post{{body: "[" + one + "," + other + "]", key: "k", status: 202}, {body: "[" + one + "," + other + "]", key: "k", status: 202, replayed: true}}, 2},
		{"a batch with a key, other events", []post{{body: "[" + one + "," + other + "]", key: "k", status: 202}, {body: "[" + other + "," + one + "]", key: "k", status: 409}}, 2},
		{"a batch with an id that is known", []post{{body: given, status: 202}, {body: "[" + given + "," + one + "]", status: 202, fresh: true}}, 2},
		{"a batch of ids that are known", []post{{body: "[" + given + "]", status: 202}, {body: "[" + given + "]", status: 202, replayed: true}}, 1},
		{"a batch with an id for other data", []post{{body: given, status: 202}, {body: "[" + one + "," + changed + "]", status: 409}}, 1},
		{"a batch that contradicts itself", []post{{body: "[" + given + "," + changed + "]", status: 409}}, 0},
		{"an id and a key", []post{{body: given, key: "k", status: 202}, {body: given, key: "k", status: 202, replayed: true}, {body: given, status: 202, replayed: true}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(m *member) {
				first := ""
				for n, post := range test.posts {
					if post.after > 0 {
						<-time.After(post.after)
					}
					w := ask(m.T, m.server, "POST", "/v1/events", adminKey, post.body, "Idempotency-Key", post.key)
					if replayed := w.Header().Get("Idempotency-Replayed") == "true"; w.Code != post.status || replayed != post.replayed {
						m.Fatalf("post %d: got %d %s, replayed %v; want %d, %v", n, w.Code, w.Body, replayed, post.status, post.replayed)
					}
					switch {
					case post.status == 409:
						problemOf(m.T, w)
					case n == 0:
						first = w.Body.String()
					case post.replayed && w.Body.String() != first:
						m.Errorf("post %d answers %s, the first %s", n, w.Body, first)
					case post.fresh && w.Body.String() == first:
						m.Errorf("post %d answers as the first: %s", n, first)
					}
				}
				list, _ := m.do(200, "GET", "/v1/events", adminKey, "")
				if got := len(items(list)); got != test.events {
					m.Errorf("%d events are kept, want %d", got, test.events)
				}
			})
		})
	}
}

const day = 24 * time.Hour

func TestRefusalsOfTheEngineRoom(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.subscribe()
		m.full.Store(true)
		for _, body := range []string{`{"topic":"a","data":1}`, `[{"topic":"a","data":1},{"id":"x","topic":"a","data":1}]`} {
			p := m.refused(507, "POST", "/v1/events", adminKey, body)
			if p.Code != "storage_full" {
				m.Errorf("got %+v", p)
			}
		}
		w := ask(m.T, m.server, "POST", "/v1/events", adminKey, `{"topic":"a","data":1}`)
		if w.Header().Get("Retry-After") != "30" {
			m.Errorf("Retry-After is %q, want 30", w.Header().Get("Retry-After"))
		}
		m.full.Store(false)
		// What was refused may be posted again, with the same id.
		m.do(202, "POST", "/v1/events", adminKey, `{"id":"x","topic":"a","data":2}`)
		list, _ := m.do(200, "GET", "/v1/events", adminKey, "")
		if got := len(items(list)); got != 1 {
			m.Errorf("%d events are kept, want 1", got)
		}
	})
}

// pages walks a list by its cursor, and checks that the Link says the same.
func (m *member) pages(target string, limit int) (ids []string) {
	m.Helper()
	u, err := url.Parse(target)
	if err != nil {
		m.Fatal(err)
	}
	query := u.Query()
	query.Set("limit", fmt.Sprint(limit))
	u.RawQuery = query.Encode()
	for next := u.String(); next != ""; {
		list, w := m.do(200, "GET", next, adminKey, "")
		data := items(list)
		if len(data) > limit {
			m.Fatalf("%s: %d items, want %d at most", next, len(data), limit)
		}
		for _, item := range data {
			id := text(item["id"])
			if number, ok := item["number"].(float64); ok {
				id = fmt.Sprint(number)
			}
			ids = append(ids, id)
		}
		link, cursor := w.Header().Get("Link"), text(list["next_cursor"])
		if _, there := list["next_cursor"]; !there || (link == "") != (cursor == "") {
			m.Fatalf("%s: next_cursor %v, Link %q", next, list["next_cursor"], link)
		}
		if cursor == "" {
			return ids
		}
		query.Set("cursor", cursor)
		if next = u.Path + "?" + query.Encode(); link != "<"+next+`>; rel="next"` {
			m.Fatalf("Link is %s, want %s", link, next)
		}
		if len(data) == 0 {
			m.Fatalf("%s: an empty page with a next", next)
		}
	}
	return ids
}

func TestEveryListPages(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.answer(500)
		var subs, events []string
		for range 5 {
			subs = append(subs, m.subscribe())
			m.key("viewer", "")
		}
		for n := range 7 {
			if n%3 == 0 { // some share an accept time
				pass(time.Millisecond)
			}
			events = append(events, m.publish("trip.created"))
		}
		pass(time.Minute) // a few attempts each
		list, _ := m.do(200, "GET", "/v1/events/"+events[0]+"/deliveries", adminKey, "")
		delivery := text(items(list)[0]["id"])
		for _, test := range []struct {
			target string
			want   int
		}{
			{"/v1/subscriptions", 5},
			{"/v1/keys", 5},
			{"/v1/events", 7},
			{"/v1/events?topic=trip.created&since=1999-12-31T00:00:00Z", 7},
			{"/v1/events/" + events[0] + "/deliveries", 5},
			{"/v1/subscriptions/" + subs[0] + "/deliveries", 7},
			{"/v1/subscriptions/" + subs[0] + "/deliveries?state=waiting", 7},
			{"/v1/subscriptions/" + subs[0] + "/events", 7},
			{"/v1/subscriptions/" + subs[0] + "/events?state=undelivered", 7},
			{"/v1/deliveries/" + delivery + "/attempts", 3},
		} {
			whole := m.pages(test.target, 1000)
			if len(whole) != test.want || len(slices.Compact(slices.Sorted(slices.Values(whole)))) != test.want {
				m.Errorf("%s lists %v, want %d", test.target, whole, test.want)
			}
			for _, limit := range []int{1, 2, 3, test.want} {
				if got := m.pages(test.target, limit); !slices.Equal(got, whole) {
					m.Errorf("%s by %d: got %v, want %v", test.target, limit, got, whole)
				}
			}
		}
		if got := m.pages("/v1/events", 1000); !slices.Equal(got[:1], events[:1]) || !slices.Equal(got[6:], events[6:]) {
			m.Errorf("the events are listed as %v, want the newest last: %v", got, events)
		}
	})
}

func TestWindowsAreHalfOpen(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		sub := m.subscribe()
		var ids []string
		begin := time.Now()
		for range 4 { // at 0, 10, 20 and 30 ms
			ids = append(ids, m.publish("trip.created"))
			pass(10 * time.Millisecond)
		}
		at := func(ms int) string { return timeText(begin.Add(time.Duration(ms) * time.Millisecond)) }
		for _, test := range []struct {
			query string
			want  []string
		}{
			{"since=" + at(10), ids[1:]},
			{"since=" + at(11), ids[2:]},
			{"until=" + at(20), ids[:2]},
			{"until=" + at(21), ids[:3]},
			{"since=" + at(10) + "&until=" + at(30), ids[1:3]},
			{"since=" + at(10) + "&until=" + at(10), nil},
			{"since=" + at(30) + "&until=" + at(0), nil},
			{"since=" + url.QueryEscape(begin.Add(10*time.Millisecond).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)), ids[1:]},
		} {
			for _, target := range []string{"/v1/events?", "/v1/subscriptions/" + sub + "/events?"} {
				if got := m.pages(target+test.query, 50); !slices.Equal(got, test.want) {
					m.Errorf("%s%s: got %v, want %v", target, test.query, got, test.want)
				}
			}
			list, _ := m.do(200, "GET", "/v1/subscriptions/"+sub+"/deliveries?"+test.query, adminKey, "")
			if got := len(items(list)); got != len(test.want) {
				m.Errorf("deliveries %s: got %d, want %d", test.query, got, len(test.want))
			}
			counted, _ := m.do(200, "POST", "/v1/subscriptions/"+sub+"/replay", adminKey, replayOf(test.query))
			if counted["count"] != float64(len(test.want)) {
				m.Errorf("replay %s counts %v, want %d", test.query, counted["count"], len(test.want))
			}
		}
	})
}

// replayOf is the dry run of a replay over the window of a query.
func replayOf(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	body := `{"state":"all","dry_run":true`
	for name := range values {
		body += `,"` + name + `":"` + values.Get(name) + `"`
	}
	return body + "}"
}
