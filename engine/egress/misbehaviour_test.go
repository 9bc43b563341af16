package egress_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/egress"
)

// short is the timeout of attempts that are meant to run into it.
const short = 150 * time.Millisecond

// hang waits on an open connection for the end of the test.
func hang(to **receiver) bool {
	<-(*to).done
	return false
}

func TestNoResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		want  string
		serve func(to **receiver, conn *net.TCPConn) bool
	}{
		{"reset", "connection reset", func(_ **receiver, conn *net.TCPConn) bool {
			_ = conn.SetLinger(0)
			return false
		}},
		{"closed after reading", "connection closed", func(**receiver, *net.TCPConn) bool { return false }},
		{"closed within the headers", "connection closed", func(_ **receiver, conn *net.TCPConn) bool {
			return answering("HTTP/1.1 200 OK\r\nX-A: b\r\n", false)(conn, receivedRequest{})
		}},
		{"hangs before the headers", "timeout", func(to **receiver, _ *net.TCPConn) bool { return hang(to) }},
		{"hangs within the headers", "timeout", func(to **receiver, conn *net.TCPConn) bool {
			answering("HTTP/1.1 200 OK\r\nX-A: ", true)(conn, receivedRequest{})
			return hang(to)
		}},
		{"hangs after 1xx", "timeout", func(to **receiver, conn *net.TCPConn) bool {
			answering("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", true)(conn, receivedRequest{})
			return hang(to)
		}},
		{"flood of 1xx", "invalid response", func(_ **receiver, conn *net.TCPConn) bool {
			for answering("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", true)(conn, receivedRequest{}) {
			}
			return false
		}},
	}
	for _, test := range tests {
		for by, attempt := range clients {
			t.Run(test.name+by, func(t *testing.T) {
				t.Parallel()
				var to *receiver
				to = newReceiver(t, func(conn *net.TCPConn, _ receivedRequest) bool { return test.serve(&to, conn) })
				s := newSubscription(to.url())
				if test.want == "timeout" {
					s.Timeout = short
				}
				begin := time.Now()
				got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(s))
				want := engine.Result{Outcome: engine.OutcomeFailure, Error: test.want, RetryAfter: -1}
				if got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				if elapsed := time.Since(begin); test.want == "timeout" && elapsed < short {
					t.Errorf("gave up after %v of %v", elapsed, short)
				}
				if n := to.requests.Load(); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		}
	}
}

func TestInvalidResponse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, response string }{
		{"huge header", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("x", egress.MaxResponseHeaderBytes) + "\r\n\r\n"},
		{"many headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", egress.MaxResponseHeaderBytes/8) + "\r\n"},
		{"no HTTP", "hello\r\n\r\n"},
		{"status is no number", "HTTP/1.1 abc OK\r\n\r\n"},
		{"status is negative", "HTTP/1.1 -20 OK\r\n\r\n"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
		{"header without colon", "HTTP/1.1 200 OK\r\nX-A\r\n\r\n"},
	}
	for _, test := range tests {
		for by, attempt := range clients {
			t.Run(test.name+by, func(t *testing.T) {
				t.Parallel()
				to := newReceiver(t, answering(test.response, true))
				got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(newSubscription(to.url())))
				want := engine.Result{Outcome: engine.OutcomeFailure, Error: "invalid response", RetryAfter: -1}
				if got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		}
	}
}

// The largest headers that are taken, to show where the bound is.
func TestLargeHeadersAreTaken(t *testing.T) {
	t.Parallel()
	response := "HTTP/1.1 204 x\r\nX-A: " + strings.Repeat("x", egress.MaxResponseHeaderBytes-64) + "\r\n\r\n"
	to := newReceiver(t, answering(response, true))
	got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(newSubscription(to.url())))
	if got.Outcome != engine.OutcomeSuccess {
		t.Errorf("got %+v", got)
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(newSubscription("http://"+listener.Addr().String())))
	want := engine.Result{Outcome: engine.OutcomeFailure, Error: "connection refused", RetryAfter: -1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestBodyChangesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, excerpt string
		serve         func(to **receiver, conn *net.TCPConn) bool
	}{
		{"hangs after the headers", "", func(to **receiver, conn *net.TCPConn) bool {
			answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", true)(conn, receivedRequest{})
			return hang(to)
		}},
		{"hangs within the body", "ab", func(to **receiver, conn *net.TCPConn) bool {
			answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", true)(conn, receivedRequest{})
			return hang(to)
		}},
		{"shorter than its length", "abc", func(_ **receiver, conn *net.TCPConn) bool {
			return answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false)(conn, receivedRequest{})
		}},
		{"longer than its length", "abc", func(_ **receiver, conn *net.TCPConn) bool {
			return answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", true)(conn, receivedRequest{})
		}},
		{"broken chunks", "abc", func(_ **receiver, conn *net.TCPConn) bool {
			return answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", true)(conn, receivedRequest{})
		}},
		{"reset after the headers", "", func(_ **receiver, conn *net.TCPConn) bool {
			// The reset must not overtake the headers, so it waits for the length to be
			// missed: the sender reads on until the connection ends.
			answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", true)(conn, receivedRequest{})
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.SetLinger(0)
			return false
		}},
	}
	for _, test := range tests {
		for by, attempt := range clients {
			t.Run(test.name+by, func(t *testing.T) {
				t.Parallel()
				var to *receiver
				to = newReceiver(t, func(conn *net.TCPConn, _ receivedRequest) bool { return test.serve(&to, conn) })
				s := newSubscription(to.url())
				s.Timeout = 500 * time.Millisecond
				got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(s))
				want := engine.Result{Outcome: engine.OutcomeSuccess, Status: 200, RetryAfter: -1, Excerpt: test.excerpt}
				if got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		}
	}
}

func TestSlowBodyIsLeftAlone(t *testing.T) {
	t.Parallel()
	var to *receiver
	to = newReceiver(t, func(conn *net.TCPConn, _ receivedRequest) bool {
		answering("HTTP/1.1 200 OK\r\n\r\nab", true)(conn, receivedRequest{})
		return hang(&to)
	})
	s := newSubscription(to.url()) // its timeout is far beyond the patience with bodies
	begin := time.Now()
	got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(s))
	if got.Outcome != engine.OutcomeSuccess || got.Excerpt != "ab" || time.Since(begin) > s.Timeout/2 {
		t.Errorf("got %+v after %v", got, time.Since(begin))
	}
}

func TestEndlessBodyIsCut(t *testing.T) {
	t.Parallel()
	written := make(chan int64, 1)
	to := newReceiver(t, func(conn *net.TCPConn, _ receivedRequest) bool {
		answering("HTTP/1.1 200 OK\r\n\r\n", true)(conn, receivedRequest{})
		var total int64
		chunk := bytes.Repeat([]byte("a"), 64<<10)
		for {
			n, err := conn.Write(chunk)
			total += int64(n)
			if err != nil {
				written <- total
				return false
			}
		}
	})
	got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(newSubscription(to.url())))
	want := engine.Result{
		Outcome: engine.OutcomeSuccess, Status: 200, RetryAfter: -1,
		Excerpt: strings.Repeat("a", engine.MaxResponseBody),
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
	// The rest lies in the buffers of the kernel, which are megabytes at most.
	if total := <-written; total > 64<<20 {
		t.Errorf("%d bytes were taken", total)
	}
}

func TestCompressedBodyStaysSo(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	writer := gzip.NewWriter(&bomb)
	_, _ = writer.Write(make([]byte, 10<<20))
	_ = writer.Close()
	to := newReceiver(t, func(conn *net.TCPConn, _ receivedRequest) bool {
		_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", bomb.Len(), bomb.Bytes())
		return err == nil
	})
	got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(newSubscription(to.url())))
	if got.Outcome != engine.OutcomeSuccess || !strings.HasPrefix(got.Excerpt, "\uFFFD\uFFFD") || strings.Contains(got.Excerpt, "\x00") {
		t.Errorf("got %+v", got)
	}
}

func TestConnectionClosedBetweenRequests(t *testing.T) {
	t.Parallel()
	left := make(chan struct{}, 2)
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		answering(noContent, true)(conn, request)
		_ = conn.CloseWrite()
		left <- struct{}{}
		_, _ = io.Copy(io.Discard, conn) // ends when the sender has noticed
		return false
	})
	sender, s := newSender(t, egress.SenderOptions{}), newSubscription(to.url())
	for range 2 {
		if got := sender.Send(t.Context(), attempt(s)); got.Outcome != engine.OutcomeSuccess {
			t.Fatalf("got %+v", got)
		}
		<-left
	}
}

// An endpoint that dies while it works may have done the work: a second request must be a
// second attempt, on a kept connection too.
func TestOneSendIsOneRequest(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, func(conn *net.TCPConn, request receivedRequest) bool {
		return request.Header.Get("Webhook-Attempt") == "1" && answering(noContent, true)(conn, request)
	})
	sender, request := newSender(t, egress.SenderOptions{}), attempt(newSubscription(to.url()))
	if got := sender.Send(t.Context(), request); got.Outcome != engine.OutcomeSuccess {
		t.Fatalf("got %+v", got)
	}
	request.Number = 2
	if got := sender.Send(t.Context(), request); got.Outcome != engine.OutcomeFailure || got.Error != "connection closed" {
		t.Errorf("got %+v", got)
	}
	if n, c := to.requests.Load(), to.connections.Load(); n != 2 || c != 1 {
		t.Errorf("%d requests on %d connections, want 2 on 1", n, c)
	}
}
