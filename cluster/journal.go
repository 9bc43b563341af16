package cluster

import (
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// Journal is a journal of this life that is copied to other members: what is appended is done
// when as many of them have it as the replication asks for (I1). Everything else is the
// journal's own.
type Journal struct {
	engine.Journal

	node *Node
}

// Keep begins a journal of this life, which is empty.
func (n *Node) Keep(lane string, journal engine.Journal) *Journal {
	n.mu.Lock()
	n.commits[journal.ID()] = nil
	n.mu.Unlock()
	n.do(func(core *protocol.Member) {
		core.Keep(time.Now(), protocol.JournalRef{
			ID: journal.ID(), Origin: n.options.Self.ID, Boot: n.options.Self.Boot, Lane: lane,
		})
	})
	return &Journal{Journal: journal, node: n}
}

// Append implements engine.Journal.
func (j *Journal) Append(records []engine.Record, done func()) (first uint64, err error) {
	return j.Journal.Append(records, func() {
		// What others appended meanwhile may be waited for too; their sync is over.
		j.node.synced(j.ID(), j.Synced(), done)
	})
}

func (n *Node) synced(journal engine.JournalID, through uint64, done func()) {
	n.mu.Lock()
	n.commits[journal] = append(n.commits[journal], waitingCommit{through, done})
	n.mu.Unlock()
	n.do(func(core *protocol.Member) { core.Synced(time.Now(), journal, through) })
}

// committed answers what enough members have.
func (n *Node) committed(e protocol.Committed) {
	n.mu.Lock()
	waiting := n.commits[e.Journal]
	ready := 0
	for ready < len(waiting) && waiting[ready].through <= e.Through {
		ready++
	}
	n.commits[e.Journal] = waiting[ready:]
	n.mu.Unlock()
	for _, w := range waiting[:ready] {
		w.done()
	}
}

// keeps tells whether a journal is one of this life.
func (n *Node) keeps(journal engine.JournalID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.Keeps(journal)
}
