// Package cluster makes several members one engine: who is a member (cluster/members), who owns
// and keeps what (cluster/placement), what members say to each other (cluster/link), and what
// follows from it (cluster/protocol). A Node drives the protocol with this member's disk, links,
// membership and actors; see DESIGN.md.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"pannier/cluster/link"
	"pannier/cluster/members"
	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

const (
	// tickEvery drives the protocol's clock.
	tickEvery = 50 * time.Millisecond
	// maxQueued bounds the effects that wait while the disk is slow: beyond it nothing more is
	// taken in from other members, which are held back by their streams.
	maxQueued = 4096
)

// Options are what a Node is made from.
type Options struct {
	// Self is this life of this member; its State is Joining and its Address is filled in.
	Self    placement.Member
	Cluster string
	Key     []byte
	// CertFile, KeyFile and CAFile take the place of certificates made from Key (see
	// link.Options).
	CertFile, KeyFile, CAFile string
	Bind                      string // of gossip
	Advertise                 string // the host at which others reach this member; "": as bound
	RPC                       string // of the streams
	Seeds                     []string
	Replication               int
	AllowDegraded             bool
	Probe                     time.Duration // of the membership; 0: the default
	Table                     *engine.Table
	// Copies, Holding and Peers are what the disk holds of earlier lives.
	Copies  []protocol.Copy
	Holding []int
	Peers   map[placement.MemberID]string
	Disk    Disk
	Codec   Codec
	Logger  *slog.Logger
	// Handle answers calls of other members.
	Handle link.Handler
	// KeepSalt remembers the place that this member chose, where Self has none.
	KeepSalt func(salt uint16) error
	// Fatal is called when a write failed that may not fail.
	Fatal func(error)
}

// Node is one member's part in a cluster. Safe for concurrent use.
//
//	Receive, Tick, View, Written …        Effects, in order
//	──────────► protocol.Member ────────► perform ──► link, disk, actors
type Node struct {
	options Options
	actors  Actors
	link    *link.Link
	members *members.Members

	mu      sync.Mutex // the protocol
	core    *protocol.Member
	queue   []protocol.Effect
	taken   sync.Cond // queue was taken, or the node is closed
	closed  bool
	commits map[engine.JournalID][]waitingCommit
	durable map[uint64]func()
	changes map[uint64]chan<- protocol.Propagated
	// adopting are journals that the protocol has adopted and the actors have not yet, in order.
	adopting []protocol.JournalRef

	view      atomic.Pointer[placement.View]
	owned     [engine.Shards]atomic.Bool
	work      chan struct{} // effects wait
	handing   handing
	custody   chan func() // adoptions, one after the other
	examining sync.Mutex  // held by the one examination of a copy that goes on
	peers     peers
	stopped   chan struct{}
	running   sync.WaitGroup
}

// waitingCommit is a group of events that are synced here and not on enough members.
type waitingCommit struct {
	through uint64
	done    func()
}

// Start joins the cluster. The actors follow with Run; until then nothing is delivered.
func Start(ctx context.Context, o Options) (_ *Node, err error) {
	n := &Node{
		options: o, commits: make(map[engine.JournalID][]waitingCommit), durable: make(map[uint64]func()),
		changes: make(map[uint64]chan<- protocol.Propagated),
		work:    make(chan struct{}, 1), custody: make(chan func(), 1024), stopped: make(chan struct{}),
	}
	n.taken.L = &n.mu
	n.handing.ready = make(chan struct{}, 1)
	n.peers.addresses = o.Peers
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	n.link, err = link.Start(ctx, link.Options{
		Self: o.Self, Cluster: o.Cluster, Key: o.Key, Listen: o.RPC, Logger: o.Logger,
		CertFile: o.CertFile, KeyFile: o.KeyFile, CAFile: o.CAFile,
		Receive: n.receive, Handle: o.Handle,
	})
	if err != nil {
		return nil, err
	}
	n.options.Self.Address = reachableAt(n.link.Address(), o.Advertise)
	n.options.Self.API = reachableAt(o.Self.API, o.Advertise)
	known := make([]placement.MemberID, 0, len(o.Peers))
	for id := range o.Peers {
		known = append(known, id)
	}
	n.core = protocol.NewMember(protocol.Options{
		Self: n.options.Self, Replication: o.Replication, AllowDegraded: o.AllowDegraded, Known: known,
		Table: o.Table, Copies: o.Copies, Holding: o.Holding,
	}, time.Now())
	n.members, err = members.Start(ctx, members.Options{
		Self: n.options.Self, Cluster: o.Cluster, Key: o.Key, Bind: o.Bind, Advertise: o.Advertise,
		Seeds: o.Seeds, Format: Format, Shards: engine.Shards, Probe: o.Probe, Logger: o.Logger, Changed: n.changed,
	})
	if err != nil {
		return nil, err
	}
	return n, n.choosePlace()
}

// choosePlace is done once in the life of a disk, among those that are there when it first
// joins.
func (n *Node) choosePlace() error {
	if n.options.Self.Salt != 0 {
		return nil
	}
	salt := placement.ChooseSalt(n.members.List(), n.options.Self.ID)
	if err := n.options.KeepSalt(salt); err != nil {
		return err
	}
	if err := n.members.SetSalt(salt); err != nil {
		n.options.Logger.Warn("place of this member could not be announced", "error", err)
	}
	return nil
}

// Format is the version of what members say to each other; members of another are refused.
const Format = 1

// Run begins to perform what the protocol decides. It is called once.
func (n *Node) Run(actors Actors) {
	n.actors = actors
	n.running.Go(n.perform)
	n.running.Go(n.tick)
	n.running.Go(n.handOut)
	n.running.Go(n.keepCustody)
}

// do has the protocol take something in, and its effects performed.
func (n *Node) do(take func(*protocol.Member)) {
	n.mu.Lock()
	defer n.rouse()
	defer n.mu.Unlock()
	defer func() { // whoever calls may survive it, but the protocol is in no known state
		if wrong := recover(); wrong != nil {
			n.options.Fatal(fmt.Errorf("the protocol of the cluster failed: %v", wrong))
		}
	}()
	take(n.core)
	n.takeEffects()
}

// takeEffects queues what the protocol decided; the caller holds mu.
func (n *Node) takeEffects() {
	for _, e := range n.core.Effects() {
		if adopt, is := e.(protocol.Adopt); is {
			n.adopting = append(n.adopting, adopt.Journal)
		}
		n.queue = append(n.queue, e)
	}
}

// rouse has the effects that wait performed.
func (n *Node) rouse() {
	select {
	case n.work <- struct{}{}:
	default:
	}
}

func (n *Node) receive(e protocol.Envelope) {
	n.mu.Lock()
	for len(n.queue) > maxQueued && !n.closed {
		n.taken.Wait()
	}
	n.mu.Unlock()
	n.do(func(core *protocol.Member) { core.Receive(time.Now(), e) })
}

// changed takes the list of members in.
func (n *Node) changed(list []placement.Member) {
	n.view.Store(placement.NewView(list, n.options.Replication))
	n.do(func(core *protocol.Member) { core.View(time.Now(), list) })
	n.peers.moved.Store(true)
}

func (n *Node) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.do(func(core *protocol.Member) { core.Tick(time.Now()) })
			if n.peers.moved.CompareAndSwap(true, false) {
				n.rememberPeers()
			}
		case <-n.stopped:
			return
		}
	}
}

// written gives the callback of a write of the protocol's.
func (n *Node) written(token uint64) func() {
	return func() { n.do(func(core *protocol.Member) { core.Written(time.Now(), token) }) }
}

// Ready tells why new events would not be answered. A member that leaves answers those that still
// come. Errors: unavailable.
func (n *Node) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if view := n.view.Load(); view != nil {
		if self, seen := view.Member(n.options.Self.ID); seen && self.State == placement.Joining {
			return &engine.Error{
				Code: engine.CodeUnavailable, Message: "this member is " + self.State.String(), RetryAfter: time.Second,
			}
		}
	}
	return n.core.Ready()
}

// OwesAnswers tells whether another member would have deliveries made again if this one ended.
func (n *Node) OwesAnswers() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.OwesAnswers()
}

// View is the members as this one sees them now.
func (n *Node) View() *placement.View {
	if view := n.view.Load(); view != nil {
		return view
	}
	return placement.NewView([]placement.Member{n.options.Self}, n.options.Replication)
}

// UnderReplicated counts the owned shards and kept journals with fewer copies than asked for.
func (n *Node) UnderReplicated() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.UnderReplicated()
}

// Orphans are the journals that this member has a copy of and nobody keeps yet, those included that it
// is about to: lists lack them.
func (n *Node) Orphans() []protocol.JournalRef {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append(n.core.Orphans(), n.adopting...)
}

// Lag counts, by follower, the records of this member's journals that it has yet to copy.
func (n *Node) Lag() map[placement.MemberID]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.Lag()
}

// Leave tells the others that this member goes: its shards have other owners from now on.
func (n *Node) Leave() error { return n.members.SetState(placement.Draining) }

// Close ends the node without a word more than a Leave that came before.
func (n *Node) Close() error {
	var err error
	if n.members != nil {
		if self, seen := n.View().Member(n.options.Self.ID); seen && self.State == placement.Draining {
			if gone := n.members.Leave(0); gone != nil {
				n.options.Logger.Warn("the others may notice late that this member left", "error", gone)
			}
		}
		err = n.members.Close()
	}
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.taken.Broadcast()
	close(n.stopped)
	if n.link != nil {
		n.link.Close()
	}
	n.running.Wait()
	return err
}
