package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// dialTimeout bounds one attempt to connect, the handshake included: members are near each
	// other, and one that does not answer by then is better tried again.
	dialTimeout = 5 * time.Second
	// firstBackoff and lastBackoff bound the pause between two attempts: a member that restarts
	// is back soon, and one that is down costs an attempt every two seconds.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 2 * time.Second
	// keepaliveAfter is how long a connection may be silent before it is probed, and
	// keepaliveTimeout how long the probe may take: a peer whose machine is gone is noticed
	// within 15 seconds by the link; the membership notices sooner.
	keepaliveAfter   = 10 * time.Second
	keepaliveTimeout = 5 * time.Second
	// failuresLoggedEvery keeps a peer that stays down from filling the log.
	failuresLoggedEvery = time.Minute
)

// peer is the way to one address: a connection, and the envelopes that wait for it.
type peer struct {
	link    *Link
	address string
	conn    *grpc.ClientConn
	queue   queue
	ctx     context.Context
	cancel  context.CancelFunc
	usedAt  time.Time // guarded by Link.mu
}

// newPeer does not connect yet.
func newPeer(l *Link, address string) (*peer, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	// The target is a mere word: the dialer knows the address, and with a dialer of our own gRPC
	// neither parses it nor asks the environment for a proxy.
	conn, err := grpc.NewClient("passthrough:///peer",
		grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(credentials.NewTLS(l.identity.client())),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(maxWireBytes), grpc.MaxCallSendMsgSize(maxWireBytes),
		),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastBackoff},
			MinConnectTimeout: dialTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepaliveAfter, Timeout: keepaliveTimeout, PermitWithoutStream: true,
		}),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, fmt.Errorf("make connection: %w", err)
	}
	p := &peer{link: l, address: address, conn: conn, queue: newQueue(l.bounds.queueBytes)}
	p.ctx, p.cancel = context.WithCancel(l.ctx)
	return p, nil
}

// run carries what is sent until the peer is closed.
func (p *peer) run() {
	defer func() { _ = p.conn.Close() }() // its one error is that it is closed
	var loggedAt time.Time
	for p.queue.wait(p.ctx) {
		err := p.carry()
		p.link.dropped.Add(p.queue.shut())
		if p.ctx.Err() != nil {
			return
		}
		if now := time.Now(); now.Sub(loggedAt) >= failuresLoggedEvery {
			loggedAt = now
			p.link.logger.Warn("peer not reached", "address", p.address, "error", err)
		}
		p.pause()
		p.queue.reopen()
	}
}

// carry opens a stream and sends what is queued on it until the stream ends, and tells why it
// ended.
func (p *peer) carry() error {
	ctx, cancel := context.WithCancel(p.ctx)
	stream, err := p.conn.NewStream(ctx, &serviceDesc.Streams[0], methodCarry)
	if err != nil {
		cancel()
		return fmt.Errorf("open stream: %w", err)
	}
	// The other side never answers on the stream, so this returns when the stream ends. Without
	// it the first envelope after a break would go into the dead connection.
	ended := make(chan error, 1)
	go func() { ended <- stream.RecvMsg(new([]byte)) }()
	for {
		for b := p.queue.pop(); b != nil; b = p.queue.pop() {
			if err = stream.SendMsg(pieces{b}); err != nil {
				cancel()
				if why := <-ended; errors.Is(err, io.EOF) {
					err = why
				}
				return fmt.Errorf("send envelope: %w", err)
			}
		}
		select {
		case <-p.queue.filled:
		case err = <-ended:
			cancel()
			return fmt.Errorf("stream ended: %w", err)
		}
	}
}

// pause waits before the next stream: a little, so that a peer that ends each stream at once
// does not keep both busy, and while gRPC waits between two attempts to connect.
func (p *peer) pause() {
	timer := time.NewTimer(firstBackoff)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	}
	for p.conn.GetState() == connectivity.TransientFailure && p.conn.WaitForStateChange(p.ctx, connectivity.TransientFailure) {
	}
}
