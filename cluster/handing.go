package cluster

import (
	"context"
	"sync"
	"time"

	"pannier/cluster/link"
	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

// handing gathers what the actors of many subscriptions hand out, so that an event goes to its
// owners once, with the names of all of them, and not once for each subscription.
type handing struct {
	mu    sync.Mutex
	out   []handOut
	ready chan struct{} // out has something
}

type handOut struct {
	event *engine.Event
	id    engine.SubscriptionID
}

// HandOut implements engine.Cluster. What is under way is bounded by the windows of the
// machines that hand out (delivery.ForwardWindow).
func (n *Node) HandOut(event *engine.Event, id engine.SubscriptionID) {
	n.handing.mu.Lock()
	n.handing.out = append(n.handing.out, handOut{event, id})
	n.handing.mu.Unlock()
	select {
	case n.handing.ready <- struct{}{}:
	default:
	}
}

// handOut gives what was gathered to the protocol, event by event.
func (n *Node) handOut() {
	for {
		select {
		case <-n.handing.ready:
		case <-n.stopped:
			return
		}
		n.handing.mu.Lock()
		out := n.handing.out
		n.handing.out = nil
		n.handing.mu.Unlock()
		n.route(out)
	}
}

func (n *Node) route(out []handOut) {
	type routed struct {
		event []byte
		ids   []engine.SubscriptionID
	}
	order := make([]engine.EventRef, 0, len(out))
	byRef := make(map[engine.EventRef]*routed, len(out))
	for _, h := range out {
		r := byRef[h.event.Ref]
		if r == nil {
			r = &routed{event: n.options.Codec.EncodeEvent(h.event)}
			byRef[h.event.Ref] = r
			order = append(order, h.event.Ref)
		}
		r.ids = append(r.ids, h.id)
	}
	n.do(func(core *protocol.Member) {
		now := time.Now()
		for _, ref := range order {
			core.Route(now, ref.Journal, ref.Sequence, byRef[ref].event, byRef[ref].ids)
		}
	})
}

// ErrNotSent is in the error of a Call whose request certainly reached nobody.
var ErrNotSent = link.ErrNotSent

// Call asks another member; see link.Link.Call. Errors: those, and unavailable (it is not seen).
func (n *Node) Call(ctx context.Context, to placement.MemberID, method string, request []byte) ([]byte, error) {
	member, seen := n.View().Member(to)
	if !seen {
		return nil, &engine.Error{Code: engine.CodeUnavailable, Message: "the member " + string(to) + " is not there", Err: ErrNotSent}
	}
	return n.link.Call(ctx, member.Address, method, request)
}

// Owns implements engine.Cluster.
func (n *Node) Owns(id engine.SubscriptionID) bool { return n.owned[engine.ShardOf(id)].Load() }

// Discharged implements engine.Cluster.
func (n *Node) Discharged(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64) {
	n.do(func(core *protocol.Member) { core.Discharged(time.Now(), journal, id, sequences) })
}

// GiveBack implements engine.Cluster.
func (n *Node) GiveBack(journal engine.JournalID, id engine.SubscriptionID, sequences []uint64, busy bool) {
	n.do(func(core *protocol.Member) { core.Returned(time.Now(), journal, id, sequences, busy) })
}

// Checkpoint implements engine.Cluster.
func (n *Node) Checkpoint(mark engine.Watermark, cursors []engine.Cursor) {
	release := mark.Release(cursors)
	account := n.options.Codec.EncodeAccount(mark, cursors)
	n.do(func(core *protocol.Member) { core.Checkpoint(time.Now(), mark.Journal, release, account) })
}

// Finished implements engine.Cluster.
func (n *Node) Finished(journal engine.JournalID) {
	n.do(func(core *protocol.Member) { core.Finish(time.Now(), journal) })
}
