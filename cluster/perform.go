package cluster

import (
	"context"
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

// perform does what the protocol decided, in order.
func (n *Node) perform() {
	for {
		select {
		case <-n.work:
		case <-n.stopped:
			return
		}
		n.mu.Lock()
		effects := n.queue
		n.queue = nil
		n.mu.Unlock()
		n.taken.Broadcast()
		for _, e := range effects {
			n.effect(e)
		}
	}
}

func (n *Node) effect(e protocol.Effect) {
	switch t := e.(type) {
	case protocol.Send:
		if to, seen := n.View().Member(t.Envelope.To); seen && to.Boot == t.Envelope.ToBoot {
			n.link.Send(to.Address, t.Envelope)
		}
	case protocol.ReadFrames:
		n.readFrames(t)
	case protocol.ReadBefore:
		n.background(func() { n.readBefore(t) })
	case protocol.PrependReplica:
		n.background(func() { n.prepend(t) })
	case protocol.Examine:
		n.background(func() { n.examine(t) })
	case protocol.WriteReplica:
		if err := n.options.Disk.WriteCopy(t, n.written(t.Token)); err != nil {
			n.options.Logger.Warn("copy of a journal could not be written", "origin", string(t.Journal.Origin), "error", err)
			n.do(func(core *protocol.Member) { core.CopyFailed(t) })
		}
	case protocol.WriteProgress:
		n.options.Disk.SaveAccount(t.Journal, t.Release, t.State)
	case protocol.DropReplica:
		n.options.Disk.DropCopy(t.Journal) // in order with what is written to the copy
	case protocol.Committed:
		n.committed(t)
	case protocol.Adopt:
		n.custody <- func() { n.adopt(t) }
	case protocol.Relinquish:
		n.custody <- func() { n.actors.Relinquish(t.Journal) }
	case protocol.Deliver:
		n.deliver(t)
	case protocol.Settled:
		n.actors.Settled(t.Journal, t.Subscription, t.Sequences)
	case protocol.Rehand:
		n.actors.Returned(t.Journal, t.Subscription, t.Sequences, t.Busy)
	case protocol.BecomeActive:
		n.become(placement.Active)
	case protocol.Rejoin:
		n.rejoin(t.Members)
	default:
		n.stateEffect(e)
	}
}

// stateEffect performs what concerns subscriptions and their retry state.
func (n *Node) stateEffect(e protocol.Effect) {
	switch t := e.(type) {
	case protocol.WriteVersions:
		n.writeVersions(t)
	case protocol.Propagated:
		n.propagated(t)
	case protocol.ClockAhead:
		n.options.Logger.Error("changes of a member are refused: its clock is ahead of this one's", "member", string(t.From), "by_more_than", protocol.MaxClockSkew.String())
	case protocol.WriteEntries:
		n.check(n.options.Disk.MergeEntries(t.Entries, nil, n.written(t.Token)))
	case protocol.Durable:
		n.mu.Lock()
		done := n.durable[t.Token]
		delete(n.durable, t.Token)
		n.mu.Unlock()
		if done != nil {
			done()
		}
	case protocol.ScanShard:
		n.background(func() { n.scan(t) })
	case protocol.Merged:
		n.actors.Merged(t.Entries)
	case protocol.DropShard:
		n.check(n.options.Disk.DropShard(t.Shard))
	case protocol.Gained:
		n.move(t.Shards, true)
	case protocol.Lost:
		n.move(t.Shards, false)
	}
}

// background runs work that Close waits for.
func (n *Node) background(work func()) { n.running.Go(work) }

// check ends the process when a write failed that may not fail: the state is only refused when
// it was closed, which is after the node.
func (n *Node) check(err error) {
	if err == nil {
		return
	}
	select {
	case <-n.stopped:
	default:
		n.options.Fatal(err)
	}
}

// readFrames reads on for a follower, beside everything else.
func (n *Node) readFrames(e protocol.ReadFrames) {
	n.background(func() {
		frames, next, err := n.options.Disk.ReadFrames(e.Journal, e.From, e.Bytes)
		if err != nil {
			n.options.Logger.Error("journal could not be read for a follower", "sequence", e.From, "error", err)
			frames, next = nil, e.From
		}
		n.do(func(core *protocol.Member) { core.FramesRead(time.Now(), e, next, frames) })
	})
}

// readBefore reads for the front of a copy.
func (n *Node) readBefore(e protocol.ReadBefore) {
	first, frames, err := n.options.Disk.ReadBefore(e.Journal, e.Before, e.Bytes)
	if err != nil {
		n.options.Logger.Error("journal could not be read for a follower", "before", e.Before, "error", err)
		return // the protocol asks again
	}
	n.do(func(core *protocol.Member) { core.FramesBefore(time.Now(), e, first, frames) })
}

// prepend puts records in front of a copy.
func (n *Node) prepend(e protocol.PrependReplica) {
	if err := n.options.Disk.PrependCopy(e); err != nil {
		n.options.Logger.Warn("copy of a journal could not be completed", "first", e.First, "error", err)
		n.do(func(core *protocol.Member) { core.PrependFailed(e) })
		return
	}
	n.do(func(core *protocol.Member) { core.Written(time.Now(), e.Token) })
}

// examine looks for damage in a copy, one after the other: each reads a disk.
func (n *Node) examine(e protocol.Examine) {
	n.examining.Lock()
	defer n.examining.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n.background(func() {
		select {
		case <-n.stopped:
			cancel()
		case <-ctx.Done():
		}
	})
	damage, err := n.options.Disk.Examine(ctx, e.Journal, e.From)
	if err != nil {
		return // it was dropped meanwhile, or the node ends
	}
	n.do(func(core *protocol.Member) { core.Examined(time.Now(), e.Journal, damage) })
}

func (n *Node) scan(e protocol.ScanShard) {
	entries, err := n.options.Disk.Entries(e.Shard)
	if err != nil {
		n.options.Logger.Error("retry state could not be read", "shard", e.Shard, "error", err)
		return // it is compared again
	}
	n.do(func(core *protocol.Member) { core.Scanned(time.Now(), e.Token, entries) })
}

// move notes which shards this member owns. The actors of what is gained read its retry state
// when they start; those that sleep are started for it.
func (n *Node) move(shards []int, gained bool) {
	moved := make(map[int]bool, len(shards))
	for _, shard := range shards {
		n.owned[shard].Store(gained)
		moved[shard] = true
	}
	n.actors.Moved(moved)
	if !gained {
		return
	}
	n.background(func() {
		for _, shard := range shards {
			entries, err := n.options.Disk.Entries(shard)
			if err != nil {
				n.options.Logger.Error("retry state could not be read", "shard", shard, "error", err)
				continue
			}
			if len(entries) > 0 {
				n.actors.Wake(entries)
			}
		}
	})
}

// deliver hands another member's event to the actors.
func (n *Node) deliver(e protocol.Deliver) {
	ref := engine.EventRef{Journal: e.Journal, Sequence: e.Sequence}
	event, err := n.options.Codec.DecodeEvent(ref, e.Event)
	if err != nil || n.keeps(e.Journal) {
		// What this member keeps itself is in its own mailboxes: the owner changed meanwhile.
		n.do(func(core *protocol.Member) {
			for _, id := range e.Subscriptions {
				core.Returned(time.Now(), e.Journal, id, []uint64{e.Sequence}, false)
			}
		})
		return
	}
	n.actors.Deliver(event, e.Subscriptions)
}

// become announces a state.
func (n *Node) become(state placement.State) {
	n.background(func() {
		if err := n.members.SetState(state); err != nil {
			n.options.Logger.Warn("state of this member could not be announced", "state", state.String(), "error", err)
		}
	})
}

// keepCustody adopts and gives up journals, one after the other: each reads a disk.
func (n *Node) keepCustody() {
	for {
		select {
		case next := <-n.custody:
			next()
		case <-n.stopped:
			return
		}
	}
}

func (n *Node) adopt(e protocol.Adopt) {
	journal, err := n.options.Disk.OpenCopy(e.Journal.ID)
	if err == nil {
		err = n.actors.Adopt(journal, e)
	}
	n.mu.Lock()
	n.adopting = slices.Delete(n.adopting, 0, 1) // they are adopted in order
	n.mu.Unlock()
	if err != nil {
		n.options.Logger.Error("journal could not be adopted", "origin", string(e.Journal.Origin), "lane", e.Journal.Lane, "error", err)
		n.do(func(core *protocol.Member) { core.AdoptFailed(time.Now(), e.Journal.ID) })
		return
	}
	n.options.Logger.Info("journal adopted", "origin", string(e.Journal.Origin), "lane", e.Journal.Lane, "from", e.Release)
}

// rejoinTimeout bounds one attempt to find lost members.
const rejoinTimeout = 4 * time.Second

func (n *Node) rejoin(ids []placement.MemberID) {
	addresses := n.peers.of(ids)
	addresses = append(addresses, n.options.Seeds...)
	if !n.peers.rejoining.CompareAndSwap(false, true) {
		return
	}
	n.background(func() {
		defer n.peers.rejoining.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), rejoinTimeout)
		defer cancel()
		_, _ = n.members.Join(ctx, addresses) // those that do not answer are asked again
	})
}
