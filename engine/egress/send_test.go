package egress_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pannier/engine"
	"pannier/engine/egress"
	"pannier/engine/signature"
)

func TestReceiverGetsTheContract(t *testing.T) {
	t.Parallel()
	got := make(chan receivedRequest, 1)
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		got <- request
		return answering(noContent, true)(conn, request)
	})
	s := newSubscription(to.url())
	s.Headers = map[string]string{"x-city": "nantes", "Authorization": "Bearer city"}
	request := attempt(s)
	request.Number = 3
	request.Event.Data = []byte(`{ "big": 12345678901234567890.10, "text": "<é\u00e9>" ,"a":1, "a":1}`)
	request.Event.Extensions = []byte(`{"source":"/bikes"}`)
	before := time.Now().Unix()
	result := newSender(t, egress.SenderOptions{}).Send(t.Context(), request)
	if result != (engine.Result{Outcome: engine.OutcomeSuccess, Status: 204, RetryAfter: -1}) {
		t.Fatalf("result %+v", result)
	}
	received := <-got
	if received.Method != http.MethodPost || received.RequestURI != "/hooks/bikes?token=canary" ||
		received.Host != to.listener.Addr().String() {
		t.Errorf("request %s %s to %s", received.Method, received.RequestURI, received.Host)
	}
	want := `{"id":"evt_1","topic":"trip.created","timestamp":"2026-05-01T10:00:00.000Z","data":` +
		string(request.Event.Data) + `,"extensions":{"source":"/bikes"}}`
	if string(received.body) != want || received.ContentLength != int64(len(want)) {
		t.Errorf("body %s, want %s", received.body, want)
	}
	headers := map[string]string{
		"content-type": "application/json", "user-agent": "Pannier/1.2.3", "webhook-id": "evt_1",
		"webhook-topic": "trip.created", "webhook-attempt": "3", "webhook-subscription": string(s.ID),
		"x-city": "nantes", "authorization": "Bearer city",
	}
	for name, want := range headers {
		if got := received.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	at, err := strconv.ParseInt(received.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || at < before || at > time.Now().Unix() {
		t.Errorf("webhook-timestamp %d, %v", at, err)
	}
	// Content-Length is taken out by the server's parser; the two left are those of the
	// timestamp and the signature.
	for name := range received.Header {
		if _, expected := headers[strings.ToLower(name)]; !expected &&
			name != "Webhook-Timestamp" && name != "Webhook-Signature" && name != "Content-Length" {
			t.Errorf("unexpected header %s", name)
		}
	}
	verify(t, received, s.Secrets[0].Secret, true)
}

// verify checks a request with the library of the Standard Webhooks project.
func verify(t *testing.T, received receivedRequest, secret signature.Secret, want bool) {
	t.Helper()
	webhook, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := webhook.Verify(received.body, received.Header); (err == nil) != want {
		t.Errorf("signature: %v, want valid %t", err, want)
	}
}

func TestSignsWithEverySecretValidNow(t *testing.T) {
	t.Parallel()
	got := make(chan receivedRequest, 1)
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		got <- request
		return answering(noContent, true)(conn, request)
	})
	now := time.Now()
	current, previous, ended := signature.NewSecret(), signature.NewSecret(), signature.NewSecret()
	s := newSubscription(to.url())
	s.Secrets = []engine.ValidSecret{
		{Secret: current}, {Secret: previous, Until: now.Add(time.Second)}, {Secret: ended, Until: now},
	}
	sender := newSender(t, egress.SenderOptions{Clock: func() time.Time { return now }})
	sender.Send(t.Context(), attempt(s))
	received := <-got
	if signatures := strings.Fields(received.Header.Get("webhook-signature")); len(signatures) != 2 {
		t.Errorf("%d signatures, want 2", len(signatures))
	}
	if got := received.Header.Get("webhook-timestamp"); got != strconv.FormatInt(now.Unix(), 10) {
		t.Errorf("webhook-timestamp %s, want that of the clock", got)
	}
	verify(t, received, current, true)
	verify(t, received, previous, true)
	verify(t, received, ended, false)
}

func TestOwnUserAgentIsKept(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		got <- request.Header.Get("User-Agent") + request.Header.Get("Content-Type")
		return answering(noContent, true)(conn, request)
	})
	s := newSubscription(to.url())
	s.Headers = map[string]string{"user-agent": "City/1"}
	newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(s))
	if got := <-got; got != "City/1application/json" {
		t.Errorf("got %s", got)
	}
}

func TestStatusDecides(t *testing.T) {
	t.Parallel()
	const none = time.Duration(-1)
	tests := []struct {
		name       string
		status     int
		header     string
		rule       engine.Success
		want       engine.Outcome
		retryAfter time.Duration
		phrase     string
	}{
		{"200", 200, "", engine.SuccessBelow400, engine.OutcomeSuccess, none, ""},
		{"299", 299, "", engine.Success2xx, engine.OutcomeSuccess, none, ""},
		{"300", 300, "", engine.SuccessBelow400, engine.OutcomeSuccess, none, ""},
		{"300 where 2xx is asked", 300, "", engine.Success2xx, engine.OutcomeFailure, none, ""},
		{"399", 399, "", engine.SuccessBelow400, engine.OutcomeSuccess, none, ""},
		{"400", 400, "", engine.SuccessBelow400, engine.OutcomeFailure, none, ""},
		{"407", 407, "Proxy-Authenticate: Basic", engine.SuccessBelow400, engine.OutcomeFailure, none, ""},
		{"410", 410, "", engine.SuccessBelow400, engine.OutcomeGone, none, ""},
		{"429", 429, "", engine.SuccessBelow400, engine.OutcomeThrottled, none, ""},
		{"429 with seconds", 429, "Retry-After: 120", engine.Success2xx, engine.OutcomeThrottled, 2 * time.Minute, ""},
		{"429 with nonsense", 429, "Retry-After: soon", engine.SuccessBelow400, engine.OutcomeThrottled, none, ""},
		{"503 with zero", 503, "Retry-After: 0", engine.SuccessBelow400, engine.OutcomeThrottled, 0, ""},
		{
			"503 with date", 503, "Retry-After: Fri, 01 May 2026 10:00:30 GMT",
			engine.SuccessBelow400, engine.OutcomeThrottled, 30 * time.Second, "",
		},
		{"500 with seconds", 500, "Retry-After: 120", engine.SuccessBelow400, engine.OutcomeFailure, none, ""},
		{"600", 600, "", engine.SuccessBelow400, engine.OutcomeFailure, none, ""},
		{"999", 999, "", engine.SuccessBelow400, engine.OutcomeFailure, none, ""},
		{"101", 101, "Upgrade: x\r\nConnection: upgrade", engine.SuccessBelow400, engine.OutcomeFailure, none, "invalid response"},
		{"099", 99, "", engine.SuccessBelow400, engine.OutcomeFailure, none, "invalid response"},
	}
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for _, test := range tests {
		for by, attempt := range clients {
			t.Run(test.name+by, func(t *testing.T) {
				t.Parallel()
				header := "Content-Length: 0\r\n"
				if test.header != "" {
					header += test.header + "\r\n"
				}
				to := newReceiver(t, answering(fmt.Sprintf("HTTP/1.1 %03d x\r\n%s\r\n", test.status, header), true))
				s := newSubscription(to.url())
				s.Success = test.rule
				sender := newSender(t, egress.SenderOptions{Clock: func() time.Time { return now }})
				want := engine.Result{
					Outcome: test.want, Status: test.status, RetryAfter: test.retryAfter, Error: test.phrase,
				}
				if got := sender.Send(t.Context(), attempt(s)); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		}
	}
}

func TestRedirectsAreNeverFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, answering(noContent, true))
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			to := newReceiver(t, answering(fmt.Sprintf(
				"HTTP/1.1 %d x\r\nLocation: %s\r\nRefresh: 0; url=%[2]s\r\nAlt-Svc: h2=%[3]q\r\nContent-Length: 0\r\n\r\n",
				status, elsewhere.url(), elsewhere.listener.Addr(),
			), true))
			s := newSubscription(to.url())
			sender := newSender(t, egress.SenderOptions{})
			for range 2 {
				if got := sender.Send(t.Context(), attempt(s)); got.Outcome != engine.OutcomeSuccess || got.Status != status {
					t.Errorf("got %+v", got)
				}
			}
			if n := elsewhere.connections.Load(); n != 0 {
				t.Errorf("%d connections to the location", n)
			}
		})
	}
}

func TestCookiesAreForgotten(t *testing.T) {
	t.Parallel()
	cookies := make(chan string, 2)
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		cookies <- request.Header.Get("Cookie") + request.Header.Get("Accept-Encoding")
		return answering("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", true)(conn, request)
	})
	sender, s := newSender(t, egress.SenderOptions{}), newSubscription(to.url())
	sender.Send(t.Context(), attempt(s))
	sender.Send(t.Context(), attempt(s))
	if first, second := <-cookies, <-cookies; first+second != "" {
		t.Errorf("sent %q", first+second)
	}
}

func TestNewVersionTakesEffect(t *testing.T) {
	t.Parallel()
	first := newReceiver(t, answering(noContent, true))
	second := newReceiver(t, answering(noContent, true))
	sender, s := newSender(t, egress.SenderOptions{}), newSubscription(first.url())
	sender.Send(t.Context(), attempt(s))
	changed := *s
	changed.Version, changed.URL = s.Version+1, second.url()
	sender.Send(t.Context(), attempt(&changed))
	sender.Send(t.Context(), attempt(&changed))
	if a, b := first.requests.Load(), second.requests.Load(); a != 1 || b != 2 {
		t.Errorf("%d and %d requests, want 1 and 2", a, b)
	}
}

func TestConnectionIsKept(t *testing.T) {
	t.Parallel()
	for _, body := range []int{0, 1, engine.MaxResponseBody, engine.MaxResponseBody + 1, 4095} {
		t.Run(strconv.Itoa(body), func(t *testing.T) {
			t.Parallel()
			to := newReceiver(t, answering(fmt.Sprintf(
				"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", body, strings.Repeat("x", body),
			), true))
			sender, s := newSender(t, egress.SenderOptions{}), newSubscription(to.url())
			for range 5 {
				got := sender.Send(t.Context(), attempt(s))
				if got.Outcome != engine.OutcomeSuccess || len(got.Excerpt) != min(body, engine.MaxResponseBody) {
					t.Fatalf("got %+v", got)
				}
			}
			if n := to.connections.Load(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestShutdownInterrupts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var to *receiver
	to = newReceiver(t, func(*net.TCPConn, receivedRequest) bool {
		cancel()
		<-to.done
		return false
	})
	sender, s := newSender(t, egress.SenderOptions{}), newSubscription(to.url())
	want := engine.Result{Outcome: engine.OutcomeInterrupted, Error: "interrupted", RetryAfter: -1}
	if got := sender.Send(ctx, attempt(s)); got != want {
		t.Errorf("while waiting: got %+v, want %+v", got, want)
	}
	if got := sender.Send(ctx, attempt(s)); got != want {
		t.Errorf("before sending: got %+v, want %+v", got, want)
	}
	if n := to.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}
