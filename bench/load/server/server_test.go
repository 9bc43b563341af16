package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pannier/bench/load/server"
)

func client(t *testing.T, handler http.HandlerFunc) *server.Client {
	t.Helper()
	api := httptest.NewServer(handler)
	t.Cleanup(api.Close)
	c, err := server.NewClient(api.URL+"/", "key", 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestPostLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, answer string
		status       int
		retryAfter   string
		wantIDs      int
		wantPause    time.Duration // of the refusal; -1: another error
	}{
		{"OK", `{"accepted":2,"ids":["a","b"]}`, 202, "", 2, 0},
		{"ErrCounts", `{"accepted":1,"ids":["a","b"]}`, 202, "", 0, -1},
		{"ErrNotJSON", `<html>`, 202, "", 0, -1},
		{"ErrThrottled", `{"detail":"slow down"}`, 429, "7", 0, 7 * time.Second},
		{"ErrThrottledForLong", `{}`, 429, "7000", 0, 30 * time.Second},
		{"ErrUnavailable", `{}`, 503, "", 0, time.Second},
		{"ErrUnavailableForNoTime", `{}`, 503, "0", 0, 100 * time.Millisecond},
		{"ErrInvalid", `{"detail":"no topic"}`, 422, "", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Header.Get("Content-Type") != "application/x-ndjson" || r.Header.Get("Idempotency-Key") != "k" ||
					r.Header.Get("Authorization") != "Bearer key" || r.URL.Path != "/v1/events" || string(body) != "{}\n{}\n" {
					t.Errorf("got %s %v %q", r.URL, r.Header, body)
				}
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.answer)
			})
			ids, err := c.PostLines(t.Context(), []byte("{}\n{}\n"), "k")
			if len(ids) != test.wantIDs || (err == nil) != (test.wantIDs > 0) {
				t.Fatalf("got %v, %v", ids, err)
			}
			var refusal *server.RefusalError
			if is := errors.As(err, &refusal); is != (test.status >= 300) || (is && refusal.RetryAfter != test.wantPause) {
				t.Errorf("got %v, want a pause of %v", err, test.wantPause)
			}
		})
	}
}

func TestFeedPages(t *testing.T) {
	t.Parallel()
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.URL.Path != "/v1/subscriptions/sub_1/events" || query.Get("limit") != "1000" || query.Get("since") == "" {
			t.Errorf("got %s", r.URL)
		}
		if query.Get("state") != "undelivered" {
			t.Errorf("state %q", query.Get("state"))
		}
		next := map[string]string{"": `"2"`, "2": `"3"`, "3": `null`}[query.Get("cursor")]
		fmt.Fprintf(w, `{"data":[{"id":"e%s","topic":"a","data":{"x":1},"delivery":{"state":"dead"}}],"next_cursor":%s}`, query.Get("cursor"), next)
	})
	var got []string
	err := c.Feed(t.Context(), &server.Subscription{ID: "sub_1", CreatedAt: time.Now()}, true, func(item *server.FeedItem) {
		got = append(got, item.ID+item.Topic+string(item.Data)+item.Delivery.State)
	})
	if want := `ea{"x":1}dead e2a{"x":1}dead e3a{"x":1}dead`; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// A feed whose cursor does not move would be read for ever.
func TestFeedErrStandsStill(t *testing.T) {
	t.Parallel()
	c := client(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[],"next_cursor":"1"}`) })
	err := c.Feed(t.Context(), &server.Subscription{ID: "sub_1"}, false, func(*server.FeedItem) {})
	if err == nil || !strings.Contains(err.Error(), "stands still") {
		t.Errorf("got %v", err)
	}
}

func TestNewClientErrURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://x", "http://"} {
		if _, err := server.NewClient(url, "", 1); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	meter, err := server.NewMeter(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer meter.Close()
	for spent := time.Duration(0); spent == 0; { // burn CPU until a clock tick shows
		reading, err := meter.Read()
		if err != nil {
			t.Fatal(err)
		}
		spent = reading.CPU
		if reading.RSS < 1<<20 || reading.RSSAnon < 1<<20 || reading.RSSAnonPeak < reading.RSSAnon || reading.RSS > 1<<40 {
			t.Fatalf("got %+v", reading)
		}
	}
	if _, err := server.NewMeter(1 << 30); err == nil {
		t.Error("a process that is not there has a meter")
	}
}

func TestChild(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script, want string // want is in the error of Start or Stop
	}{
		{"serves", ""},
		{"ends-at-once", "no disk"},
		{"ends-badly", "ended badly"},
		{"ends-by-itself", "out of luck"},
	} {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			child, err := server.Start(t.Context(), server.Options{Binary: filepath.Join("testdata", test.script)}, io.Discard)
			if err == nil {
				err = useChild(t, child, test.script)
			}
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func useChild(t *testing.T, child *server.Child, script string) error {
	t.Helper()
	if child.URL != "http://127.0.0.1:4711" || child.PID == 0 {
		t.Errorf("got %q, process %d", child.URL, child.PID)
	}
	switch script {
	case "serves":
		if size, err := child.DiskBytes(); err != nil || size == 0 {
			t.Errorf("the folder takes %d bytes, %v", size, err)
		}
	case "ends-by-itself":
		<-child.Ended()
	}
	return child.Stop()
}

func TestStartGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := server.Start(ctx, server.Options{Binary: filepath.Join("testdata", "never-ready")}, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
