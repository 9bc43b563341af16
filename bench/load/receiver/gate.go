package receiver

import (
	"net"
	"sync"
)

// gate is a listener that can be down and keeps its port meanwhile: who connects is cut
// off at once, as by a host that refuses. Another process could take a port that was given
// back.
type gate struct {
	*net.TCPListener

	mu   sync.Mutex
	down bool
	open map[*connection]bool
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		raw, err := g.AcceptTCP()
		if err != nil {
			return nil, err
		}
		c := &connection{TCPConn: raw, gate: g}
		if g.admit(c) {
			return c, nil
		}
		cut(raw)
	}
}

func (g *gate) admit(c *connection) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return false
	}
	g.open[c] = true
	return true
}

// set lets connections in again, or cuts off those there are and those to come.
func (g *gate) set(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
	if down {
		for c := range g.open {
			cut(c.TCPConn)
		}
		clear(g.open)
	}
}

// cut ends a connection with a reset.
func cut(c *net.TCPConn) {
	_ = c.SetLinger(0) // it is going away in any case
	_ = c.Close()
}

type connection struct {
	*net.TCPConn

	gate *gate
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.open, c)
	c.gate.mu.Unlock()
	return c.TCPConn.Close()
}
