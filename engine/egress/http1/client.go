// Package http1 is a client of HTTP/1.1 for many small requests over kept connections. One
// goroutine writes a request and reads its response; net/http's client has two of its own
// on each connection and passes everything between three, which costs as much as the
// rest of an attempt.
//
// What it leaves out is what a delivery has no use for: redirects, cookies, proxies,
// compression, pipelining, upgrades, bodies that stream. Responses are parsed by net/http.
//
// It is meant for requests that the kernel takes whole (MaxRequestBytes): the response is
// read only once all is written, so a longer request could wait for a server that has
// answered already and reads no more.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// MaxRequestBytes bounds a request: what Linux sends to a peer that does not read is twice
// as much at least (a first window of 64 KiB).
const MaxRequestBytes = 32 << 10

// Options are what a Client is made from; all are required.
type Options struct {
	// Dial opens a connection. It judges the address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for the servers whose Server.TLS is set; NextProtos and ServerName are set here.
	TLS *tls.Config
	// MaxIdle and MaxIdlePerServer bound the connections that are kept, and IdleTimeout for
	// how long.
	MaxIdle, MaxIdlePerServer int
	IdleTimeout               time.Duration
	// MaxHeaderBytes bounds the headers of a response, the 1xx ones before it included.
	MaxHeaderBytes int64
	// MaxBody bounds what is read of a body: with more to come the connection is closed.
	// BodyPatience is how long a body may take after the headers.
	MaxBody      int
	BodyPatience time.Duration
}

// Server is where requests go; it is the key of kept connections.
type Server struct {
	Address string // host:port
	Name    string // what its certificate must be for
	TLS     bool
}

// Response is what is left of a response.
type Response struct {
	Status int
	// RetryAfter is the first header of that name.
	RetryAfter string
	Body       []byte // the beginning of it
}

// Client sends requests. Safe for concurrent use.
type Client struct {
	options Options
	pool    *pool
}

// New makes a Client.
func New(o Options) *Client {
	o.TLS = o.TLS.Clone()
	o.TLS.NextProtos = []string{"http/1.1"}
	return &Client{options: o, pool: newPool(o.MaxIdle, o.MaxIdlePerServer, o.IdleTimeout)}
}

// CloseIdle closes the connections that carry no request.
func (c *Client) CloseIdle() { c.pool.clear() }

// Begin writes a request, whole with its headers, on a connection to a server; request may
// be used for something else afterwards, so that thousands of requests under way hold no
// buffers. The deadline and the end of ctx are those of the whole exchange. The request is
// sent once: again only if a kept connection turns out to be closed before anything was
// written. Errors are those of the dial, of TLS and of the connection.
func (c *Client) Begin(ctx context.Context, to Server, request []byte, deadline time.Time) (*Exchange, error) {
	conn, err := c.connect(ctx, to, deadline)
	if err != nil {
		return nil, err
	}
	conn.watch(ctx)
	err = ctx.Err() // it may have ended before the deadline was set
	if err == nil {
		_, err = conn.stream.Write(request)
	}
	if err != nil {
		conn.close()
		return nil, err
	}
	return &Exchange{client: c, ctx: ctx, conn: conn, deadline: deadline}, nil
}

// connect gives a kept connection or makes one.
func (c *Client) connect(ctx context.Context, to Server, deadline time.Time) (*connection, error) {
	for conn := c.pool.take(to); conn != nil; conn = c.pool.take(to) {
		if conn.alive(deadline) {
			return conn, nil
		}
		conn.close()
	}
	return c.open(ctx, to, deadline)
}

// Exchange is a request that was written and whose response has not been read. End must be
// called, once.
type Exchange struct {
	client   *Client
	ctx      context.Context //nolint:containedctx // of one exchange
	conn     *connection
	deadline time.Time
}

// End reads the response: its headers, and the beginning of its body as far as MaxBody and
// BodyPatience allow; what is wrong with the body does not matter. The connection is kept
// where the response allows. Errors are those of the connection and of net/http's parser.
func (e *Exchange) End() (Response, error) {
	response, reusable, err := e.conn.read(e.deadline, &e.client.options)
	if err == nil && reusable && e.ctx.Err() == nil {
		e.client.pool.put(e.conn)
	} else {
		e.conn.close()
	}
	return response, err
}

// open makes a connection.
func (c *Client) open(ctx context.Context, to Server, deadline time.Time) (*connection, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := c.options.Dial(ctx, "tcp", to.Address)
	if err != nil {
		return nil, err
	}
	conn, err := newConnection(raw, to)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if to.TLS {
		config := c.options.TLS.Clone()
		config.ServerName = to.Name
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.close()
			return nil, err
		}
		conn.stream = secure
	}
	if err := conn.stream.SetDeadline(deadline); err != nil {
		conn.close()
		return nil, err
	}
	return conn, nil
}
