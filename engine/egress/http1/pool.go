package http1

import (
	"slices"
	"sync"
	"time"
)

// pool keeps connections between requests. Safe for concurrent use.
type pool struct {
	max, maxPerServer int
	timeout           time.Duration

	mu     sync.Mutex
	idle   map[Server][]*connection // the last one was used last
	count  int
	reaper *time.Timer // nil: nothing is kept
}

func newPool(most, mostPerServer int, timeout time.Duration) *pool {
	return &pool{max: most, maxPerServer: mostPerServer, timeout: timeout, idle: make(map[Server][]*connection)}
}

// take gives the connection that was used last, the one most likely to be alive; nil:
// there is none.
func (p *pool) take(to Server) *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[to]
	if len(kept) == 0 {
		return nil
	}
	last := len(kept) - 1
	conn := kept[last]
	kept[last] = nil
	p.idle[to] = kept[:last]
	p.count--
	return conn
}

// put keeps a connection. The oldest of another server makes room for it.
func (p *pool) put(c *connection) {
	c.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle[c.to]) >= p.maxPerServer {
		c.close()
		return
	}
	if p.count >= p.max {
		p.dropOne()
	}
	p.idle[c.to] = append(p.idle[c.to], c)
	p.count++
	if p.reaper == nil {
		p.reaper = time.AfterFunc(p.timeout/reapsPerTimeout, p.reap)
	}
}

// dropOne closes the oldest connection of some server.
func (p *pool) dropOne() {
	for to, kept := range p.idle {
		if len(kept) > 0 {
			p.drop(to, 1)
			return
		}
	}
}

// drop closes the n oldest connections of a server.
func (p *pool) drop(to Server, n int) {
	for _, c := range p.idle[to][:n] {
		c.close()
	}
	p.keep(to, slices.Clone(p.idle[to][n:]))
}

// keep replaces the connections of a server.
func (p *pool) keep(to Server, kept []*connection) {
	p.count += len(kept) - len(p.idle[to])
	if p.idle[to] = kept; len(kept) == 0 {
		delete(p.idle, to)
	}
}

// reap closes what was not used for the timeout, and what its server has closed: nothing
// else would look at it until it is wanted.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := time.Now().Add(-p.timeout)
	for to, conns := range p.idle {
		kept := make([]*connection, 0, len(conns))
		for _, c := range conns {
			if c.idleSince.After(before) && c.alive(time.Time{}) {
				kept = append(kept, c)
			} else {
				c.close()
			}
		}
		p.keep(to, kept)
	}
	p.reaper = nil
	if p.count > 0 {
		p.reaper = time.AfterFunc(p.timeout/reapsPerTimeout, p.reap)
	}
}

// reapsPerTimeout is how often the pool looks within a timeout.
const reapsPerTimeout = 20

// clear closes all there is.
func (p *pool) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for to, kept := range p.idle {
		p.drop(to, len(kept))
	}
}
