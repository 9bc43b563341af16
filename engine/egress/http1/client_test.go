package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pannier/engine/egress/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	request   = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	noContent = "HTTP/1.1 204 No Content\r\n\r\n"
	long      = 10 * time.Second
)

// endpoint answers requests on bare sockets.
type endpoint struct {
	to          http1.Server
	roots       *x509.CertPool
	connections atomic.Int64
	halfClosed  chan struct{} // one for each connection that the server has
	ended       chan struct{} // one for each connection whose client has closed it
}

// newEndpoint answers each request with what serve gives; "" half-closes the connection.
func newEndpoint(t *testing.T, secure bool, serve func(n int64) string) *endpoint {
	t.Helper()
	e := &endpoint{halfClosed: make(chan struct{}, 16), ended: make(chan struct{}, 16)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.to = http1.Server{Address: listener.Addr().String(), Name: "example.com", TLS: secure}
	if secure {
		server := httptest.NewUnstartedServer(nil) // it has a certificate for example.com
		server.StartTLS()
		e.roots = x509.NewCertPool()
		e.roots.AddCert(server.Certificate())
		listener = tls.NewListener(listener, &tls.Config{Certificates: server.TLS.Certificates, NextProtos: []string{"http/1.1"}})
		server.Close()
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.connections.Add(1)
			serving.Go(func() { e.converse(conn, serve) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return e
}

func (e *endpoint) converse(conn net.Conn, serve func(n int64) string) {
	defer conn.Close()
	defer func() { e.ended <- struct{}{} }()
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		answer := serve(e.connections.Load())
		if text, halfClosed := strings.CutSuffix(answer, "<end>"); halfClosed {
			_, _ = io.WriteString(conn, text)
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
			e.halfClosed <- struct{}{}
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

func newClient(t *testing.T, e *endpoint, change func(*http1.Options)) *http1.Client {
	t.Helper()
	o := http1.Options{
		Dial: new(net.Dialer).DialContext, TLS: &tls.Config{RootCAs: e.roots}, MaxIdle: 8, MaxIdlePerServer: 8,
		IdleTimeout: time.Hour, MaxHeaderBytes: 1 << 10, MaxBody: 16, BodyPatience: 50 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	c := http1.New(o)
	t.Cleanup(c.CloseIdle)
	return c
}

func exchange(ctx context.Context, c *http1.Client, to http1.Server, timeout time.Duration) (http1.Response, error) {
	e, err := c.Begin(ctx, to, []byte(request), time.Now().Add(timeout))
	if err != nil {
		return http1.Response{}, err
	}
	return e.End()
}

func send(t *testing.T, c *http1.Client, to http1.Server) (http1.Response, error) {
	t.Helper()
	return exchange(t.Context(), c, to, long)
}

// Which responses leave a connection that carries the next request.
func TestConnectionIsKept(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer, body string
		want               int64 // connections for two requests
	}{
		{"no content", noContent, "", 1},
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 1},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", 1},
		{"informational first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + noContent, "", 1},
		{"announced end", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", "abc", 2},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 2},
		{"HTTP/1.0 that is kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", "abc", 1},
		{"up to the end", "HTTP/1.1 200 OK\r\n\r\nabc<end>", "abc", 2},
		{"silent end", noContent + "<end>", "", 2},
		{"longer than its length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "ab", 2},
		{"longer than the buffer", "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + strings.Repeat("a", 17), strings.Repeat("a", 16), 2},
		{"never complete", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", "abc", 2},
		{"switches protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "", 2},
		{"second response", noContent + noContent, "", 2},
	}
	for _, test := range tests {
		for _, secure := range []bool{false, true} {
			name := test.name
			if secure {
				name += " over TLS"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := newEndpoint(t, secure, func(int64) string { return test.answer })
				c := newClient(t, e, nil)
				for range 2 {
					if got, err := send(t, c, e.to); err != nil || string(got.Body) != test.body {
						t.Fatalf("got %+v, %v", got, err)
					}
					if strings.HasSuffix(test.answer, "<end>") {
						<-e.halfClosed // it would be a race otherwise, for every client
					}
				}
				if got := e.connections.Load(); got != test.want {
					t.Errorf("%d connections, want %d", got, test.want)
				}
			})
		}
	}
}

func TestErrSend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer, want string
	}{
		{"end", "<end>", "unexpected EOF"},
		{"end within the headers", "HTTP/1.1 200 OK\r\nX-A: <end>", "unexpected EOF"},
		{"not HTTP", "hello\r\n\r\n", "malformed"},
		{"headers too large", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1<<10) + "\r\n\r\n", "too large"},
		{"informational for ever", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 64), "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, false, func(int64) string { return test.answer })
			_, err := send(t, newClient(t, e, nil), e.to)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			<-e.ended // it is closed, not kept
		})
	}
}

func TestDeadlineAndInterrupt(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, false, func(int64) string { return "HTTP/1.1 200 OK\r\n" })
	c := newClient(t, e, nil)
	var timeout net.Error
	_, err := exchange(t.Context(), c, e.to, 20*time.Millisecond)
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
	<-e.ended
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := exchange(ctx, c, e.to, long); err == nil || ctx.Err() == nil {
		t.Errorf("got %v, context %v", err, ctx.Err())
	}
	<-e.ended
}

func TestBoundsOfThePool(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		most, perServer int
	}{{"per server", 8, 1}, {"in all", 1, 8}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var together sync.WaitGroup
			together.Add(2)
			e := newEndpoint(t, false, func(int64) string {
				together.Done()
				together.Wait() // two requests at once need two connections
				return noContent
			})
			c := newClient(t, e, func(o *http1.Options) { o.MaxIdle, o.MaxIdlePerServer = test.most, test.perServer })
			var sending sync.WaitGroup
			for range 2 {
				sending.Go(func() {
					if _, err := send(t, c, e.to); err != nil {
						t.Error(err)
					}
				})
			}
			sending.Wait()
			<-e.ended // of one, while the other is kept
			if len(e.ended) != 0 || e.connections.Load() != 2 {
				t.Errorf("%d more have ended, of %d", len(e.ended), e.connections.Load())
			}
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, false, func(int64) string { return noContent })
	c := newClient(t, e, func(o *http1.Options) { o.IdleTimeout = 20 * time.Millisecond })
	if _, err := send(t, c, e.to); err != nil {
		t.Fatal(err)
	}
	<-e.ended
}

// A connection that its server has closed is not kept for the timeout.
func TestEndedConnectionIsClosed(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, false, func(int64) string { return noContent + "<end>" })
	c := newClient(t, e, func(o *http1.Options) { o.IdleTimeout = 2 * time.Second }) // looked at 20 times
	begin := time.Now()
	if _, err := send(t, c, e.to); err != nil {
		t.Fatal(err)
	}
	<-e.ended
	if took := time.Since(begin); took >= 2*time.Second {
		t.Errorf("closed after %v", took)
	}
}
