package link

import "sync"

// maxNotices bounds what is remembered of mistakes that were logged.
const maxNotices = 1024

// notices has each mistake logged once, so that a peer that repeats one cannot fill the log.
// The zero value is ready.
type notices struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// first tells whether a mistake is new.
func (n *notices) first(mistake string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.seen[mistake]; known || len(n.seen) >= maxNotices {
		return false
	}
	if n.seen == nil {
		n.seen = make(map[string]struct{})
	}
	n.seen[mistake] = struct{}{}
	return true
}
