package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// receiver takes the deliveries of all subscriptions and, at /v1/traces, what is traced. It
// costs as little as an endpoint can, so that the program under load has the machine.
type receiver struct {
	url    string
	server *fasthttp.Server
	begin  time.Time
	count  atomic.Int64 // deliveries
	lastAt atomic.Int64 // nanoseconds after begin
	// watch, when set, is told how long each delivery took whose event says when it was posted.
	watch atomic.Pointer[watch]
	// hold is how long an answer takes to a delivery whose event does not.
	hold time.Duration
	// failFirst refuses the first attempt of every delivery.
	failFirst atomic.Bool
}

// The endpoint that takes its time, and the one that is down.
const (
	slowPath = "/slow"
	slowness = 5 * time.Second
	downPath = "/down"
)

func startReceiver(ctx context.Context, listen string) (*receiver, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), begin: time.Now()}
	r.server = &fasthttp.Server{
		Handler: r.take, NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true,
	}
	go func() { _ = r.server.Serve(listener) }() // ends by close
	return r, nil
}

// endpoint is the address of the n-th subscription.
func (r *receiver) endpoint(n int) string { return r.url + "/" + strconv.Itoa(n) }

// endpoints are those of the first n subscriptions.
func (r *receiver) endpoints(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = r.endpoint(i)
	}
	return list
}

func (r *receiver) close() error { return r.server.Shutdown() }

func (r *receiver) take(c *fasthttp.RequestCtx) {
	if bytes.HasPrefix(c.Path(), []byte("/v1/")) {
		return
	}
	c.SetStatusCode(fasthttp.StatusNoContent)
	switch {
	case string(c.Path()) == slowPath:
		<-time.After(slowness)
		return
	case string(c.Path()) == downPath, r.failFirst.Load() && string(c.Request.Header.Peek("Webhook-Attempt")) == "1":
		c.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	now := time.Since(r.begin)
	if w := r.watch.Load(); w != nil && !w.see(c.PostBody(), now) {
		<-time.After(r.hold)
		return
	}
	r.lastAt.Store(int64(now))
	r.count.Add(1)
}

// await waits until so many deliveries have arrived.
func (r *receiver) await(ctx context.Context, deliveries int64) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for last, since := int64(-1), time.Now(); ; {
		count := r.count.Load()
		if count >= deliveries {
			return nil
		}
		if count != last {
			last, since = count, time.Now()
		}
		if time.Since(since) > stalledAfter {
			return fmt.Errorf("%d of %d deliveries arrived, and none for %v", count, deliveries, stalledAfter)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
