// Package link carries the messages of a cluster between its members: a gRPC service of our
// own with mutual TLS made from the cluster key, and the binary encoding of the messages. A
// member dials each peer for what it has to say; what the peer says comes on the peer's dial.
//
//	Send ──► queue of the peer ──► stream Carry ──► Receive of the other member
//	Call ────────────────────────► unary Call ────► Handle of the other member, and its answer
//
// A link may lose, double and reorder what it carries when connections break; the protocol
// says it again until it is acknowledged. So nothing here waits, retries or is kept on disk:
// what a peer cannot take in is dropped and counted. Whatever a peer sends costs at most that
// peer's stream, never the process: unknown kinds of messages are refused, panics are caught,
// sizes and connections are bounded.
package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
)

// Options are what a Link is made from.
type Options struct {
	// Self is this member; only its ID is used.
	Self placement.Member
	// Cluster is the name of the cluster. Members of another name are refused, whatever their
	// key.
	Cluster string
	// Key is the cluster key, KeyBytes long. It is not needed when files are given.
	Key []byte
	// Listen is the TCP address to take connections at; port 0 takes a free one.
	Listen string
	// Logger may be nil: nothing is logged then.
	Logger *slog.Logger
	// Receive takes an envelope in. It is called from the goroutine of the stream that the
	// envelope came on, in order; while it does not return, that stream waits and the sender
	// is held back. Close waits for it.
	Receive func(protocol.Envelope)
	// Handle answers what other members ask with Call.
	Handle Handler
	// CertFile, KeyFile and CAFile are PEM files that take the place of the certificates made
	// from Key: all three or none. The certificate serves both sides of a connection, and names
	// the member by the URI pannier:member:<id> or, where it has none, by its common name.
	CertFile, KeyFile, CAFile string
}

// Handler answers a call of another member, whose identity is proven. Errors that are an
// *engine.Error travel to the caller; of any other it learns only that there was one. ctx ends
// with the caller's deadline and with the link. It is called concurrently.
type Handler func(ctx context.Context, from placement.MemberID, method string, request []byte) ([]byte, error)

// bounds are the limits that tests make smaller.
type bounds struct {
	queueBytes  int           // waiting for one peer
	peerIdle    time.Duration // until an unused peer is closed
	connections int           // from other members, at once
	closeGrace  time.Duration // for calls to end when the link is closed
}

// defaultBounds are those of a server. The queue takes twice what the protocol leaves without
// acknowledgement, so only a peer that does not read fills it. An idle peer is one that left,
// or moved to another address. A cluster has at most some dozens of members, each with one
// connection; the rest is room for reconnecting. A call that takes longer than the grace has
// most likely lost its caller.
var defaultBounds = bounds{
	queueBytes: 16 << 20, peerIdle: 60 * time.Second, connections: 128, closeGrace: 2 * time.Second,
}

// Link is one member's end of the connections of a cluster. All its methods are safe for
// concurrent use.
type Link struct {
	bounds    bounds
	identity  identity
	logger    *slog.Logger
	notices   notices
	service   *service
	ctx       context.Context
	cancel    context.CancelFunc
	closing   sync.Once
	running   sync.WaitGroup // peers and the sweeper
	dropped   atomic.Uint64
	mu        sync.Mutex
	peers     map[string]*peer // nil once closed
	listening string
}

// Start listens and serves until Close; ctx bounds the start alone. Errors: an option that is
// missing or wrong, certificates that cannot be read, an address that cannot be listened at.
func Start(ctx context.Context, o Options) (*Link, error) { return start(ctx, o, defaultBounds) }

func start(ctx context.Context, o Options, b bounds) (*Link, error) {
	if o.Self.ID == "" || o.Receive == nil || o.Handle == nil {
		return nil, errors.New("start link: a member id, Receive and Handle are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	identity, err := newIdentity(o)
	if err != nil {
		return nil, fmt.Errorf("start link: %w", err)
	}
	l := &Link{bounds: b, identity: identity, logger: o.Logger, peers: make(map[string]*peer)}
	listener, err := listen(ctx, o.Listen, b.connections)
	if err != nil {
		return nil, fmt.Errorf("start link: %w", err)
	}
	l.listening = listener.Addr().String()
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.service = serve(l.ctx, listener, identity, o, b.closeGrace)
	l.running.Go(l.sweep)
	return l, nil
}

// Address is the address that the link listens at, host:port.
func (l *Link) Address() string { return l.listening }

// Send gives an envelope to the member at address. It never blocks and is never sure: an
// envelope is dropped, and counted, when too much waits for that member, when it cannot be
// reached, and when its connection breaks.
func (l *Link) Send(address string, e protocol.Envelope) {
	p := l.peer(address)
	if p == nil || !p.queue.hasRoom() { // not encoded for nothing
		l.dropped.Add(1)
		return
	}
	b := Encode(e)
	if len(b) > MaxEnvelopeBytes && l.notices.first("too large") {
		l.logger.Error("envelope too large for the link", "member", e.To, "bytes", len(b))
	}
	if len(b) > MaxEnvelopeBytes || !p.queue.push(b) {
		l.dropped.Add(1)
	}
}

// Dropped counts the envelopes given to Send that were dropped here.
func (l *Link) Dropped() uint64 { return l.dropped.Load() }

// Panics counts the calls of Receive and Handle that panicked.
func (l *Link) Panics() uint64 { return l.service.guard.panics.Load() }

// Forget closes the connection to a member that is not at address any more. What waits for it
// is dropped, and its calls fail.
func (l *Link) Forget(address string) {
	l.mu.Lock()
	p := l.peers[address]
	delete(l.peers, address)
	l.mu.Unlock()
	if p != nil {
		p.cancel()
	}
}

// Close ends the link: what waits is dropped, calls that are being answered get a little time,
// and neither Receive nor Handle is running or called any more when it returns. Closing again
// does nothing.
func (l *Link) Close() {
	l.closing.Do(func() {
		l.mu.Lock()
		l.peers = nil
		l.mu.Unlock()
		l.cancel()
		l.service.stop()
		l.running.Wait()
	})
}

// peer finds or makes the peer at address; nil when the link is closed.
func (l *Link) peer(address string) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peers == nil {
		return nil
	}
	p := l.peers[address]
	if p == nil {
		var err error
		if p, err = newPeer(l, address); err != nil {
			if l.notices.first("no peer") {
				l.logger.Error("peer cannot be made", "address", address, "error", err)
			}
			return nil
		}
		l.peers[address] = p
		l.running.Go(p.run)
	}
	p.usedAt = time.Now()
	return p
}

// sweep closes the peers that are not used. One that was just used stays for longer than any
// call takes, so none is closed under a call.
func (l *Link) sweep() {
	const often = 4 // an unused peer stays for a quarter longer at most
	ticker := time.NewTicker(l.bounds.peerIdle / often)
	defer ticker.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case now := <-ticker.C:
			l.mu.Lock()
			for address, p := range l.peers {
				if now.Sub(p.usedAt) >= l.bounds.peerIdle {
					delete(l.peers, address)
					p.cancel()
				}
			}
			l.mu.Unlock()
		}
	}
}
