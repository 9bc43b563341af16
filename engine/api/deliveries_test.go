package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// schedule is as long as the default retry schedule can take.
const schedule = 50 * time.Minute

func TestDeliveryFromAcceptToDeadLetterAndBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.answer(503)
		sub := m.subscribe()
		accepted := timeText(time.Now())
		event := m.publish("trip.created")
		settle()
		list, _ := m.do(200, "GET", "/v1/subscriptions/"+sub+"/deliveries", adminKey, "")
		delivery := items(list)[0]
		id := text(delivery["id"])
		begin := `{"id":"` + id + `","event_id":"` + event + `","subscription_id":"` + sub + `","topic":"trip.created","accepted_at":"` + accepted + `",`
		wantObject(m.T, "after one attempt", delivery, begin+`"state":"waiting","reason":null,"attempts":1,
			"next_attempt_at":"`+timeText(time.Now().Add(10*time.Second))+`","delivered_at":null,"last_outcome":"failure","last_status":503}`)
		m.refused(409, "POST", "/v1/deliveries/"+id+"/retry", adminKey, "")

		pass(schedule)
		dead := begin + `"state":"dead","reason":"exhausted","attempts":6,"next_attempt_at":null,"delivered_at":null,"last_outcome":"failure","last_status":503}`
		one, _ := m.do(200, "GET", "/v1/deliveries/"+id, adminKey, "")
		wantObject(m.T, "dead", one, dead)
		for _, target := range []string{"/v1/events/" + event + "/deliveries", "/v1/subscriptions/" + sub + "/deliveries?state=dead"} {
			list, _ := m.do(200, "GET", target, adminKey, "")
			wantObject(m.T, target, items(list)[0], dead)
		}
		list, _ = m.do(200, "GET", "/v1/deliveries/"+id+"/attempts", adminKey, "")
		first := items(list)[0]
		wantObject(m.T, "attempt", first, `{"number":1,"started_at":"`+accepted+`","duration_ms":0,"outcome":"failure","status":503,"error":null,"response_excerpt":"","trace_id":null}`)
		if len(items(list)) != 6 {
			m.Errorf("%d attempts, want 6", len(items(list)))
		}

		// A manual retry is one attempt: it fails, and the delivery is dead again.
		retried, _ := m.do(202, "POST", "/v1/deliveries/"+id+"/retry", adminKey, "")
		wantObject(m.T, "retry", retried, `{"id":"`+id+`"}`)
		pass(schedule)
		one, _ = m.do(200, "GET", "/v1/deliveries/"+id, adminKey, "")
		wantObject(m.T, "dead again", one, strings.Replace(dead, `"attempts":6`, `"attempts":7`, 1))
		m.answer(204)
		m.do(202, "POST", "/v1/deliveries/"+id+"/retry", adminKey, "")
		settle()
		delivered := timeText(time.Now())
		one, _ = m.do(200, "GET", "/v1/deliveries/"+id, adminKey, "")
		wantObject(m.T, "delivered", one, begin+`"state":"delivered","reason":null,"attempts":8,"next_attempt_at":null,
			"delivered_at":"`+delivered+`","last_outcome":"success","last_status":204}`)
		// A delivered one may be sent once more.
		m.do(202, "POST", "/v1/deliveries/"+id+"/retry", adminKey, "")
		settle()
		if got := len(m.attempts()); got != 9 {
			m.Errorf("%d attempts, want 9", got)
		}
	})
}

func TestReplay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		sub := m.subscribe(`"retry":{"max_retries":0}`)
		target := "/v1/subscriptions/" + sub + "/replay"
		for _, topic := range []string{"trip.created", "trip.ended", "fleet.moved"} {
			m.publish(topic) // delivered
		}
		settle()
		m.answer(500)
		for _, topic := range []string{"trip.created", "fleet.moved"} {
			m.publish(topic) // dead
		}
		pass(time.Millisecond) // a replay goes up to now, not through it
		m.answer(200)
		for _, test := range []struct {
			body  string
			count float64
		}{
			{`{"dry_run":true}`, 2},
			{`{"dry_run":true,"state":"dead"}`, 2},
			{`{"dry_run":true,"state":"dead","topics":["trip.*"]}`, 1},
			{`{"dry_run":true,"state":"all"}`, 5},
			{`{"dry_run":true,"state":"all","topics":["trip.created","fleet.*"]}`, 4},
			{`{"dry_run":true,"state":"all","topics":[]}`, 5},
			{`{"dry_run":true,"state":"all","topics":["other"]}`, 0},
			{`{"dry_run":true,"state":"all","since":null,"until":null,"rate_per_second":0}`, 5},
		} {
			before := len(m.attempts())
			counted, _ := m.do(200, "POST", target, adminKey, test.body)
			settle()
			if counted["count"] != test.count || len(counted) != 1 || len(m.attempts()) != before {
				m.Errorf("%s answers %v and makes %d attempts; want %v and none", test.body, counted, len(m.attempts())-before, test.count)
			}
		}
		for _, test := range []struct {
			body  string
			count int
		}{
			{"", 2}, {`{"state":"all","topics":["trip.*"]}`, 3}, {`{"state":"dead"}`, 0}, {`{"state":"all","rate_per_second":100000}`, 5},
		} {
			before := len(m.attempts())
			begun, _ := m.do(202, "POST", target, adminKey, test.body)
			pass(time.Second)
			if begun["count"] != float64(test.count) || !strings.HasPrefix(text(begun["replay_id"]), "rpl_") {
				m.Errorf("%s answers %v, want %d", test.body, begun, test.count)
			}
			if got := len(m.attempts()) - before; got != test.count {
				m.Errorf("%s makes %d attempts, want %d", test.body, got, test.count)
			}
		}
	})
}

func TestReplayKeepsToItsRate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		sub := m.subscribe()
		for range 10 {
			m.publish("trip.created")
		}
		pass(time.Millisecond)
		m.do(202, "POST", "/v1/subscriptions/"+sub+"/replay", adminKey, `{"state":"all","rate_per_second":2}`)
		for seconds := 1; seconds <= 4; seconds++ {
			pass(time.Second)
			if got := len(m.attempts()) - 10; got < 2*seconds-1 || got > 2*seconds+1 {
				m.Errorf("%d attempts after %d s, want two a second", got, seconds)
			}
		}
	})
}

func TestReconciliationFeed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		before := m.publish("trip.created")
		pass(time.Millisecond)
		sub := m.subscribe(`"retry":{"max_retries":1}`)
		target := "/v1/subscriptions/" + sub + "/events"
		good := m.publish("trip.created", `"timestamp":"2026-05-12T07:41:20Z"`)
		goodAt := timeText(time.Now())
		pass(time.Millisecond)
		m.answer(500)
		bad := m.publish("trip.ended")
		badAt := timeText(time.Now())
		pass(time.Millisecond)
		m.do(202, "POST", "/v1/subscriptions/"+sub+"/test", adminKey, "") // not part of the feed
		pass(time.Hour)

		list, _ := m.do(200, "GET", target, adminKey, "")
		feed := items(list)
		if len(feed) != 2 || feed[0]["id"] != good || feed[1]["id"] != bad {
			m.Fatalf("the feed is %v, want %s and %s without %s", feed, good, bad, before)
		}
		delivery := func(item object) (id string) {
			d, _ := item["delivery"].(object)
			return text(d["id"])
		}
		wantObject(m.T, "delivered", feed[0], `{"id":"`+good+`","topic":"trip.created","timestamp":"2026-05-12T07:41:20.000Z","accepted_at":"`+goodAt+`","data":{"n":1},
			"delivery":{"id":"`+delivery(feed[0])+`","state":"delivered","attempts":1,"delivered_at":"`+goodAt+`"}}`)
		wantObject(m.T, "dead", feed[1], `{"id":"`+bad+`","topic":"trip.ended","timestamp":"`+badAt+`","accepted_at":"`+badAt+`","data":{"n":1},
			"delivery":{"id":"`+delivery(feed[1])+`","state":"dead","attempts":2,"delivered_at":null}}`)
		if got := m.pages(target+"?state=undelivered", 50); !slices.Equal(got, []string{bad}) {
			m.Errorf("undelivered: %v, want %s", got, bad)
		}

		// A consumer that was down for an hour gets all it missed by a replay.
		m.answer(200)
		m.do(202, "POST", "/v1/subscriptions/"+sub+"/replay", adminKey, `{"topics":["trip.*"]}`)
		pass(time.Second)
		if got := m.pages(target+"?state=undelivered", 50); len(got) != 0 {
			m.Errorf("undelivered after the replay: %v", got)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		made, _ := m.do(201, "POST", "/v1/keys", adminKey, `{"role":"publisher","tenant":"nantes","name":"fleet backend"}`)
		id, key := text(made["id"]), text(made["key"])
		want := `{"id":"` + id + `","role":"publisher","tenant":"nantes","name":"fleet backend","created_at":"` + timeText(time.Now()) + `"`
		wantObject(m.T, "made", made, want+`,"key":"`+key+`"}`)
		list, w := m.do(200, "GET", "/v1/keys", adminKey, "")
		if all := items(list); len(all) != 1 || strings.Contains(w.Body.String(), key) {
			m.Fatalf("listed: %s", w.Body)
		}
		wantObject(m.T, "listed", items(list)[0], want+"}")
		m.do(202, "POST", "/v1/events", key, `{"topic":"a","data":1}`)
		m.do(204, "DELETE", "/v1/keys/"+id, adminKey, "")
		m.refused(401, "POST", "/v1/events", key, `{"topic":"a","data":1}`)
		m.refused(404, "DELETE", "/v1/keys/"+id, adminKey, "")
		for _, role := range []string{"admin", "viewer", "publisher"} {
			made, _ = m.do(201, "POST", "/v1/keys", adminKey, `{"role":"`+role+`"}`)
			if made["tenant"] != nil || made["name"] != "" {
				m.Errorf("%s: %v, want no tenant and no name", role, made)
			}
		}
	})
}

func TestOperations(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.answer(500)
		m.subscribe()
		m.publish("trip.created")
		settle()
		start := timeText(time.Now())
		cluster, _ := m.do(200, "GET", "/v1/cluster", adminKey, "")
		members, _ := cluster["members"].([]any)
		if len(members) != 1 {
			m.Fatalf("cluster: %v", cluster)
		}
		one, _ := members[0].(object)
		wantObject(m.T, "member", one, `{"id":"mem_test","address":"127.0.0.1:8080","state":"active","boot":1,"started_at":"`+start+`",
			"owned_shards":1024,"owned_subscriptions":1,"replicas":1024,"backlog":1,"lag":{}}`)
		cluster["members"] = nil
		wantObject(m.T, "cluster", cluster, `{"name":"`+text(cluster["name"])+`","replication":1,"shards":1024,"under_replicated":0,"members":null}`)

		lanes, _ := m.do(200, "GET", "/v1/lanes", adminKey, "")
		if all := items(lanes); len(all) != 1 || all[0]["name"] != "shared" || all[0]["retention"] != "72h" || all[0]["backlog"] != 0.0 {
			m.Errorf("lanes: %v", lanes)
		}
		for _, name := range []string{"name", "topics", "promoted", "events_per_second", "backlog", "oldest_age_ms", "in_flight", "retention"} {
			if _, there := items(lanes)[0][name]; !there {
				m.Errorf("a lane has no %s", name)
			}
		}
		stats, _ := m.do(200, "GET", "/v1/stats", adminKey, "")
		wantObject(m.T, "stats", stats, `{"accepted":1,"matched":1,"delivered":0,"retried":0,"dead":0,"pending":1,"waiting":1,"attempting":0}`)
		pass(schedule)
		stats, _ = m.do(200, "GET", "/v1/stats", adminKey, "")
		wantObject(m.T, "stats", stats, `{"accepted":1,"matched":1,"delivered":0,"retried":5,"dead":1,"pending":0,"waiting":0,"attempting":0}`)
		alive, _ := m.do(200, "GET", "/healthz", "", "")
		wantObject(m.T, "health", alive, `{"status":"alive"}`)
		ready, _ := m.do(200, "GET", "/readyz", "", "")
		wantObject(m.T, "readiness", ready, `{"ready":true,"reasons":[],"warnings":[]}`)
	})
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	twin := newTwin()
	twin.ready.Ready, twin.ready.Reasons, twin.ready.Warnings = false, []string{"the storage is full"}, []string{"lane shared: records 3 to 4 are damaged"}
	w := ask(t, newServer(twin), "GET", "/readyz", "", "")
	want := `{"ready":false,"reasons":["the storage is full"],"warnings":["lane shared: records 3 to 4 are damaged"]}` + "\n"
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Body.String() != want {
		t.Errorf("got %d %s, Retry-After %q; want 503 %s", w.Code, w.Body, w.Header().Get("Retry-After"), want)
	}
}
