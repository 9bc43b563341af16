package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// listener takes a bounded number of connections and closes those above it at once: who may
// speak is known only after the handshake, and strangers must not take all file descriptors.
type listener struct {
	*net.TCPListener
	most int

	mu   sync.Mutex
	open map[*connection]struct{}
}

func listen(ctx context.Context, address string, most int) (*listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.New("listen: not a TCP listener")
	}
	return &listener{TCPListener: tcp, most: most, open: make(map[*connection]struct{})}, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.AcceptTCP()
		if err != nil {
			return nil, fmt.Errorf("accept: %w", err)
		}
		c := &connection{TCPConn: tcp, listener: l}
		if l.admit(c) {
			return c, nil
		}
		_ = tcp.Close() // there is nobody to tell
	}
}

func (l *listener) admit(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		return false
	}
	l.open[c] = struct{}{}
	return true
}

// cut closes every connection.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		_ = c.TCPConn.Close() // closing it again, as its owner will, does no harm
	}
}

// connection makes room for another when it is closed. It embeds the TCP connection, not
// net.Conn, because gRPC sets socket options on it.
type connection struct {
	*net.TCPConn
	listener *listener
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.TCPConn.Close()
}
