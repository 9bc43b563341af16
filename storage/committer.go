package storage

import (
	"sync"
	"sync/atomic"
	"time"

	"pannier/engine"
)

const (
	// QueueBytes bounds what waits for the committer in bytes; a Write blocks while the
	// queue is past it.
	QueueBytes = 16 << 20
	// QueueChanges is the same bound in keys.
	QueueChanges = 65_536
)

// committer turns the writes of many callers into few synced commits: while one commit is
// under way the next writes gather, and go together into the one after it. A write is
// never split, and writes are never reordered.
//
//	write ──► queue (bounded) ──► commit ──► done, in order
//	                                │
//	                                └─ error ──► fatal; nothing is acknowledged any more
type committer struct {
	commit  func([]change) error
	fatal   func(error)
	observe func(d time.Duration, changes int)

	mu      sync.Mutex
	wake    sync.Cond // the queue got its first write, or the committer is to end
	room    sync.Cond // the queue got shorter
	queue   []write
	bytes   int
	changes int
	closing bool

	stopped chan struct{} // closed when the goroutine has ended
	failed  atomic.Bool

	commits, committed atomic.Uint64
}

type write struct {
	changes []change
	size    int
	// extra is how many keys its late changes may change beyond one each.
	extra int
	done  func()
}

// keys bounds the keys that the write changes.
func (w write) keys() int { return len(w.changes) + w.extra }

// weight counts a write without changes too: the queue is bounded in writes as well.
func (w write) weight() int { return max(w.keys(), 1) }

var errClosed = &engine.Error{Code: engine.CodeUnavailable, Message: "the state is closed"}

// newCommitter starts the goroutine, which ends with close or with the first failed commit.
func newCommitter(commit func([]change) error, fatal func(error), observe func(time.Duration, int)) *committer {
	c := &committer{commit: commit, fatal: fatal, observe: observe, stopped: make(chan struct{})}
	c.wake.L, c.room.L = &c.mu, &c.mu
	go c.run()
	return c
}

// write queues one write and blocks while the queue is full.
func (c *committer) write(w write) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closing && c.full(w) {
		c.room.Wait()
	}
	if c.closing {
		return errClosed
	}
	c.queue = append(c.queue, w)
	c.bytes += w.size
	c.changes += w.weight()
	c.wake.Signal()
	return nil
}

// full never holds for an empty queue: a write larger than the bounds would wait for ever.
func (c *committer) full(w write) bool {
	return len(c.queue) > 0 && (c.bytes+w.size > QueueBytes || c.changes+w.weight() > QueueChanges)
}

// close commits what is queued, refuses further writes and waits for the goroutine.
func (c *committer) close() {
	c.stop()
	<-c.stopped
}

func (c *committer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.wake.Signal()
	c.room.Broadcast()
}

// fail ends the committer without another done.
func (c *committer) fail(err error) {
	if c.failed.Swap(true) {
		return
	}
	c.stop()
	c.fatal(err)
}

func (c *committer) run() {
	defer close(c.stopped)
	for {
		group, changes := c.next()
		if group == nil {
			return
		}
		if len(changes) > 0 {
			start := time.Now()
			if err := c.commit(changes); err != nil {
				c.fail(err)
			}
			if c.failed.Load() {
				return
			}
			c.commits.Add(1)
			c.committed.Add(uint64(len(changes)))
			if c.observe != nil {
				c.observe(time.Since(start), len(changes))
			}
		}
		for _, w := range group {
			if w.done != nil {
				w.done()
			}
		}
	}
}

// next takes from the queue as many writes as fit one transaction, and waits for the
// first; nil when the committer is closing and everything is committed.
func (c *committer) next() (group []write, changes []change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.closing {
		c.wake.Wait()
	}
	if len(c.queue) == 0 || c.failed.Load() {
		return nil, nil
	}
	n, size, keys, length := 0, 0, 0, 0
	for _, w := range c.queue {
		if n > 0 && (size+w.size > MaxWriteBytes || keys+w.keys() > MaxWriteChanges) {
			break
		}
		n++
		size += w.size
		keys += w.keys()
		length += len(w.changes)
	}
	group = append(group, c.queue[:n]...)
	changes = make([]change, 0, length)
	for _, w := range group {
		c.changes -= w.weight()
		changes = append(changes, w.changes...)
	}
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	c.bytes -= size
	c.room.Broadcast()
	return group, changes
}
