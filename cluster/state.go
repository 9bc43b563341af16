package cluster

import (
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// State is a member's state of which the retry state of subscriptions is on the replicas of
// their shards too: a write of it is done when those have it (I2). Everything else is the
// member's own.
type State struct {
	engine.State

	node *Node
}

// State makes the replicated state out of the member's own.
func (n *Node) State(own engine.State) *State { return &State{State: own, node: n} }

// Write implements engine.State. The retry state in one write belongs to one subscription.
func (s *State) Write(changes []engine.Write, done func()) error {
	entries, rest, err := s.node.options.Codec.EntriesOf(changes)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return s.State.Write(changes, done)
	}
	return s.node.store(entries, rest, done)
}

// store gives a change to this member's disk before it returns, so that a caller's writes keep
// their order, and to the replicas.
func (n *Node) store(entries []engine.Entry, rest []engine.Write, done func()) error {
	n.mu.Lock()
	token := n.core.Store(time.Now(), engine.ShardOf(entries[0].Subscription), entries)
	n.durable[token] = done
	for _, e := range n.core.Effects() {
		if w, own := e.(protocol.WriteEntries); !own || w.Token != token {
			n.queue = append(n.queue, e)
		}
	}
	n.mu.Unlock()
	n.rouse()
	return n.options.Disk.MergeEntries(entries, rest, n.written(token))
}
