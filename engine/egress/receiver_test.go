package egress_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/egress"
	"pannier/engine/egress/http1"
	"pannier/engine/match"
	"pannier/engine/signature"
)

// receiver is an endpoint on a bare socket, so that it can misbehave below HTTP.
type receiver struct {
	listener    net.Listener
	connections atomic.Int64
	requests    atomic.Int64
	open        sync.WaitGroup
	done        chan struct{} // closed when the test ends
}

// receivedRequest is a request with its body read.
type receivedRequest struct {
	*http.Request
	body []byte
}

// newReceiver serves each request of each connection with serve until serve returns false.
func newReceiver(tb testing.TB, serve func(conn *net.TCPConn, request receivedRequest) bool) *receiver {
	tb.Helper()
	return newReceiverAt(tb, "127.0.0.1:0", serve)
}

func newReceiverAt(tb testing.TB, address string, serve func(*net.TCPConn, receivedRequest) bool) *receiver {
	tb.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{listener: listener, done: make(chan struct{})}
	r.open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.connections.Add(1)
			r.open.Go(func() { r.converse(conn.(*net.TCPConn), serve) })
		}
	})
	tb.Cleanup(func() {
		close(r.done)
		_ = listener.Close()
		r.open.Wait()
	})
	return r
}

func (r *receiver) converse(conn *net.TCPConn, serve func(*net.TCPConn, receivedRequest) bool) {
	defer conn.Close()
	defer context.AfterFunc(closed(r.done), func() { _ = conn.Close() })()
	reader := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		r.requests.Add(1)
		if !serve(conn, receivedRequest{request, body}) {
			return
		}
	}
}

// closed gives a context that ends when done is closed.
func closed(done <-chan struct{}) context.Context { return channelContext{done} }

type channelContext struct{ done <-chan struct{} }

func (channelContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c channelContext) Done() <-chan struct{}     { return c.done }
func (channelContext) Value(any) any               { return nil }
func (c channelContext) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

func (r *receiver) url() string {
	return "http://" + r.listener.Addr().String() + "/hooks/bikes?token=canary"
}

// answering gives a serve function that writes text and keeps the connection when keep.
func answering(text string, keep bool) func(*net.TCPConn, receivedRequest) bool {
	return func(conn *net.TCPConn, _ receivedRequest) bool {
		_, err := io.WriteString(conn, text)
		return err == nil && keep
	}
}

const noContent = "HTTP/1.1 204 No Content\r\n\r\n"

// newSender is a sender that may reach loopback.
func newSender(tb testing.TB, options egress.SenderOptions) *egress.Sender {
	tb.Helper()
	if options.Guard == nil {
		options.Guard = egress.NewGuard(egress.GuardOptions{
			AllowInsecure: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		})
	}
	options.Version = "1.2.3"
	sender := egress.NewSender(options)
	tb.Cleanup(sender.Close)
	return sender
}

var subscriptions atomic.Int64

func newSubscription(url string) *engine.Subscription {
	return &engine.Subscription{
		ID: engine.NewSubscriptionID(), Tenant: "default", URL: url, Topics: []match.Pattern{"*"},
		Enabled: true, Secrets: []engine.ValidSecret{{Secret: signature.NewSecret()}},
		Timeout: 10 * time.Second, Success: engine.SuccessBelow400,
		MaxInFlight: 64, Version: int(subscriptions.Add(1)),
	}
}

func newEvent() *engine.Event {
	return &engine.Event{
		ID: "evt_1", Topic: "trip.created", Data: []byte(`{"bike":7}`),
		Timestamp: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC),
	}
}

func attempt(s *engine.Subscription) *engine.SendRequest {
	return &engine.SendRequest{Event: newEvent(), Subscription: s, Number: 1, Lane: "shared"}
}

// clients are the ways a request can go: by our own client or, where it is large, by
// net/http. Both must keep every guard.
var clients = map[string]func(*engine.Subscription) *engine.SendRequest{"": attempt, " by net/http": largeAttempt}

// largeAttempt is more than our own client takes.
func largeAttempt(s *engine.Subscription) *engine.SendRequest {
	request := attempt(s)
	request.Event.Data = bytes.Repeat([]byte("1"), http1.MaxRequestBytes)
	return request
}
