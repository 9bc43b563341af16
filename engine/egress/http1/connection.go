package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// errHeadersTooLarge is the end of a response whose headers pass their bound.
var errHeadersTooLarge = errors.New("the headers of the response are too large")

// post tells net/http's parser what a response is for: it may have a body.
var post = &http.Request{Method: http.MethodPost}

// connection carries one request after the other. Not safe for concurrent use, but for
// interrupt.
type connection struct {
	to        Server
	stream    net.Conn // over TLS where the server asks for it
	socket    syscall.RawConn
	peek      func(descriptor uintptr) bool
	quiet     bool // peek found nothing to read and no end
	watched   <-chan struct{}
	unwatch   func() bool
	idleSince time.Time

	unread int64 // of the response's bound; see Read
}

func newConnection(raw net.Conn, to Server) (*connection, error) {
	socket, ok := raw.(syscall.Conn)
	if !ok {
		return nil, errors.New("a connection without a socket")
	}
	c := &connection{to: to, stream: raw}
	var err error
	if c.socket, err = socket.SyscallConn(); err != nil {
		return nil, err
	}
	c.peek = func(descriptor uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(descriptor), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		c.quiet = errors.Is(err, syscall.EAGAIN)
		return true
	}
	return c, nil
}

func (c *connection) close() {
	if c.unwatch != nil {
		c.unwatch()
	}
	_ = c.stream.Close() // nothing follows from it
}

// watch has the end of ctx interrupt the exchanges. It stays in force between them: requests
// of one process end together, and to begin it anew for each costs as much as its headers.
func (c *connection) watch(ctx context.Context) {
	if c.watched == ctx.Done() {
		return
	}
	if c.unwatch != nil {
		c.unwatch()
	}
	c.watched, c.unwatch = ctx.Done(), context.AfterFunc(ctx, c.interrupt)
}

// interrupt ends an exchange.
func (c *connection) interrupt() { _ = c.stream.SetDeadline(time.Unix(1, 0)) }

// alive tells whether a kept connection can carry a request, and sets its deadline. What
// the server sent while nothing was asked (its end, a farewell of TLS, a response to
// nothing) makes it useless.
func (c *connection) alive(deadline time.Time) bool {
	if c.to.TLS && !c.nothingDecrypted() {
		return false
	}
	if c.stream.SetDeadline(deadline) != nil {
		return false
	}
	c.quiet = false
	return c.socket.Read(c.peek) == nil && c.quiet
}

// nothingDecrypted tells that TLS has taken no record from the socket that nobody has read.
func (c *connection) nothingDecrypted() bool {
	var one [1]byte
	c.interrupt() // so that the socket is not read
	_, err := c.stream.Read(one[:])
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// Read implements io.Reader: it is the connection with a bound, and is read by the parser
// only.
func (c *connection) Read(b []byte) (int, error) {
	if c.unread <= 0 {
		return 0, errHeadersTooLarge
	}
	n, err := c.stream.Read(b[:min(int64(len(b)), c.unread)])
	c.unread -= int64(n)
	return n, err
}

// readers are small: each request under way holds one, and few responses are longer.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 1<<10) }}

// read reads the response. reusable: nothing is left of it on the connection.
func (c *connection) read(deadline time.Time, o *Options) (_ Response, reusable bool, _ error) {
	reader := readers.Get().(*bufio.Reader) //nolint:forcetypeassert // the pool holds nothing else
	reader.Reset(c)
	defer func() {
		reader.Reset(nil)
		readers.Put(reader)
	}()
	c.unread = o.MaxHeaderBytes
	h, err := readHead(reader)
	if err != nil {
		return Response{}, false, err
	}
	found := Response{Status: h.status, RetryAfter: h.retryAfter}
	if h.status == http.StatusSwitchingProtocols {
		return found, false, nil
	}
	complete := h.body == nil
	if !complete {
		if patience := time.Now().Add(o.BodyPatience); patience.Before(deadline) {
			deadline = patience
		}
		c.unread = int64(o.MaxBody) + maxChunkOverhead
		if c.stream.SetReadDeadline(deadline) == nil {
			found.Body, complete = readBody(h.body, o.MaxBody)
		}
	}
	return found, complete && !h.close && reader.Buffered() == 0, nil
}

// maxChunkOverhead is what the framing of a body may take beside the body.
const maxChunkOverhead = 4 << 10

// readBody reads the beginning of a body. complete: there was no more, and no error.
func readBody(body io.Reader, most int) (_ []byte, complete bool) {
	beginning, err := io.ReadAll(io.LimitReader(body, int64(most)))
	return beginning, err == nil && len(beginning) < most
}
