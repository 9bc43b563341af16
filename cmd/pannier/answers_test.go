package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 12, 7, 0, 0, 0, time.UTC)
	tests := []struct {
		text string
		want moment
		ok   bool
	}{
		{"1h", "2026-05-12T06:00:00.000Z", true},
		{"0s", "2026-05-12T07:00:00.000Z", true},
		{"2026-05-12T09:00:00.5+02:00", "2026-05-12T07:00:00.500Z", true},
		{"-1h", "", false},
		{"2026-05-12", "", false},
		{"soon", "", false},
		{"", "", false},
	}
	for _, tt := range tests {
		if got, err := parseMoment(tt.text, now); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: got %q, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const kind = "application/problem+json; charset=utf-8"
	tests := []struct {
		name, kind, body, want string
	}{
		{"detail and code", kind, `{"title":"Conflict","detail":"It is there.","code":"conflict"}`, "It is there (conflict)"},
		{"title alone", kind, `{"title":"Not Found","code":"not_found"}`, "Not Found (not_found)"},
		{
			"fields", kind, `{"title":"t","detail":"2 fields are wrong","code":"invalid","errors":[{"pointer":"/a","detail":"x"},{"pointer":"/b","detail":"y"}]}`,
			"2 fields are wrong (invalid)\n  /a: x\n  /b: y",
		},
		{"the same twice", kind, `{"detail":"/a must be x","code":"invalid","errors":[{"pointer":"/a","detail":"must be x"}]}`, "/a must be x (invalid)"},
		{"the terminal is not steered", kind, `{"detail":"a\u001b[2Jb"}`, "a�[2Jb"},
		{"not a problem", "text/html", `<h1>Bad Gateway</h1>`, "unexpected status 502 Bad Gateway, is PANNIER_URL the URL of a Pannier server?"},
		{"an empty problem", kind, `{}`, "unexpected status 502 Bad Gateway, is PANNIER_URL the URL of a Pannier server?"},
	}
	for _, tt := range tests {
		if got := parseProblem(http.StatusBadGateway, tt.kind, []byte(tt.body)).Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	got := table([]string{"ID", "STATE"}, [][]string{{"sub_1", "healthy"}, {"a\tb\x1b[1m", "é"}})
	if want := "ID       STATE\nsub_1    healthy\na b�[1m  é\n"; got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestClipped(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "été": "été", "étés": "ét…"} {
		if got := clipped(text, 3); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	var l latencies
	if got := l.percentile(0.5); got != 0 {
		t.Errorf("without a sample: %v", got)
	}
	for n := range 100 {
		l.add(time.Duration(n+1) * time.Millisecond)
	}
	if p50, p99 := l.percentile(0.50), l.percentile(0.99); p50 != 51*time.Millisecond || p99 != 100*time.Millisecond {
		t.Errorf("got %v and %v", p50, p99)
	}
	for range maxLatencies {
		l.add(time.Second)
	}
	if got := l.percentile(0); got != time.Second || len(l.sample) != maxLatencies {
		t.Errorf("old ones count: %v of %d", got, len(l.sample))
	}
}

// TestFramesFitTheTerminal draws two frames: the second over the first, neither higher than
// the terminal.
func TestFramesFitTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{console: console{out: &out}, redraw: true, height: func() int { return 4 }}
	s.draw("1\n2\n3\n4\n5\n")
	if want := wrapOff + "1" + eraseLine + "\n2" + eraseLine + "\n3" + eraseLine + "\n" + eraseDown + wrapOn; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	s.draw("6\n")
	if want := wrapOff + "\x1b[3A6" + eraseLine + "\n" + eraseDown + wrapOn; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	s.redraw = false
	s.draw("7\n")
	if out.String() != "7\n" {
		t.Errorf("elsewhere: got %q", out.String())
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:80": "http://127.0.0.1:80", "0.0.0.0:80": "http://localhost:80", "[::]:80": "http://localhost:80",
		"[::1]:80": "http://[::1]:80",
	} {
		resolved, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable("http", resolved); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

// TestKeyDoesNotWander: a redirect is an answer like any other, and the key stays here.
func TestKeyDoesNotWander(t *testing.T) {
	t.Parallel()
	elsewhere := newTestReceiver(t, nil)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	api, err := newClient(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	api.http.Transport = &http.Transport{DisableKeepAlives: true}
	if _, err := api.do(t.Context(), call{method: http.MethodGet, path: pathOf("events")}); err == nil {
		t.Error("a redirect is taken for an answer")
	}
	if requests := elsewhere.got(); len(requests) != 0 {
		t.Errorf("the redirect was followed with %v", requests[0].header)
	}
}

// TestIDsStayInTheirPlace: whatever an id holds, it is one part of the path.
func TestIDsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	if got, want := pathOf("subscriptions", "../keys?limit=1#x"), "/v1/subscriptions/..%2Fkeys%3Flimit=1%23x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLongAnswers: an answer over the bound is refused, not cut.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, zeros{}, maxAnswerBytes+1)
	}))
	t.Cleanup(server.Close)
	api, err := newClient(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	api.http.Transport = &http.Transport{DisableKeepAlives: true}
	if _, err := api.do(t.Context(), call{method: http.MethodGet, path: pathOf("events")}); err == nil || !strings.Contains(err.Error(), "--limit") {
		t.Errorf("got %v, want a hint at --limit", err)
	}
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestLongInput(t *testing.T) {
	t.Parallel()
	text := `"` + strings.Repeat("x", maxInputBytes-2) + `"`
	if got, err := input(console{in: strings.NewReader(text)}, "-"); err != nil || len(got) != maxInputBytes {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, err := input(console{in: strings.NewReader(text + " ")}, "-"); err == nil {
		t.Error("input over the bound is read")
	}
}

// TestDemoVerdict: totals that leave a delivery out, and forged requests, fail the demo.
func TestDemoVerdict(t *testing.T) {
	t.Parallel()
	honest, forged := &demoReceiver{name: "healthy"}, &demoReceiver{name: "flaky"}
	forged.forged.Add(1)
	tests := []struct {
		name      string
		totals    totals
		receivers []*demoReceiver
		ok        bool
	}{
		{"balanced", totals{Matched: 10, Delivered: 4, Waiting: 3, Attempting: 2, Dead: 1}, []*demoReceiver{honest}, true},
		{"one lost", totals{Matched: 10, Delivered: 3, Waiting: 3, Attempting: 2, Dead: 1}, []*demoReceiver{honest}, false},
		{"one too many", totals{Matched: 10, Delivered: 5, Waiting: 3, Attempting: 2, Dead: 1}, []*demoReceiver{honest}, false},
		{"forged", totals{}, []*demoReceiver{honest, forged}, false},
	}
	for _, tt := range tests {
		d := &demo{console: console{out: io.Discard}, receivers: tt.receivers}
		if err := d.verdict(tt.totals); (err == nil) != tt.ok {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

// TestReceiverLines: what arrives is printed on one line, whatever it holds.
func TestReceiverLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	at := time.Date(2026, 5, 12, 7, 0, 0, 0, time.UTC)
	r := &receiver{console: console{out: &out}, body: true, now: func() time.Time { return at }}
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader("{\n\"a\": \"\x1b[2J\"}\n"))
	request.Header.Set("webhook-id", "evt_1\x1b[1m")
	request.Header.Set("webhook-topic", "trip.created")
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, request)
	want := "07:00:00.000  attempt -  trip.created  evt_1�[1m  unverified  15 B\n  { \"a\": \"�[2J\"}\n"
	if out.String() != want || answer.Code != http.StatusOK {
		t.Errorf("got %d\n%q, want\n%q", answer.Code, out.String(), want)
	}
	out.Reset()
	answer = httptest.NewRecorder()
	r.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", maxReceivedBytes+1))))
	if answer.Code != http.StatusRequestEntityTooLarge || !strings.Contains(out.String(), "refused") {
		t.Errorf("a long body: got %d, %q", answer.Code, out.String())
	}
}
