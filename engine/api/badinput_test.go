package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pannier/engine"
	"pannier/engine/api"
)

// badInput is one request that must be refused: what is asked, by whom, and the refusal.
// Nothing may be stored by any of them.
type badInput struct {
	name     string
	method   string // POST when empty
	target   string // {sub}, {event} and {delivery} stand for what is there; /v1/events when empty
	key      string // the admin's when empty; "none" for none at all
	body     string
	headers  []string // name, value; an empty value takes the header away
	status   int
	code     engine.Code
	pointers string // of errors, separated by spaces; "." is the whole body
}

// refuseAll makes every request against one member and looks afterwards that it is as it
// was.
func refuseAll(t *testing.T, rows []badInput) {
	t.Helper()
	inBubble(t, func(m *member) {
		sub := m.subscribe()
		event := m.publish("trip.created", `"tenant":"default"`)
		settle()
		list, _ := m.do(200, "GET", "/v1/events/"+event+"/deliveries", adminKey, "")
		fill := strings.NewReplacer("{sub}", sub, "{event}", event, "{delivery}", text(items(list)[0]["id"]))
		keys := map[string]string{"": adminKey, "none": ""}
		for name, made := range map[string][2]string{
			"viewer": {"viewer", ""}, "publisher": {"publisher", ""}, "nantes publisher": {"publisher", "nantes"},
			"nantes subscriber": {"subscriber", "nantes"}, "subscriber": {"subscriber", "default"},
		} {
			keys[name] = m.key(made[0], made[1])
		}
		before := m.everything()
		for _, row := range rows {
			key, known := keys[row.key]
			if !known {
				key = row.key
			}
			w := ask(m.T, m.server, orElse(row.method, "POST"), fill.Replace(orElse(row.target, "/v1/events")), key, row.body, row.headers...)
			if w.Code != row.status {
				m.Errorf("%s: got %d %s, want %d", row.name, w.Code, w.Body, row.status)
				continue
			}
			p := problemOf(m.T, w)
			if p.Code != row.code || pointersOf(p) != row.pointers {
				m.Errorf("%s: got %s at %q (%s), want %s at %q", row.name, p.Code, pointersOf(p), p.Detail, row.code, row.pointers)
			}
			if leak := leaked(w.Body.String()); leak != "" {
				m.Errorf("%s: the answer tells %q", row.name, leak)
			}
		}
		settle()
		if after := m.everything(); after != before {
			m.Errorf("something was stored:\nbefore %s\nafter  %s", before, after)
		}
	})
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func pointersOf(p api.Problem) string {
	var pointers []string
	for _, f := range p.Errors {
		pointers = append(pointers, orElse(f.Pointer, "."))
	}
	return strings.Join(pointers, " ")
}

// leaked finds what must never be in an answer: Go's words and a given secret.
func leaked(body string) string {
	for _, word := range []string{"goroutine", "engine.", "api.", "json:", "strconv", "0x", secretText, strings.TrimPrefix(secretText, "whsec_")} {
		if strings.Contains(body, word) {
			return word
		}
	}
	return ""
}

const secretText = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

// everything is what the member has stored, to compare.
func (m *member) everything() string {
	_, next := m.journal.Bounds()
	all := fmt.Sprintf("next %d, attempts %d", next, len(m.attempts()))
	for _, target := range []string{"/v1/subscriptions", "/v1/keys", "/v1/stats"} {
		_, w := m.do(200, "GET", target, adminKey, "")
		all += "\n" + w.Body.String()
	}
	return all
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	const good = `{"topic":"trip.created","data":1}`
	const invalid, json404 = engine.CodeInvalid, engine.CodeNotFound
	refuseAll(t, []badInput{
		// Keys.
		{name: "no key", key: "none", body: good, status: 401, code: engine.CodeUnauthorized},
		{name: "wrong key", key: "nobody's", body: good, status: 401, code: engine.CodeUnauthorized},
		{name: "key in the query", target: "/v1/events?api_key=" + adminKey, key: "none", body: good, status: 401, code: engine.CodeUnauthorized},
		{name: "another scheme", key: "none", body: good, headers: []string{"Authorization", "Basic " + adminKey}, status: 401, code: engine.CodeUnauthorized},
		{name: "publisher reads", method: "GET", target: "/v1/events", key: "publisher", status: 403, code: engine.CodeForbidden},
		{name: "publisher subscribes", target: "/v1/subscriptions", key: "publisher", body: subscriptionBody, status: 403, code: engine.CodeForbidden},
		{name: "viewer posts", key: "viewer", body: good, status: 403, code: engine.CodeForbidden},
		{name: "viewer changes", method: "PATCH", target: "/v1/subscriptions/{sub}", key: "viewer", body: `{}`, status: 403, code: engine.CodeForbidden},
		{name: "viewer retries", target: "/v1/deliveries/{delivery}/retry", key: "viewer", status: 403, code: engine.CodeForbidden},
		{name: "subscriber posts events", key: "subscriber", body: good, status: 403, code: engine.CodeForbidden},
		{name: "subscriber makes keys", target: "/v1/keys", key: "subscriber", body: `{"role":"admin"}`, status: 403, code: engine.CodeForbidden},
		{name: "subscriber looks at the cluster", method: "GET", target: "/v1/cluster", key: "subscriber", status: 403, code: engine.CodeForbidden},
		{name: "event of another tenant", key: "nantes publisher", body: `{"topic":"a","tenant":"lyon","data":1}`, status: 403, code: engine.CodeForbidden},
		{name: "one of a batch of another tenant", key: "nantes publisher", body: `[{"topic":"a","data":1},{"topic":"a","tenant":"lyon","data":1}]`, status: 403, code: engine.CodeForbidden},
		{name: "subscription of another tenant", target: "/v1/subscriptions", key: "nantes subscriber", body: `{"url":"https://a.example","topics":["*"],"tenant":"lyon"}`, status: 403, code: engine.CodeForbidden},

		// Ids of others and of nothing.
		{name: "foreign subscription", method: "GET", target: "/v1/subscriptions/{sub}", key: "nantes subscriber", status: 404, code: json404},
		{name: "change of a foreign subscription", method: "PATCH", target: "/v1/subscriptions/{sub}", key: "nantes subscriber", body: `{"enabled":false}`, status: 404, code: json404},
		{name: "end of a foreign subscription", method: "DELETE", target: "/v1/subscriptions/{sub}", key: "nantes subscriber", status: 404, code: json404},
		{name: "rotation of a foreign secret", target: "/v1/subscriptions/{sub}/secret/rotate", key: "nantes subscriber", status: 404, code: json404},
		{name: "test of a foreign subscription", target: "/v1/subscriptions/{sub}/test", key: "nantes subscriber", status: 404, code: json404},
		{name: "replay of a foreign subscription", target: "/v1/subscriptions/{sub}/replay", key: "nantes subscriber", status: 404, code: json404},
		{name: "deliveries of a foreign subscription", method: "GET", target: "/v1/subscriptions/{sub}/deliveries", key: "nantes subscriber", status: 404, code: json404},
		{name: "feed of a foreign subscription", method: "GET", target: "/v1/subscriptions/{sub}/events", key: "nantes subscriber", status: 404, code: json404},
		{name: "foreign event", method: "GET", target: "/v1/events/{event}", key: "nantes subscriber", status: 404, code: json404},
		{name: "deliveries of a foreign event", method: "GET", target: "/v1/events/{event}/deliveries", key: "nantes subscriber", status: 404, code: json404},
		{name: "foreign delivery", method: "GET", target: "/v1/deliveries/{delivery}", key: "nantes subscriber", status: 404, code: json404},
		{name: "attempts of a foreign delivery", method: "GET", target: "/v1/deliveries/{delivery}/attempts", key: "nantes subscriber", status: 404, code: json404},
		{name: "retry of a foreign delivery", target: "/v1/deliveries/{delivery}/retry", key: "nantes subscriber", status: 404, code: json404},
		{name: "no such subscription", method: "GET", target: "/v1/subscriptions/sub_00000000000000000000", status: 404, code: json404},
		{name: "no such event", method: "GET", target: "/v1/events/evt_00000000000000000000000000", status: 404, code: json404},
		{name: "no such delivery", method: "GET", target: "/v1/deliveries/dlv_1", status: 404, code: json404},
		{name: "no such key", method: "DELETE", target: "/v1/keys/key_1", status: 404, code: json404},
		{name: "replay of nothing", target: "/v1/subscriptions/sub_1/replay", status: 404, code: json404},
		{name: "an id of 129 characters", method: "GET", target: "/v1/events/" + strings.Repeat("a", 129), status: 404, code: json404},
		{name: "an id with a slash", method: "GET", target: "/v1/events/a%2fb", status: 404, code: json404},
		{name: "an id with a NUL", method: "GET", target: "/v1/events/%00", status: 404, code: json404},

		// Paths, methods and media types.
		{name: "unknown path", method: "GET", target: "/v1/hooks", status: 404, code: json404},
		{name: "path in another case", target: "/V1/events", body: good, status: 404, code: json404},
		{name: "path with a slash at its end", target: "/v1/events/", body: good, status: 404, code: json404},
		{name: "wrong method", method: "PUT", body: good, status: 405, code: json404},
		{name: "OPTIONS", method: "OPTIONS", status: 405, code: json404},
		{name: "Content-Type missing", body: good, headers: []string{"Content-Type", ""}, status: 415, code: engine.CodeUnsupported},
		{name: "Content-Type of a form", body: good, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: engine.CodeUnsupported},
		{name: "Content-Type text", body: good, headers: []string{"Content-Type", "text/plain"}, status: 415, code: engine.CodeUnsupported},
		{name: "charset", body: good, headers: []string{"Content-Type", "application/json; charset=latin1"}, status: 415, code: engine.CodeUnsupported},
		{name: "gzip", body: good, headers: []string{"Content-Encoding", "gzip"}, status: 415, code: engine.CodeUnsupported},
		{name: "CloudEvents in the binary mode", body: `{}`, headers: []string{"Ce-Specversion", "1.0", "Ce-Type", "a"}, status: 415, code: engine.CodeUnsupported},
		{name: "events to a subscription", target: "/v1/subscriptions", body: "{}", headers: []string{"Content-Type", "application/x-ndjson"}, status: 415, code: engine.CodeUnsupported},
		{name: "merge patch that makes", target: "/v1/subscriptions", body: "{}", headers: []string{"Content-Type", "application/merge-patch+json"}, status: 415, code: engine.CodeUnsupported},

		// Lists and their parameters.
		{name: "limit 0", method: "GET", target: "/v1/events?limit=0", status: 422, code: invalid, pointers: "limit"},
		{name: "limit 1001", method: "GET", target: "/v1/subscriptions?limit=1001", status: 422, code: invalid, pointers: "limit"},
		{name: "limit of a million", method: "GET", target: "/v1/keys?limit=1000000", status: 422, code: invalid, pointers: "limit"},
		{name: "limit in words", method: "GET", target: "/v1/events?limit=all", status: 422, code: invalid, pointers: "limit"},
		{name: "limit a fraction", method: "GET", target: "/v1/events?limit=1.5", status: 422, code: invalid, pointers: "limit"},
		{name: "limit empty", method: "GET", target: "/v1/events?limit=", status: 422, code: invalid, pointers: "limit"},
		{name: "limit twice", method: "GET", target: "/v1/events?limit=1&limit=2", status: 422, code: invalid, pointers: "limit"},
		{name: "limit too long for a number", method: "GET", target: "/v1/events?limit=99999999999999999999", status: 422, code: invalid, pointers: "limit"},
		{name: "cursor of nonsense", method: "GET", target: "/v1/events?cursor=!!", status: 422, code: invalid, pointers: "cursor"},
		{name: "cursor of another list", method: "GET", target: "/v1/events?cursor=" + "a2V5cwowCmtleV8x", status: 422, code: invalid, pointers: "cursor"},
		{name: "cursor too long", method: "GET", target: "/v1/events?cursor=" + strings.Repeat("a", 2000), status: 422, code: invalid, pointers: "cursor"},
		{name: "unknown parameters", method: "GET", target: "/v1/events?page=2&offset=3", status: 422, code: invalid, pointers: "offset page"},
		{name: "parameter where there is none", target: "/v1/events?dry_run=true", body: good, status: 422, code: invalid, pointers: "dry_run"},
		{name: "parameter of another operation", method: "GET", target: "/v1/subscriptions?topic=a", status: 422, code: invalid, pointers: "topic"},
		{name: "broken query", method: "GET", target: "/v1/events?limit=%zz", status: 422, code: invalid, pointers: "."},
		{name: "since in words", method: "GET", target: "/v1/events?since=yesterday", status: 422, code: invalid, pointers: "since"},
		{name: "until a number", method: "GET", target: "/v1/events?until=1778571680", status: 422, code: invalid, pointers: "until"},
		{name: "since in year 10000", method: "GET", target: "/v1/events?since=10000-01-01T00:00:00Z", status: 422, code: invalid, pointers: "since"},
		{name: "topic a pattern", method: "GET", target: "/v1/events?topic=trip.*", status: 422, code: invalid, pointers: "topic"},
		{name: "state of no delivery", method: "GET", target: "/v1/subscriptions/{sub}/deliveries?state=lost", status: 422, code: invalid, pointers: "state"},
		{name: "state of no feed", method: "GET", target: "/v1/subscriptions/{sub}/events?state=dead", status: 422, code: invalid, pointers: "state"},
	})
}

func TestBadEvents(t *testing.T) {
	t.Parallel()
	const invalid = engine.CodeInvalid
	event := func(members string) string { return `{"topic":"trip.created","data":1` + members + `}` }
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	cloud := []string{"Content-Type", "application/cloudevents+json"}
	clouds := []string{"Content-Type", "application/cloudevents-batch+json"}
	rows := []badInput{
		// Not parseable.
		{name: "empty body", body: "", headers: []string{"Content-Type", "application/json"}, status: 400, code: invalid},
		{name: "not JSON", body: `topic=trip.created`, status: 400, code: invalid},
		{name: "cut off", body: `{"topic":"trip.created","data":`, status: 400, code: invalid},
		{name: "trailing data", body: event("") + ",", status: 400, code: invalid},
		{name: "two events", body: event("") + event(""), status: 400, code: invalid},
		{name: "duplicate member", body: event(`,"topic":"a"`), status: 400, code: invalid, pointers: "/topic"},
		{name: "duplicate member in data", body: `{"topic":"a","data":{"b":1,"b":2}}`, status: 400, code: invalid, pointers: "/data/b"},
		{name: "depth 65", body: `{"topic":"a","data":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, status: 400, code: invalid, pointers: "/data"},
		{name: "depth 10000", body: `{"topic":"a","data":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, status: 400, code: invalid},
		{name: "invalid UTF-8", body: "{\"topic\":\"a\",\"data\":\"\xff\"}", status: 400, code: invalid},
		{name: "NUL", body: "{\"topic\":\"a\",\"data\":\"\x00\"}", status: 400, code: invalid},
		{name: "byte order mark", body: "\xef\xbb\xbf" + event(""), status: 400, code: invalid},
		{name: "NaN", body: `{"topic":"a","data":NaN}`, status: 400, code: invalid},
		{name: "a line that is not JSON", body: event("") + "\n{", headers: ndjson, status: 400, code: invalid},

		// Parseable and wrong.
		{name: "no object", body: `"trip.created"`, status: 422, code: invalid, pointers: "."},
		{name: "null", body: `null`, status: 422, code: invalid, pointers: "."},
		{name: "nothing in it", body: `{}`, status: 422, code: invalid, pointers: "/topic /data"},
		{name: "unknown member", body: event(`,"type":"x"`), status: 422, code: invalid, pointers: "/type"},
		{name: "member in another case", body: event(`,"Tenant":"x"`), status: 422, code: invalid, pointers: "/Tenant"},
		{name: "several at once", body: `{"topic":7,"timestamp":"soon"}`, status: 422, code: invalid, pointers: "/topic /timestamp /data"},
		{name: "empty array", body: `[]`, status: 422, code: invalid, pointers: "."},
		{name: "array with a wrong item", body: `[` + event("") + `,{"topic":"a..b","data":1}]`, status: 422, code: invalid, pointers: "/1/topic"},
		{name: "array in an array", body: `[[` + event("") + `]]`, status: 422, code: invalid, pointers: "/0"},
		{name: "a wrong line", body: event("") + "\n" + `{"topic":"a"}`, headers: ndjson, status: 422, code: invalid, pointers: "/1/data"},
		{name: "no line", body: "\n\n", headers: ndjson, status: 422, code: invalid, pointers: "."},

		// Too large.
		{name: "an event of 256 KiB and a byte", body: sized(engine.MaxEventBytes + 1), status: 413, code: engine.CodeTooLarge, pointers: "."},
		{name: "one of a batch", body: "[" + event("") + "," + sized(engine.MaxEventBytes+1) + "]", status: 413, code: engine.CodeTooLarge, pointers: "/1"},
		{name: "10001 events", body: strings.Repeat(event("")+"\n", engine.MaxBatchEvents+1), headers: ndjson, status: 413, code: engine.CodeTooLarge},
		{name: "8 MiB and a byte", body: strings.Repeat(" ", engine.MaxRequestBytes+1), status: 413, code: engine.CodeTooLarge},

		// Idempotency keys.
		{name: "key with a tab", body: event(""), headers: []string{"Idempotency-Key", "a\tb"}, status: 422, code: invalid, pointers: "Idempotency-Key"},
		{name: "key too long", body: event(""), headers: []string{"Idempotency-Key", strings.Repeat("k", 256)}, status: 422, code: invalid, pointers: "Idempotency-Key"},
		{name: "key outside ASCII", body: event(""), headers: []string{"Idempotency-Key", "é"}, status: 422, code: invalid, pointers: "Idempotency-Key"},

		// CloudEvents.
		{name: "CloudEvent without what it needs", body: `{}`, headers: cloud, status: 422, code: invalid, pointers: "/specversion /id /source /type"},
		{name: "CloudEvents 0.3", body: `{"specversion":"0.3","id":"1","source":"/a","type":"a"}`, headers: cloud, status: 422, code: invalid, pointers: "/specversion"},
		{name: "binary data", body: `{"specversion":"1.0","id":"1","source":"/a","type":"a","data_base64":"AA=="}`, headers: cloud, status: 422, code: invalid, pointers: "/data_base64"},
		{name: "type that is no topic", body: `{"specversion":"1.0","id":"1","source":"/a","type":"https://a/b"}`, headers: cloud, status: 422, code: invalid, pointers: "/type"},
		{name: "attribute with a dash", body: `{"specversion":"1.0","id":"1","source":"/a","type":"a","my-ext":1}`, headers: cloud, status: 422, code: invalid, pointers: "/my-ext"},
		{name: "CloudEvent in a batch type", body: `{"specversion":"1.0","id":"1","source":"/a","type":"a"}`, headers: clouds, status: 422, code: invalid, pointers: "."},
	}
	for name, members := range map[string]string{
		"topic empty": `"topic":""`, "topic 129 bytes": `"topic":"` + strings.Repeat("a", 129) + `"`,
		"topic of 17 segments": `"topic":"` + strings.Repeat("a.", 16) + `a"`, "topic with a leading dot": `"topic":".a"`,
		"topic with a trailing dot": `"topic":"a."`, "topic with a double dot": `"topic":"a..b"`, "topic with a star": `"topic":"a.*"`,
		"topic with a slash": `"topic":"a/b"`, "topic with an accent": `"topic":"véhicule"`, "topic null": `"topic":null`,
	} {
		rows = append(rows, badInput{name: name, body: `{` + members + `,"data":1}`, status: 422, code: invalid, pointers: "/topic"})
	}
	for member, values := range map[string][]string{
		"id":        {`""`, `"a.b"`, `"a b"`, `"a\r\nb"`, `"` + strings.Repeat("a", 65) + `"`, `7`, `null`},
		"timestamp": {`"-0001-01-01T00:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"10000-01-01T00:00:00Z"`, `"12 May 2026"`, `"2026-05-12"`, `1778571680`, `""`},
		"tenant":    {`""`, `"a/b"`, `"a.b"`, `"` + strings.Repeat("a", 65) + `"`, `[]`},
	} {
		for _, value := range values {
			rows = append(rows, badInput{name: member + " " + value, body: event(`,"` + member + `":` + value), status: 422, code: invalid, pointers: "/" + member})
		}
	}
	refuseAll(t, rows)
}

// sized makes an event of exactly so many bytes.
func sized(size int) string {
	empty := `{"topic":"a","data":""}`
	return `{"topic":"a","data":"` + strings.Repeat("x", size-len(empty)) + `"}`
}

func TestBadSubscriptions(t *testing.T) {
	t.Parallel()
	const invalid = engine.CodeInvalid
	var rows []badInput
	// The same members are refused when a subscription is made and when it is changed.
	both := func(name, members, pointers string) {
		required := `"url":"https://a.example",`
		if !strings.HasPrefix(members, `"topics"`) {
			required += `"topics":["*"],`
		}
		rows = append(rows,
			badInput{name: name, target: "/v1/subscriptions", body: `{` + required + members + `}`, status: 422, code: invalid, pointers: pointers},
			badInput{name: name + ", as a change", method: "PATCH", target: "/v1/subscriptions/{sub}", body: `{` + members + `}`, status: 422, code: invalid, pointers: pointers},
		)
	}
	for pointer, values := range map[string][]string{
		"/topics":                 {`[]`, `"trip.*"`, `{}`, many(101, "a")},
		"/topics/0":               {`["**"]`, `["a.*.*"]`, `["*.created"]`, `["a*"]`, `[""]`, `["a..b"]`, `[7]`, `[null]`, `["` + strings.Repeat("a.", 64) + `b"]`},
		"/topics/1":               {`["trip.*","trip.**"]`},
		"/description":            {`7`, `"` + strings.Repeat("x", 1025) + `"`},
		"/enabled":                {`"yes"`, `1`},
		"/secret":                 {`""`, `"` + secretText[6:] + `"`, `"whsec_"`, `"whsec_` + strings.Repeat("A", 28) + `"`, `"whsec_` + strings.Repeat("A", 92) + `"`, `"` + secretText + `="`, `" ` + secretText + `"`, `"` + secretText + `\n"`, `"whsec_c2VjcmV0-_VjcmV0c2VjcmV0c2VjcmV0"`, `7`},
		"/headers":                {`[]`, `"X-City: nantes"`, headers(33, "v"), headers(9, strings.Repeat("v", 1000))},
		"/headers/X-City":         {`{"X-City":"a\r\nX-Other: b"}`, `{"X-City":"\u0000"}`, `{"X-City":7}`},
		"/headers/x city":         {`{"x city":"a"}`},
		"/retry":                  {`5`, `[]`},
		"/retry/max_retries":      {`{"max_retries":-1}`, `{"max_retries":21}`, `{"max_retries":1000}`, `{"max_retries":"5"}`, `{"max_retries":1.5}`, `{"max_retries":9223372036854775808}`},
		"/retry/min_delay":        {`{"min_delay":"0s"}`, `{"min_delay":"-1s"}`, `{"min_delay":"999ms"}`, `{"min_delay":10}`, `{"min_delay":"10"}`, `{"min_delay":"ten seconds"}`},
		"/retry/max_delay":        {`{"max_delay":"24h1s"}`, `{"max_delay":"720h"}`, `{"max_delay":"5s"}`, `{"max_delay":"9999999h"}`},
		"/retry/steps":            {`{"steps":[]}`},
		"/timeout":                {`"0s"`, `"31s"`, `"-1s"`, `30`, `""`},
		"/success":                {`"3xx"`, `""`, `200`},
		"/limits/max_in_flight":   {`{"max_in_flight":0}`, `{"max_in_flight":-1}`, `{"max_in_flight":1025}`, `{"max_in_flight":1000000}`},
		"/limits/rate_per_second": {`{"rate_per_second":0.05}`, `{"rate_per_second":-1}`, `{"rate_per_second":100001}`, `{"rate_per_second":"10"}`},
		"/disable_on_gone":        {`"no"`},
		"/id":                     {`"sub_1"`},
		"/created_at":             {`"2026-05-12T07:41:20Z"`},
		"/version":                {`2`},
		"/owner":                  {`"m2"`},
		"/state":                  {`"open"`},
		"/pending":                {`0`},
		"/Url":                    {`"https://b.example"`},
		"/tenant":                 {`""`, `"a/b"`, `"` + strings.Repeat("a", 65) + `"`, `7`},
	} {
		for _, value := range values {
			both(pointer+" "+shortened(value), `"`+strings.Split(pointer, "/")[1]+`":`+value, pointer)
		}
	}
	for _, name := range []string{
		"webhook-id", "Webhook-Anything", "traceparent", "tracestate", "Host", "Content-Type", "Content-Length", "Transfer-Encoding",
		"Connection", "Upgrade", "TE", "Trailer", "Expect", "Proxy-Authorization",
	} {
		both("header "+name, `"headers":{"`+name+`":"v"}`, "/headers/"+name)
	}
	rows = append(
		rows,
		badInput{name: "no url", target: "/v1/subscriptions", body: `{"topics":["*"]}`, status: 422, code: invalid, pointers: "/url"},
		badInput{name: "no topics", target: "/v1/subscriptions", body: `{"url":"https://a.example"}`, status: 422, code: invalid, pointers: "/topics"},
		badInput{name: "url null", method: "PATCH", target: "/v1/subscriptions/{sub}", body: `{"url":null}`, status: 422, code: invalid, pointers: "/url"},
		badInput{name: "topics null", method: "PATCH", target: "/v1/subscriptions/{sub}", body: `{"topics":null}`, status: 422, code: invalid, pointers: "/topics"},
		badInput{name: "another tenant", method: "PATCH", target: "/v1/subscriptions/{sub}", body: `{"tenant":"nantes"}`, status: 422, code: invalid, pointers: "/tenant"},
		badInput{name: "several at once", target: "/v1/subscriptions", body: `{"url":"ftp://a.example","topics":["**"],"timeout":"1m"}`, status: 422, code: invalid, pointers: "/url /topics/0 /timeout"},
		badInput{name: "an array", target: "/v1/subscriptions", body: `[]`, status: 422, code: invalid, pointers: "."},
		badInput{name: "null", method: "PATCH", target: "/v1/subscriptions/{sub}", body: `null`, status: 422, code: invalid, pointers: "."},
		badInput{name: "empty body", target: "/v1/subscriptions", status: 400, code: invalid},
		badInput{name: "duplicate member", target: "/v1/subscriptions", body: `{"url":"https://a.example","url":"https://b.example","topics":["*"]}`, status: 400, code: invalid, pointers: "/url"},
		badInput{name: "NaN", target: "/v1/subscriptions", body: `{"url":"https://a.example","topics":["*"],"limits":{"rate_per_second":NaN}}`, status: 400, code: invalid},
		badInput{name: "too deep", target: "/v1/subscriptions", body: `{"url":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, status: 400, code: invalid, pointers: "."},
		badInput{name: "too large", target: "/v1/subscriptions", body: strings.Repeat(" ", 256<<10+1), status: 413, code: engine.CodeTooLarge},
	)
	refuseAll(t, append(rows, badActions()...))
}

// badActions are the rows about what is done with a subscription, and about keys.
func badActions() []badInput {
	const invalid = engine.CodeInvalid
	var rows []badInput
	for target, wrong := range map[string]map[string]string{
		"/v1/subscriptions/{sub}/secret/rotate": {
			`{"grace":"-1s"}`: "/grace", `{"grace":"168h1s"}`: "/grace", `{"grace":86400}`: "/grace", `{"grace":""}`: "/grace",
			`{"until":"24h"}`: "/until", `[]`: ".",
		},
		"/v1/subscriptions/{sub}/replay": {
			`{"state":"lost"}`: "/state", `{"state":""}`: "/state", `{"since":"yesterday"}`: "/since", `{"until":7}`: "/until",
			`{"topics":["**"]}`: "/topics/0", `{"topics":` + many(101, "a") + `}`: "/topics", `{"topics":"a"}`: "/topics",
			`{"rate_per_second":-1}`: "/rate_per_second", `{"rate_per_second":0.01}`: "/rate_per_second",
			`{"dry_run":"yes"}`: "/dry_run", `{"from":"2026-05-12T00:00:00Z"}`: "/from", `"all"`: ".",
		},
		"/v1/keys": {
			`{}`: "/role", `{"role":"root"}`: "/role", `{"role":7}`: "/role", `{"role":"viewer","tenant":""}`: "/tenant",
			`{"role":"viewer","tenant":"a b"}`: "/tenant", `{"role":"viewer","name":"` + strings.Repeat("x", 129) + `"}`: "/name",
			`{"role":"viewer","key":"mine"}`: "/key", `[]`: ".",
		},
	} {
		for body, pointer := range wrong {
			rows = append(rows, badInput{name: target + " " + shortened(body), target: target, body: body, status: 422, code: invalid, pointers: pointer})
		}
		rows = append(rows,
			badInput{name: target + " not JSON", target: target, body: `{`, status: 400, code: invalid},
			badInput{name: target + " as text", target: target, body: `{}`, headers: []string{"Content-Type", "text/plain"}, status: 415, code: engine.CodeUnsupported},
		)
	}
	return rows
}

func shortened(s string) string { return s[:min(len(s), 60)] }

// many is a JSON array of n topics.
func many(n int, topic string) string {
	topics := make([]string, n)
	for i := range topics {
		topics[i] = topic + strconv.Itoa(i)
	}
	list, err := json.Marshal(topics)
	if err != nil {
		panic(err)
	}
	return string(list)
}

// headers is a JSON object of n headers.
func headers(n int, value string) string {
	named := make(map[string]string, n)
	for i := range n {
		named["X-"+strconv.Itoa(i)] = value
	}
	object, err := json.Marshal(named)
	if err != nil {
		panic(err)
	}
	return string(object)
}

// The vectors of the address policy, as a client meets them: what is refused at
// registration is a 422 that names the url.
func TestBadEndpoints(t *testing.T) {
	t.Parallel()
	vectors, err := os.ReadFile("../egress/testdata/ssrf.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []badInput
	for line := range strings.Lines(string(vectors)) {
		words := strings.Fields(line)
		if len(words) < 4 || strings.HasPrefix(line, "#") || words[1] != "default" || words[2] != "refuse" {
			continue
		}
		address := strings.TrimSpace(line[strings.Index(line, "refuse")+len("refuse"):])
		if plain, err := strconv.Unquote(address); err == nil {
			address = plain
		}
		if !utf8.ValidString(address) {
			continue // JSON cannot hold it
		}
		if words[0] == "literal" {
			address = "https://" + address + "/hooks"
		}
		body, err := json.Marshal(map[string]any{"url": address, "topics": []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, badInput{name: address, target: "/v1/subscriptions", body: string(body), status: 422, code: engine.CodeInvalid, pointers: "/url"})
	}
	if len(rows) < 100 {
		t.Fatalf("only %d vectors", len(rows))
	}
	refuseAll(t, rows)
}
