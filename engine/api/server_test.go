package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/api"
)

// problemOf checks what every problem has and gives it.
func problemOf(t *testing.T, w *httptest.ResponseRecorder) api.Problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("got Content-Type %q (%d %s), want a problem", got, w.Code, w.Body)
	}
	var p api.Problem
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("decode problem: %v", err)
	}
	if p.Status != w.Code || p.Type != "/docs#problem-"+string(p.Code) || p.Title == "" || p.Detail == "" || p.Instance == "" {
		t.Errorf("got %d %+v, want every member of a problem", w.Code, p)
	}
	return p
}

func TestProblemsOfTheEngine(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7: password=hunter2")
	tests := []struct {
		name       string
		err        error
		status     int
		code       engine.Code
		retryAfter string
	}{
		{"invalid", engine.Invalid("/url", "must be https"), 422, engine.CodeInvalid, ""},
		{"malformed", engine.Malformed("broken"), 400, engine.CodeInvalid, ""},
		{"unauthorized", engine.Errorf(engine.CodeUnauthorized, "no"), 401, engine.CodeUnauthorized, ""},
		{"forbidden", engine.Errorf(engine.CodeForbidden, "no"), 403, engine.CodeForbidden, ""},
		{"not found", engine.Errorf(engine.CodeNotFound, "no"), 404, engine.CodeNotFound, ""},
		{"conflict", engine.Errorf(engine.CodeConflict, "no"), 409, engine.CodeConflict, ""},
		{"too large", engine.Errorf(engine.CodeTooLarge, "no"), 413, engine.CodeTooLarge, ""},
		{"unsupported", engine.Errorf(engine.CodeUnsupported, "no"), 415, engine.CodeUnsupported, ""},
		{"throttled", engine.Errorf(engine.CodeThrottled, "no"), 429, engine.CodeThrottled, "1"},
		{"throttled with a delay", &engine.Error{Code: engine.CodeThrottled, Message: "no", RetryAfter: 1100 * time.Millisecond}, 429, engine.CodeThrottled, "2"},
		{"unavailable", &engine.Error{Code: engine.CodeUnavailable, Message: "no", Err: secret}, 503, engine.CodeUnavailable, "5"},
		{"storage full", engine.Errorf(engine.CodeStorageFull, "no"), 507, engine.CodeStorageFull, "30"},
		{"internal", &engine.Error{Code: engine.CodeInternal, Message: "a detail", Err: secret}, 500, engine.CodeInternal, ""},
		{"a foreign error", secret, 500, engine.CodeInternal, ""},
		{"an unknown code", engine.Errorf("odd", "no"), 500, engine.CodeInternal, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, target := range []string{"/v1/events", "/v1/subscriptions"} {
				var log bytes.Buffer
				twin := newTwin()
				twin.fail = test.err
				s := api.New(api.Options{Engine: twin, Logger: slog.New(slog.NewTextHandler(&log, nil)), Clock: func() time.Time { return now }})
				body := `{"topic":"trip.created","data":1}`
				if target != "/v1/events" {
					body = `{"url":"https://a.example","topics":["*"]}`
				}
				w := ask(t, s, "POST", target, "admin-key", body)
				if strings.Contains(w.Body.String(), "hunter2") {
					t.Fatalf("the answer tells %s", w.Body)
				}
				p := problemOf(t, w)
				if w.Code != test.status || p.Code != test.code || w.Header().Get("Retry-After") != test.retryAfter {
					t.Errorf("%s: got %d %s, Retry-After %q; want %d %s, %q", target, w.Code, p.Code,
						w.Header().Get("Retry-After"), test.status, test.code, test.retryAfter)
				}
				logged := strings.Count(log.String(), "\n")
				if wantLog := errors.Is(test.err, secret) || test.status == 500; wantLog != (logged == 1) {
					t.Errorf("%s: got %d lines of log: %s", target, logged, log.String())
				}
				if test.status == 500 && !strings.Contains(log.String(), w.Header().Get("Request-Id")) {
					t.Errorf("%s: the log does not hold the request id: %s", target, log.String())
				}
			}
		})
	}
}

func TestCodesAndStatuses(t *testing.T) {
	t.Parallel()
	for _, code := range []engine.Code{
		engine.CodeInvalid, engine.CodeUnauthorized, engine.CodeForbidden, engine.CodeNotFound, engine.CodeConflict,
		engine.CodeTooLarge, engine.CodeUnsupported, engine.CodeThrottled, engine.CodeUnavailable,
		engine.CodeStorageFull, engine.CodeInternal,
	} {
		if got := api.Code(api.Status(&engine.Error{Code: code})); got != code {
			t.Errorf("there and back: got %s, want %s", got, code)
		}
	}
	if got := api.Code(http.StatusTeapot); got != engine.CodeInternal {
		t.Errorf("an unknown status: got %s, want internal", got)
	}
}

func TestGoldenProblem(t *testing.T) {
	t.Parallel()
	s := newServer(newTwin())
	tests := []struct{ name, method, target, body, want string }{
		{
			"field", "POST", "/v1/events", `{"data":1}`,
			`{"type":"/docs#problem-invalid","title":"Invalid request","status":422,"detail":"/topic is required","instance":"/v1/events","code":"invalid","errors":[{"pointer":"/topic","detail":"is required"}]}`,
		},
		{
			"syntax", "POST", "/v1/events", `{"data":`,
			`{"type":"/docs#problem-invalid","title":"Malformed request","status":400,"detail":"the body is not JSON in UTF-8: see byte 8","instance":"/v1/events","code":"invalid"}`,
		},
		{
			"parameter", "GET", "/v1/events?limit=0", "",
			`{"type":"/docs#problem-invalid","title":"Invalid request","status":422,"detail":"limit: expected number >= 1","instance":"/v1/events","code":"invalid","errors":[{"pointer":"limit","detail":"expected number \u003e= 1"}]}`,
		},
		{
			"path", "GET", "/v1/nothing", "",
			`{"type":"/docs#problem-not_found","title":"Not found","status":404,"detail":"there is nothing at this path","instance":"/v1/nothing","code":"not_found"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := ask(t, s, test.method, test.target, "admin-key", test.body)
			var got, want any
			if json.Unmarshal(w.Body.Bytes(), &got) != nil || json.Unmarshal([]byte(test.want), &want) != nil {
				t.Fatalf("got %s", w.Body)
			}
			first, _ := json.Marshal(got)
			second, _ := json.Marshal(want)
			if !bytes.Equal(first, second) {
				t.Errorf("got  %s\nwant %s", first, second)
			}
		})
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := newServer(newTwin())
	tests := []struct {
		name, method, target string
		status               int
		allow                string
	}{
		{"unknown path", "GET", "/v2/events", 404, ""},
		{"root", "GET", "/", 404, ""},
		{"path in capitals", "GET", "/v1/Events", 404, ""},
		{"trailing slash", "GET", "/v1/events/", 404, ""},
		{"double slash", "GET", "/v1//events", 404, ""},
		{"dots", "GET", "/v1/../v1/events", 404, ""},
		{"id of nothing", "GET", "/v1/events//deliveries", 404, ""},
		{"method", "DELETE", "/v1/events", 405, "GET, HEAD, POST"},
		{"method of one", "PUT", "/v1/subscriptions/sub_1", 405, "DELETE, GET, HEAD, PATCH"},
		{"method of a page", "POST", "/healthz", 405, "GET, HEAD"},
		{"get of an action", "GET", "/v1/subscriptions/sub_1/test", 405, "POST"},
		{"odd method", "BREW", "/v1/stats", 405, "GET, HEAD"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := ask(t, s, test.method, test.target, "", "")
			problemOf(t, w)
			if w.Code != test.status || w.Header().Get("Allow") != test.allow {
				t.Errorf("got %d, Allow %q; want %d, %q", w.Code, w.Header().Get("Allow"), test.status, test.allow)
			}
		})
	}
}

func TestPanicIsAProblem(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := api.New(api.Options{
		Engine: newTwin(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken metrics") }),
	})
	w := ask(t, s, "GET", "/metrics", "admin-key", "")
	if p := problemOf(t, w); p.Code != engine.CodeInternal || strings.Contains(p.Detail, "metrics") {
		t.Errorf("got %+v", p)
	}
	if !strings.Contains(log.String(), "broken metrics") {
		t.Errorf("the log is %s", log.String())
	}
}

// The contract has one format for answers, so what a client would like is not asked.
func TestAcceptIsNotNegotiated(t *testing.T) {
	t.Parallel()
	s := newServer(newTwin())
	for _, accept := range []string{"text/html", "application/xml;q=1, */*;q=0", "application/cbor", "nonsense"} {
		for _, target := range []string{"/v1/stats", "/v1/events", "/healthz", "/openapi.json"} {
			w := ask(t, s, "GET", target, "admin-key", "", "Accept", accept)
			if got := w.Header().Get("Content-Type"); w.Code != 200 || got != "application/json" || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s as %s: got %d, %s", target, accept, w.Code, got)
			}
		}
		problemOf(t, ask(t, s, "GET", "/v1/events/evt_2", "admin-key", "", "Accept", accept))
	}
}

// TestSilentMembersAreNamed in the answer that lacks what they know.
func TestSilentMembersAreNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		silent       []string
		header, body string
	}{
		{nil, "", ""},
		{[]string{"mem_b", "mem_a", "mem_b"}, "mem_a, mem_b", `"silent_members":["mem_a","mem_b"]`},
	} {
		engine := newTwin()
		engine.silent = tt.silent
		w := ask(t, newServer(engine), "GET", "/v1/stats", "admin-key", "")
		if got := w.Header().Get(api.SilentHeader); w.Code != 200 || got != tt.header {
			t.Errorf("%d, header %q; want 200, %q", w.Code, got, tt.header)
		}
		if got := w.Body.String(); !strings.Contains(got, tt.body) || strings.Contains(got, "silent") != (tt.body != "") {
			t.Errorf("body %s, want %q in it", got, tt.body)
		}
	}
}
