package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"pannier/bench/fill"
	"pannier/bench/load/server"
)

const (
	// giveUpAfter is how long the first delivery may take before the server is taken for
	// stuck.
	giveUpAfter = 60 * time.Second
	// batch is the events of one request.
	batch = 1000
)

// start is what one start measured.
type start struct {
	ready   time.Duration // from the exec until it said so
	first   time.Duration // from the exec to the first delivery
	cpu     time.Duration // that the server used until it was ready
	memory  int64         // resident bytes then
	pending int64
}

// startServer starts a server on a folder and measures how long it takes. Before it kills it,
// the endpoint refuses again and as many events are posted as next says.
func startServer(ctx context.Context, o options, data string, to *endpoint, next int) (s start, err error) {
	first, began := to.take(), time.Now()
	child, err := server.Start(ctx, server.Options{Binary: o.binary, Data: data}, io.Discard)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, child.Kill()) }()
	usage, err := server.ReadUsage(child.PID)
	if err != nil {
		return s, err
	}
	s.ready, s.cpu, s.memory = child.Ready, usage.CPU, usage.RSS
	client, err := server.NewClient(child.URL, "", 1)
	if err != nil {
		return s, err
	}
	defer client.Close()
	if s.pending, err = client.Pending(ctx); err != nil {
		return s, err
	}
	select {
	case at := <-first:
		s.first = at.Sub(began)
	case <-time.After(giveUpAfter):
		return s, fmt.Errorf("nothing was delivered for %v", giveUpAfter)
	case <-ctx.Done():
		return s, ctx.Err()
	}
	to.refuse()
	return s, post(ctx, client, next, o.active)
}

// post posts events that nobody takes.
func post(ctx context.Context, client *server.Client, events, active int) error {
	var lines bytes.Buffer
	for n := range events {
		fmt.Fprintf(&lines, `{"topic":%q,"data":{"pad":%q}}`+"\n", fill.Topic(n%active), pad)
		if (n+1)%batch > 0 && n+1 < events {
			continue
		}
		if _, err := client.PostLines(ctx, lines.Bytes(), ""); err != nil {
			return fmt.Errorf("post: %w", err)
		}
		lines.Reset()
	}
	return nil
}

var pad = strings.Repeat("x", 560)
