package link

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

func TestEnvelopesArriveInOrder(t *testing.T) {
	t.Parallel()
	const members, envelopes = 3, 500
	ids := [members]placement.MemberID{"mbr_a", "mbr_b", "mbr_c"}
	var ends [members]*end
	for i, id := range ids {
		ends[i] = startEnd(t, id, nil)
	}
	var senders sync.WaitGroup
	for from := range ends {
		for to := range ends {
			if from != to {
				senders.Go(func() {
					for number := range uint64(envelopes) {
						ends[from].Send(ends[to].Address(), numbered(ids[from], number))
					}
				})
			}
		}
	}
	senders.Wait()
	for i, e := range ends {
		last := make(map[placement.MemberID]uint64)
		for range (members - 1) * envelopes {
			got := e.next(t)
			if got.Number != last[got.From] || got.Messages[0].(*protocol.GroupStored).Token != got.Number {
				t.Fatalf("%s got %+v, want number %d", ids[i], got, last[got.From])
			}
			last[got.From]++
		}
		if n := e.Dropped(); n != 0 {
			t.Errorf("%s dropped %d envelopes", ids[i], n)
		}
	}
}

func TestRestartedPeerIsReachedAgain(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	address := b.Address()
	reaches(t, a, b, address, "mbr_a")
	b.Close()
	eventually(t, "noticing", func() bool {
		a.Send(address, numbered("mbr_a", 1))
		return a.Dropped() > 0 && a.log.count("peer not reached") == 1
	})
	again := startEnd(t, "mbr_b", func(o *Options, _ *bounds) { o.Listen = address })
	reaches(t, a, again, address, "mbr_a")
	if n := a.log.count("peer not reached"); n != 1 {
		t.Errorf("the failure was logged %d times", n)
	}
}

func TestSlowReceiverHoldsTheSenderBack(t *testing.T) {
	t.Parallel()
	const envelopes, size = 100, 1 << 20
	release := make(chan struct{})
	var got []uint64
	var mu sync.Mutex
	b := startEnd(t, "mbr_b", func(o *Options, _ *bounds) {
		o.Receive = func(e protocol.Envelope) {
			<-release
			mu.Lock()
			defer mu.Unlock()
			got = append(got, e.Number)
		}
	})
	t.Cleanup(sync.OnceFunc(func() { close(release) })) // a failed test must end, too
	a := startEnd(t, "mbr_a", nil)
	p := a.peer(b.Address())
	frames := make([]byte, size)
	for number := range uint64(envelopes) {
		a.Send(b.Address(), protocol.Envelope{
			From: "mbr_a", Number: number, Messages: []protocol.Message{&protocol.Append{Frames: frames}},
		})
		p.queue.mu.Lock()
		if p.queue.bytes > a.bounds.queueBytes {
			t.Errorf("%d bytes wait", p.queue.bytes)
		}
		p.queue.mu.Unlock()
	}
	// Beside the queue there are the credit, what Receive has, and what is being written.
	const held = 16 + streamWindow/size + 4
	if n := a.Dropped(); n < envelopes-held {
		t.Errorf("%d envelopes were dropped, want %d", n, envelopes-held)
	}
	for range envelopes {
		select {
		case release <- struct{}{}:
		case <-time.After(time.Second / 2):
		}
		mu.Lock()
		all := uint64(len(got))+a.Dropped() == envelopes
		mu.Unlock()
		if all {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if uint64(len(got))+a.Dropped() != envelopes {
		t.Errorf("%d of %d envelopes arrived, %d were dropped", len(got), envelopes, a.Dropped())
	}
	for i := range got {
		if i > 0 && got[i] <= got[i-1] {
			t.Fatalf("out of order: %v", got)
		}
	}
}

func TestTooLargeAnEnvelopeIsDropped(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	a.Send(b.Address(), protocol.Envelope{From: "mbr_a", Messages: []protocol.Message{
		&protocol.Append{Frames: make([]byte, MaxEnvelopeBytes)},
	}})
	if n := a.Dropped(); n != 1 {
		t.Errorf("%d envelopes were dropped", n)
	}
	largest := protocol.Envelope{From: "mbr_a", Messages: []protocol.Message{&protocol.Append{}}}
	room := MaxEnvelopeBytes - len(Encode(largest)) - 3 // the length takes four bytes instead of one
	largest.Messages = []protocol.Message{&protocol.Append{Frames: make([]byte, room)}}
	if n := len(Encode(largest)); n != MaxEnvelopeBytes {
		t.Fatalf("%d bytes", n)
	}
	a.Send(b.Address(), largest)
	if got := b.next(t); len(got.Messages[0].(*protocol.Append).Frames) != room {
		t.Error("the largest envelope did not arrive whole")
	}
}

func TestUnusedPeersAreClosed(t *testing.T) {
	t.Parallel()
	b := startEnd(t, "mbr_b", nil)
	connections := func() int {
		b.service.listener.mu.Lock()
		defer b.service.listener.mu.Unlock()
		return len(b.service.listener.open)
	}
	a := startEnd(t, "mbr_a", func(_ *Options, b *bounds) { b.peerIdle = 200 * time.Millisecond })
	reaches(t, a, b, b.Address(), "mbr_a")
	eventually(t, "closing", func() bool { return connections() == 0 })
	reaches(t, a, b, b.Address(), "mbr_a")
}

func TestForgottenPeersAreClosed(t *testing.T) {
	t.Parallel()
	blocked := make(chan struct{})
	b := startEnd(t, "mbr_b", func(o *Options, _ *bounds) { o.Receive = func(protocol.Envelope) { <-blocked } })
	t.Cleanup(func() { close(blocked) })
	a := startEnd(t, "mbr_a", nil)
	for range 20 { // the peer is stuck in the middle of it
		a.Send(b.Address(), protocol.Envelope{From: "mbr_a", Messages: []protocol.Message{
			&protocol.Append{Frames: make([]byte, 1<<20)},
		}})
	}
	p := a.peer(b.Address())
	a.Forget(b.Address())
	a.Forget("127.0.0.1:1") // was never known
	eventually(t, "dropping", func() bool { return !p.queue.hasRoom() && p.queue.pop() == nil })
	if answer, err := a.Call(t.Context(), b.Address(), "m", nil); err != nil || string(answer) != "mbr_a m " {
		t.Errorf("call after Forget = %q, %v", answer, err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 2
	b := startEnd(t, "mbr_b", func(_ *Options, b *bounds) { b.connections = most })
	var strangers []net.Conn
	for range most + 1 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		strangers = append(strangers, c)
	}
	last := strangers[most]
	_ = last.SetReadDeadline(time.Now().Add(handshakeTimeout / 2))
	if _, err := last.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one connection too many: %v", err)
	}
	for _, c := range strangers {
		c.Close()
	}
	reaches(t, startEnd(t, "mbr_a", nil), b, b.Address(), "mbr_a")
}

func TestCloseWhileAllIsBusy(t *testing.T) {
	t.Parallel()
	const grace = 100 * time.Millisecond
	a := startEnd(t, "mbr_a", nil)
	entered := make(chan struct{})
	b := startEnd(t, "mbr_b", func(o *Options, b *bounds) {
		b.closeGrace = grace
		o.Handle = func(ctx context.Context, _ placement.MemberID, _ string, _ []byte) ([]byte, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	reaches(t, a, b, b.Address(), "mbr_a")
	stranger, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	failure := make(chan error, 1)
	go func() {
		_, err := a.Call(t.Context(), b.Address(), "m", nil)
		failure <- err
	}()
	<-entered
	begin := time.Now()
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(b.Close)
	}
	closers.Wait()
	if took := time.Since(begin); took > handshakeTimeout {
		t.Errorf("closing took %s", took)
	}
	if err := <-failure; engine.ErrorCode(err) != engine.CodeUnavailable {
		t.Errorf("call = %v", err)
	}
	b.Send(a.Address(), protocol.Envelope{From: "mbr_b"})
	if n := b.Dropped(); n != 1 {
		t.Errorf("a closed link dropped %d envelopes", n)
	}
	if _, err := b.Call(t.Context(), a.Address(), "m", nil); engine.ErrorCode(err) != engine.CodeUnavailable {
		t.Errorf("call of a closed link = %v", err)
	}
}

// TestCloseDoesNotWaitForPeers: their streams never end by themselves.
func TestCloseDoesNotWaitForPeers(t *testing.T) {
	t.Parallel()
	a := startEnd(t, "mbr_a", nil)
	b := startEnd(t, "mbr_b", func(_ *Options, b *bounds) { b.closeGrace = patience })
	reaches(t, a, b, b.Address(), "mbr_a")
	begin := time.Now()
	b.Close()
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("closing took %s", took)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"no member":       func(o *Options) { o.Self.ID = "" },
		"no receiver":     func(o *Options) { o.Receive = nil },
		"no handler":      func(o *Options) { o.Handle = nil },
		"a short key":     func(o *Options) { o.Key = o.Key[1:] },
		"a bad address":   func(o *Options) { o.Listen = "nowhere" },
		"half the files":  func(o *Options) { o.CertFile = "cert.pem" },
		"files not there": func(o *Options) { o.CertFile, o.KeyFile, o.CAFile = "cert.pem", "key.pem", "ca.pem" },
		"a taken address": func(o *Options) { o.Listen = startEnd(t, "mbr_b", nil).Address() },
	} {
		o := Options{
			Self: placement.Member{ID: "mbr_a"}, Cluster: testCluster, Key: testKey, Listen: "127.0.0.1:0",
			Receive: func(protocol.Envelope) {}, Handle: echo,
		}
		change(&o)
		if l, err := Start(t.Context(), o); err == nil {
			l.Close()
			t.Errorf("%s: started", name)
		}
	}
}
