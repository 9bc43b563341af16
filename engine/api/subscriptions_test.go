package api_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

// timeText is how a moment of the bubble is answered.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// wantObject compares an answer with what it must be, member by member.
func wantObject(t *testing.T, what string, got object, want string) {
	t.Helper()
	var wanted object
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for name, value := range wanted {
		if !reflect.DeepEqual(got[name], value) {
			t.Errorf("%s: %s is %v, want %v", what, name, got[name], value)
		}
	}
	for name := range got {
		if _, known := wanted[name]; !known {
			t.Errorf("%s: there is a member %s (%v)", what, name, got[name])
		}
	}
}

func TestSubscriptionWithDefaults(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		made, w := m.do(201, "POST", "/v1/subscriptions", adminKey, `{"url":"https://city.example/hooks/bikes","topics":["trip.created","trip.*"]}`)
		id, secret := text(made["id"]), text(made["secret"])
		if !strings.HasPrefix(id, "sub_") || !strings.HasPrefix(secret, "whsec_") || w.Header().Get("Location") != "/v1/subscriptions/"+id {
			m.Errorf("id %q, secret %q, Location %q", id, secret, w.Header().Get("Location"))
		}
		want := `{"id":"` + id + `","url":"https://city.example/hooks/bikes","topics":["trip.created","trip.*"],"tenant":"default",
			"description":"","enabled":true,"headers":{},"retry":{"max_retries":5,"min_delay":"10s","max_delay":"30m"},
			"timeout":"30s","success":"below_400","limits":{"max_in_flight":64,"rate_per_second":0},"disable_on_gone":false,
			"created_at":"` + timeText(time.Now()) + `","updated_at":"` + timeText(time.Now()) + `","version":1,"owner":"mem_test",
			"state":"healthy","pending":0,"oldest_pending_at":null`
		wantObject(m.T, "made", made, want+`,"secret":"`+secret+`"}`)
		found, _ := m.do(200, "GET", "/v1/subscriptions/"+id, adminKey, "")
		wantObject(m.T, "found", found, want+"}")
		list, _ := m.do(200, "GET", "/v1/subscriptions", adminKey, "")
		if all := items(list); len(all) != 1 || list["next_cursor"] != nil {
			m.Errorf("the list is %v", list)
		} else {
			wantObject(m.T, "listed", all[0], want+"}")
		}
	})
}

const fullSubscription = `{"url":"https://city.example:8443/hooks?a=b","topics":["*"],"tenant":"nantes","description":"City dashboard",
	"enabled":false,"headers":{"X-City":"nantes","Authorization":"Basic abc"},
	"retry":{"max_retries":0,"min_delay":"1s","max_delay":"24h"},"timeout":"1500ms","success":"2xx",
	"limits":{"max_in_flight":1024,"rate_per_second":0.1},"disable_on_gone":true`

func TestSubscriptionWithEverything(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		made, _ := m.do(201, "POST", "/v1/subscriptions", adminKey, fullSubscription+`,"secret":"`+secretText+`"}`)
		if made["secret"] != secretText || made["state"] != "disabled" {
			m.Errorf("secret %v, state %v", made["secret"], made["state"])
		}
		for _, name := range []string{"id", "secret", "created_at", "updated_at", "version", "owner", "state", "pending", "oldest_pending_at"} {
			delete(made, name)
		}
		want := strings.Replace(fullSubscription, "1500ms", "1.5s", 1) + "}"
		wantObject(m.T, "made", made, want)
	})
}

func TestMergePatch(t *testing.T) {
	t.Parallel()
	const merge = "application/merge-patch+json"
	for _, test := range []struct{ name, patch, want string }{
		{"nothing", `{}`, `{}`},
		{"one member", `{"enabled":true}`, `{"enabled":true}`},
		{"lists are replaced", `{"topics":["a","b.*"]}`, `{"topics":["a","b.*"]}`},
		{"objects are merged", `{"retry":{"max_retries":7},"limits":{"max_in_flight":3}}`, `{"retry":{"max_retries":7,"min_delay":"1s","max_delay":"24h"},"limits":{"max_in_flight":3,"rate_per_second":0.1}}`},
		{"a header is added and one goes", `{"headers":{"X-Add":"1","X-City":null}}`, `{"headers":{"Authorization":"Basic abc","X-Add":"1"}}`},
		{"all headers go", `{"headers":null}`, `{"headers":{}}`},
		{
			"null is the default", `{"description":null,"enabled":null,"retry":null,"timeout":null,"success":null,"limits":{"rate_per_second":null},"disable_on_gone":null}`,
			`{"description":"","enabled":true,"retry":{"max_retries":5,"min_delay":"10s","max_delay":"30m"},"timeout":"30s","success":"below_400","limits":{"max_in_flight":1024,"rate_per_second":0},"disable_on_gone":false}`,
		},
		{"the tenant as it is", `{"tenant":"nantes"}`, `{}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(m *member) {
				made, _ := m.do(201, "POST", "/v1/subscriptions", adminKey, fullSubscription+"}")
				pass(time.Minute)
				target := "/v1/subscriptions/" + text(made["id"])
				changed, _ := m.do(200, "PATCH", target, adminKey, test.patch, "Content-Type", merge)
				delete(made, "secret")
				made["version"], made["updated_at"] = 2.0, timeText(time.Now())
				var want object
				if err := json.Unmarshal([]byte(test.want), &want); err != nil {
					m.Fatal(err)
				}
				maps.Copy(made, want)
				if made["enabled"] == true {
					made["state"] = "healthy"
				}
				if !reflect.DeepEqual(changed, made) {
					m.Errorf("\n got %v\nwant %v", changed, made)
				}
				again, _ := m.do(200, "GET", target, adminKey, "")
				if !reflect.DeepEqual(again, changed) {
					m.Errorf("read again:\n got %v\nwant %v", again, changed)
				}
			})
		})
	}
}

func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		made, _ := m.do(201, "POST", "/v1/subscriptions", adminKey, subscriptionBody)
		target := "/v1/subscriptions/" + text(made["id"])
		_, found := m.do(200, "GET", target, adminKey, "")
		_, listed := m.do(200, "GET", "/v1/subscriptions", adminKey, "")
		_, changed := m.do(200, "PATCH", target, adminKey, `{"secret":"`+secretText+`"}`)
		for _, w := range []string{found.Body.String(), listed.Body.String(), changed.Body.String()} {
			if strings.Contains(w, "whsec_") || strings.Contains(w, `"secret"`) {
				m.Errorf("a secret is shown: %s", w)
			}
		}
		m.publish("trip.created")
		settle()
		for _, attempt := range m.attempts() {
			if secrets := attempt.Subscription.SecretsAt(time.Now()); len(secrets) != 1 || secrets[0].Reveal() != secretText {
				m.Error("the new secret is not the one in force")
			}
		}
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		grace      time.Duration
	}{
		{"no body", "", 24 * time.Hour},
		{"no member", `{}`, 24 * time.Hour},
		{"null", `{"grace":null}`, 24 * time.Hour},
		{"none", `{"grace":"0s"}`, 0},
		{"ninety seconds", `{"grace":"1m30s"}`, 90 * time.Second},
		{"the longest", `{"grace":"168h"}`, 168 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(m *member) {
				made, _ := m.do(201, "POST", "/v1/subscriptions", adminKey, subscriptionBody)
				target := "/v1/subscriptions/" + text(made["id"])
				rotated, _ := m.do(200, "POST", target+"/secret/rotate", adminKey, test.body)
				until := time.Now().Add(test.grace)
				if rotated["previous_valid_until"] != timeText(until) || rotated["secret"] == made["secret"] || !strings.HasPrefix(text(rotated["secret"]), "whsec_") {
					m.Errorf("got %v, want another secret, the old one until %s", rotated, timeText(until))
				}
				valid := func() (texts []string) {
					m.publish("trip.created")
					settle()
					sent := m.attempts()
					for _, s := range sent[len(sent)-1].Subscription.SecretsAt(time.Now()) {
						texts = append(texts, s.Reveal())
					}
					return texts
				}
				want := []string{text(rotated["secret"]), text(made["secret"])}
				if test.grace == 0 {
					want = want[:1]
				}
				if got := valid(); !reflect.DeepEqual(got, want) {
					m.Errorf("signed with %d secrets, want %d", len(got), len(want))
				}
				if test.grace > time.Hour {
					return // the member's own rhythm makes that long in real time too
				}
				pass(test.grace)
				if got := valid(); !reflect.DeepEqual(got, want[:1]) {
					m.Errorf("after the grace signed with %d secrets, want the new one", len(got))
				}
			})
		})
	}
}

func TestTestEventGoesToOneEndpointOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.subscribe()
		sub := m.subscribe(`"description":"the one"`)
		sent, _ := m.do(202, "POST", "/v1/subscriptions/"+sub+"/test", adminKey, "")
		settle()
		attempts := m.attempts()
		if len(attempts) != 1 || string(attempts[0].Subscription.ID) != sub || attempts[0].Event.Topic != "pannier.test" {
			m.Fatalf("%d attempts, want one of pannier.test to %s", len(attempts), sub)
		}
		if sent["event_id"] != attempts[0].Event.ID || len(sent) != 1 {
			m.Errorf("got %v, want event_id %s", sent, attempts[0].Event.ID)
		}
	})
}

func TestHeaderValuesAreMaskedForViewers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		sub := m.subscribe(`"headers":{"Authorization":"Basic hidden","X-City":"nantes"}`)
		viewer, subscriber := m.key("viewer", ""), m.key("subscriber", "default")
		for _, target := range []string{"/v1/subscriptions/" + sub, "/v1/subscriptions"} {
			_, w := m.do(200, "GET", target, viewer, "")
			if body := w.Body.String(); strings.Contains(body, "hidden") || !strings.Contains(body, `"headers":{"Authorization":"***","X-City":"***"}`) {
				m.Errorf("%s shows a viewer %s", target, body)
			}
			for _, key := range []string{subscriber, adminKey} {
				if _, w := m.do(200, "GET", target, key, ""); !strings.Contains(w.Body.String(), "Basic hidden") {
					m.Errorf("%s hides the headers from their owner: %s", target, w.Body)
				}
			}
		}
	})
}

func TestTenants(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		nantes, lyon := m.key("subscriber", "nantes"), m.key("subscriber", "lyon")
		publisher, bound := m.key("publisher", ""), m.key("publisher", "nantes")
		made, _ := m.do(201, "POST", "/v1/subscriptions", nantes, `{"url":"https://nantes.example","topics":["*"]}`)
		if made["tenant"] != "nantes" {
			m.Errorf("the key's tenant is not the default: %v", made["tenant"])
		}
		ofNantes := text(made["id"])
		made, _ = m.do(201, "POST", "/v1/subscriptions", lyon, `{"url":"https://lyon.example","topics":["*"],"tenant":"lyon"}`)
		ofLyon := text(made["id"])
		for key, want := range map[string]string{nantes: ofNantes, lyon: ofLyon} {
			list, _ := m.do(200, "GET", "/v1/subscriptions", key, "")
			if all := items(list); len(all) != 1 || all[0]["id"] != want {
				m.Errorf("a subscriber sees %v, want %s alone", all, want)
			}
		}
		for _, post := range []struct{ key, tenant, want string }{
			{publisher, "", ofNantes + " " + ofLyon},
			{publisher, "lyon", ofLyon},
			{publisher, "elsewhere", ""},
			{bound, "", ofNantes},
			{bound, "nantes", ofNantes},
		} {
			body := `{"topic":"a","data":1}`
			if post.tenant != "" {
				body = `{"topic":"a","data":1,"tenant":"` + post.tenant + `"}`
			}
			before := len(m.attempts())
			m.do(202, "POST", "/v1/events", post.key, body)
			settle()
			var got []string
			for _, attempt := range m.attempts()[before:] {
				got = append(got, string(attempt.Subscription.ID))
			}
			if len(got) != len(strings.Fields(post.want)) || len(got) == 1 && got[0] != post.want {
				m.Errorf("an event of tenant %q went to %v, want %s", post.tenant, got, post.want)
			}
		}
	})
}

func TestDeletedSubscription(t *testing.T) {
	t.Parallel()
	inBubble(t, func(m *member) {
		m.answer(500)
		sub := m.subscribe()
		m.publish("trip.created")
		settle()
		target := "/v1/subscriptions/" + sub
		pending, _ := m.do(200, "GET", target, adminKey, "")
		if pending["state"] != "retrying" || pending["pending"] != 1.0 || pending["oldest_pending_at"] != timeText(time.Now()) {
			m.Errorf("while an attempt failed: %v", pending)
		}
		if _, w := m.do(204, "DELETE", target, adminKey, ""); w.Body.Len() > 0 {
			m.Errorf("204 with a body: %s", w.Body)
		}
		m.publish("trip.created")
		pass(time.Hour)
		if got := len(m.attempts()); got != 1 {
			m.Errorf("%d attempts, want none after the end", got)
		}
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			m.refused(404, method, target, adminKey, map[string]string{"PATCH": `{}`}[method])
		}
	})
}
