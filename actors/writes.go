package actors

import (
	"sync/atomic"

	"pannier/engine"
)

// One turn of an actor may end any number of deliveries, each with its event, and a checkpoint may
// have the cursors of any number of subscriptions: more than the state takes at once, and than one
// message to another member carries. What goes together then is cut, but not what is said of one
// delivery, nor a watermark from what stands right before it. A crash between two cuts is like
// one before the end of a turn.
const (
	maxGroupBytes  = 512 << 10
	maxGroupWrites = 1000
)

// write queues changes; done is called when all of them are durable. The state refuses only after
// it was closed, which is after the actors have ended.
func (s *System) write(changes []engine.Write, done func()) {
	groups := groupsOf(changes)
	if len(groups) > 1 {
		var left atomic.Int64
		left.Store(int64(len(groups)))
		all := done
		done = func() {
			if left.Add(-1) == 0 {
				all()
			}
		}
	}
	for _, group := range groups {
		if err := s.state.Write(group, done); err != nil {
			s.logger.Error("state refused a write", "error", err)
		}
	}
}

// groupsOf cuts changes into groups, in order; it gives one at least.
func groupsOf(changes []engine.Write) (groups [][]engine.Write) {
	first, bytes := 0, 0
	for n, change := range changes {
		size := bytesOf(change)
		if n > first && begins(change) && (bytes+size > maxGroupBytes || n-first >= maxGroupWrites) {
			groups = append(groups, changes[first:n])
			first, bytes = n, 0
		}
		bytes += size
	}
	return append(groups, changes[first:])
}

// begins tells whether what follows is about something else: whatever is written of a delivery
// begins with its record or its dead letter.
func begins(change engine.Write) bool {
	switch change.(type) {
	case engine.PutRetryRecord, engine.PutDeadLetter, engine.PutCursor:
		return true
	default:
		return false
	}
}

// bytesOf is about what a change takes.
func bytesOf(change engine.Write) int {
	const small, rangeBytes = 256, 20
	switch w := change.(type) {
	case engine.PutRetryRecord:
		return small + eventBytes(w.Body)
	case engine.PutDeadLetter:
		return small + eventBytes(w.Event)
	case engine.PutCursor:
		return small + rangeBytes*len(w.Ranges)
	default:
		return small
	}
}

func eventBytes(e *engine.Event) int {
	if e == nil {
		return 0
	}
	return len(e.Data) + len(e.Extensions) + len(e.Topic) + len(e.ID)
}
