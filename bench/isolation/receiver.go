package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxBodyBytes bounds what a receiver reads of a delivery.
const maxBodyBytes = 64 << 10

// receiver is a healthy endpoint: it answers at once and notes how long each event took.
type receiver struct {
	url    string
	taken  atomic.Int64
	server *http.Server
	done   sync.WaitGroup

	mu      sync.Mutex
	took    []time.Duration
	waiting int // events
	arrived chan struct{}
}

func startReceiver(ctx context.Context) (*receiver, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String() + "/hook"}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	r.done.Go(func() { _ = r.server.Serve(listener) }) // ends by Close only
	return r, nil
}

func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a receiver: %w", err)
	}
	return listener, nil
}

// ServeHTTP takes one delivery.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxBodyBytes))
	now := time.Now()
	if err != nil {
		return // it has not arrived
	}
	if from, ok := fromOf(body); ok {
		r.note(now.Sub(from))
	}
	r.taken.Add(1)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) note(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took)
	if r.arrived != nil && len(r.took) >= r.waiting {
		close(r.arrived)
		r.arrived = nil
	}
}

// reset begins a new measurement.
func (r *receiver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.arrived = nil, nil
}

// reached is closed once so many deliveries have arrived since reset.
func (r *receiver) reached(events int) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	arrived := make(chan struct{})
	if len(r.took) >= events {
		close(arrived)
		return arrived
	}
	r.waiting, r.arrived = events, arrived
	return arrived
}

func (r *receiver) latencies() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.took
}

func (r *receiver) close() {
	_ = r.server.Close() // the run is over
	r.done.Wait()
}

// begin is what the times in the events count from: the monotonic clock of this process.
var begin = time.Now()

// fromMember is how an event says from when its latency counts.
const fromMember = `"from_ns":`

// fromOf reads from when the latency of an event counts; ok is false for one that is not
// measured.
func fromOf(body []byte) (from time.Time, ok bool) {
	_, rest, found := bytes.Cut(body, []byte(fromMember))
	digits, _, ended := bytes.Cut(rest, []byte(","))
	if !found || !ended {
		return time.Time{}, false
	}
	nanoseconds, err := strconv.ParseInt(string(digits), 10, 64)
	return begin.Add(time.Duration(nanoseconds)), err == nil
}

// blackHole accepts connections, takes requests and never answers.
type blackHole struct {
	url          string
	subscription string
	taken        atomic.Int64 // connections: each carries one request
	listener     net.Listener
	done         sync.WaitGroup
	ended        chan struct{}
}

func startBlackHole(ctx context.Context) (*blackHole, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	b := &blackHole{url: "http://" + listener.Addr().String() + "/hook", listener: listener, ended: make(chan struct{})}
	b.done.Go(b.accept)
	return b, nil
}

func (b *blackHole) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.taken.Add(1)
		b.done.Go(func() {
			defer conn.Close() //nolint:errcheck // nothing was written
			go func() {
				<-b.ended
				_ = conn.SetDeadline(time.Now())
			}()
			_, _ = io.Copy(io.Discard, conn) // until the sender gives up
		})
	}
}

func (b *blackHole) close() {
	_ = b.listener.Close() // the run is over
	close(b.ended)
	b.done.Wait()
}
