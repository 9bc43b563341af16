package api_test

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine/api"
)

// pipes is a listener whose connections lie in memory, so that the real HTTP server runs in
// a bubble of virtual time.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	close func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.over) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// wire is a client's side of the real HTTP server.
type wire struct {
	*testing.T
	*pipes
	twin *twin
}

// onTheWire runs a test against the real HTTP server with a twin behind it.
func onTheWire(t *testing.T, test func(w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		twin := newTwin()
		twin.development = true
		p := newPipes()
		server := api.NewHTTPServer(newServer(twin).Handler(), nil, slog.New(slog.DiscardHandler))
		serving := make(chan error, 1)
		go func() { serving <- server.Serve(p) }()
		test(&wire{T: t, pipes: p, twin: twin})
		pass(time.Second) // net/http lingers a little where it closes
		if err := server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// exchange sends bytes on a connection of their own and gives the statuses of all
// answers until the server closes it or has been silent for a while.
func (w *wire) exchange(raw string) (statuses []int, closed bool) {
	w.Helper()
	conn := w.dial()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, raw) }() // the server may close before it has read all
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		w.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		statuses = append(statuses, response.StatusCode)
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			w.Errorf("read the answer: %v", err)
		}
	}
}

// Nothing that is meant to hide a second request in a first one is taken for one. net/http
// does this; the test says that it stays so. Where a length and chunks are both given the
// chunks count, as RFC 9112 section 6.3 says, and what follows them is a request of its own
// for every reader that knows HTTP/1.1.
func TestRequestSmuggling(t *testing.T) {
	t.Parallel()
	const head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const event = `{"topic":"trip.created","data":1}`
	const hidden = "DELETE /v1/subscriptions/sub_1 HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, test := range []struct {
		name, raw string
		want      []int
		closed    bool
	}{
		{"two lengths", head + "Content-Length: 33\r\nContent-Length: 0\r\n\r\n" + event + hidden, []int{400}, true},
		{"a list of lengths", head + "Content-Length: 0, 33\r\n\r\n" + hidden, []int{400}, true},
		{"negative length", head + "Content-Length: -1\r\n\r\n" + hidden, []int{400}, true},
		{"length with a sign", head + "Content-Length: +33\r\n\r\n" + event + hidden, []int{400}, true},
		{"chunks by another name", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"chunks twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"chunk of a size with a sign", head + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"space before the colon", head + "Content-Length : 0\r\n\r\n" + hidden, []int{400}, true},
		{"NUL in a header", head + "X-A: \x00\r\n\r\n" + hidden, []int{400}, true},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", []int{400}, true},
		{"two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []int{400}, true},
		{"length and chunks", head + "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n" + event + "\r\n0\r\n\r\n", []int{202}, false},
		{"bare LF", strings.ReplaceAll(head, "\r\n", "\n") + "Content-Length: 33\n\n" + event, []int{202}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onTheWire(t, func(w *wire) {
				statuses, closed := w.exchange(test.raw)
				if !slices.Equal(statuses, test.want) || closed != test.closed {
					w.Errorf("answers %v, closed %v; want %v, %v", statuses, closed, test.want, test.closed)
				}
				if taken := len(w.twin.accepted); taken > 1 || (taken == 1) != (test.want[0] == 202) {
					w.Errorf("%d events were taken", taken)
				}
			})
		})
	}
}

func TestSlowRequestsEnd(t *testing.T) {
	t.Parallel()
	const head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for _, test := range []struct {
		name, raw string
		after     time.Duration
		status    int // 0: the connection is closed without an answer
	}{
		{"nothing comes", "", api.HeaderTimeout, 0},
		{"the headers do not end", head, api.HeaderTimeout, 0},
		{"the body does not end", head + "Content-Length: 100\r\n\r\n{", api.ReadTimeout, 408},
		{"the chunks do not end", head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", api.ReadTimeout, 408},
		{"nothing follows the first request", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", api.IdleTimeout, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onTheWire(t, func(w *wire) {
				conn := w.dial()
				defer conn.Close()
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, test.raw) }()
				reader := bufio.NewReader(conn)
				if test.status > 0 {
					response, err := http.ReadResponse(reader, nil)
					if err != nil || response.StatusCode != test.status {
						w.Fatalf("got %+v, %v, want %d", response, err, test.status)
					}
					if _, err := io.Copy(io.Discard, response.Body); err != nil {
						w.Error(err)
					}
				}
				if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
					w.Errorf("then %q, %v, want the end", rest, err)
				}
				// net/http may linger for half a second to let the answer through.
				if took := time.Since(began); took < test.after || took > test.after+time.Second {
					w.Errorf("ended after %v, want %v", took, test.after)
				}
				if len(w.twin.accepted) > 0 {
					w.Error("an event was taken")
				}
			})
		})
	}
}

func TestHeaderFlood(t *testing.T) {
	t.Parallel()
	onTheWire(t, func(w *wire) {
		flood := "GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 100)+"\r\n", 400) + "\r\n"
		if statuses, closed := w.exchange(flood); !slices.Equal(statuses, []int{431}) || !closed {
			w.Errorf("answers %v, closed %v; want 431 and the end", statuses, closed)
		}
	})
}

func TestLargeBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	const head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
	for name, raw := range map[string]string{
		"declared": head + "Content-Length: 8388609\r\n\r\n",
		"chunked":  head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 10<<20/0x10000),
		"of a subscription": "POST /v1/subscriptions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
			"Content-Length: 262145\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onTheWire(t, func(w *wire) {
				if statuses, closed := w.exchange(raw); !slices.Equal(statuses, []int{413}) || !closed {
					w.Errorf("answers %v, closed %v; want 413 and the end", statuses, closed)
				}
			})
		})
	}
}

// 32 bodies of unknown length may become 256 MiB: the one after them is told to wait, and
// taken when one of them has ended.
func TestBodiesAreBoundedTogether(t *testing.T) {
	t.Parallel()
	const head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const event = `{"topic":"trip.created","data":1}`
	onTheWire(t, func(w *wire) {
		var open []net.Conn
		for range 32 {
			conn := w.dial()
			defer conn.Close()
			if _, err := io.WriteString(conn, head+"Transfer-Encoding: chunked\r\n\r\n"); err != nil {
				w.Fatal(err)
			}
			open = append(open, conn)
		}
		synctest.Wait()
		one := head + "Content-Length: 33\r\n\r\n" + event
		conn := w.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, one) }()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != 429 || response.Header.Get("Retry-After") == "" {
			w.Fatalf("got %+v, %v, want 429 with Retry-After", response, err)
		}
		open[0].Close()
		synctest.Wait()
		if statuses, _ := w.exchange(one); !slices.Equal(statuses, []int{202}) {
			w.Errorf("when there is room again: %v, want 202", statuses)
		}
	})
}

func TestHeadAndOptions(t *testing.T) {
	t.Parallel()
	onTheWire(t, func(w *wire) {
		conn := w.dial()
		defer conn.Close()
		reader := bufio.NewReader(conn)
		for _, test := range []struct {
			method, target string
			status         int
			allow          string
		}{
			{"HEAD", "/v1/events", 200, ""},
			{"HEAD", "/v1/stats", 200, ""},
			{"HEAD", "/healthz", 200, ""},
			{"HEAD", "/v1/nothing", 404, ""},
			{"HEAD", "/v1/subscriptions/sub_1/test", 405, "POST"},
			{"OPTIONS", "/v1/events", 405, "GET, HEAD, POST"},
			{"OPTIONS", "*", 200, ""}, // asks the server, not a path
			{"TRACE", "/v1/events", 405, "GET, HEAD, POST"},
		} {
			request := test.method + " " + test.target + " HTTP/1.1\r\nHost: x\r\n\r\n"
			go func() { _, _ = io.WriteString(conn, request) }()
			response, err := http.ReadResponse(reader, &http.Request{Method: test.method})
			if err != nil {
				w.Fatalf("%s %s: %v", test.method, test.target, err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || response.Header.Get("Allow") != test.allow {
				w.Errorf("%s %s: got %d, Allow %q, %v; want %d, %q", test.method, test.target, response.StatusCode,
					response.Header.Get("Allow"), err, test.status, test.allow)
			}
			if test.method == "HEAD" && len(body) > 0 {
				w.Errorf("%s %s has a body", test.method, test.target)
			}
		}
	})
}
