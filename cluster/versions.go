package cluster

import (
	"context"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// PutVersion puts a new version of a subscription in force on every member that is seen. It
// returns when all have it or some did not answer in time; their copies follow. Errors:
// unavailable (fewer have it than the replication asks for).
func (n *Node) PutVersion(ctx context.Context, version *engine.Subscription) error {
	answer := make(chan protocol.Propagated, 1)
	n.mu.Lock()
	token := n.core.PutVersion(time.Now(), version)
	n.changes[token] = answer
	n.takeEffects()
	n.mu.Unlock()
	n.rouse()
	select {
	case p := <-answer:
		for _, silent := range p.Silent {
			engine.NoteSilent(ctx, string(silent))
		}
		if want := min(n.options.Replication, n.View().Active()); p.Copies < want {
			return &engine.Error{
				Code: engine.CodeUnavailable, Message: "too few members have the change", RetryAfter: time.Second,
			}
		}
		return nil
	case <-ctx.Done():
		return &engine.Error{Code: engine.CodeUnavailable, Message: "the request was given up", RetryAfter: time.Second}
	case <-n.stopped:
		return &engine.Error{Code: engine.CodeUnavailable, Message: "the member is shutting down", RetryAfter: time.Second}
	}
}

func (n *Node) propagated(p protocol.Propagated) {
	n.mu.Lock()
	answer := n.changes[p.Token]
	delete(n.changes, p.Token)
	n.mu.Unlock()
	if answer != nil {
		answer <- p
	}
}

// writeVersions makes versions durable, puts them in force and tells the actors.
func (n *Node) writeVersions(e protocol.WriteVersions) {
	ids := make([]engine.SubscriptionID, len(e.Versions))
	for i, version := range e.Versions {
		ids[i] = version.ID
	}
	n.check(n.options.Disk.PutVersions(e.Versions, func() {
		n.do(func(core *protocol.Member) { core.Written(time.Now(), e.Token) })
		n.actors.Changed(ids)
	}))
}
