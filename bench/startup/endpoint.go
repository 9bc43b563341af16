package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// readTimeout bounds the reading of a delivery's headers.
const readTimeout = 5 * time.Second

// endpoint is where all active subscriptions deliver to. It refuses until it is told to take.
type endpoint struct {
	url    string
	server *http.Server
	done   sync.WaitGroup
	first  atomic.Pointer[chan time.Time] // nil: it refuses
}

func startEndpoint(ctx context.Context) (*endpoint, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the endpoint: %w", err)
	}
	e := &endpoint{url: "http://" + listener.Addr().String() + "/hook"}
	e.server = &http.Server{ReadHeaderTimeout: readTimeout, Handler: e}
	e.done.Go(func() { _ = e.server.Serve(listener) }) // ends by Close only
	return e, nil
}

// ServeHTTP takes a delivery, or refuses it.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a delivery that was cut off is tried again
	first := e.first.Load()
	if first == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	select {
	case *first <- time.Now():
	default: // it was not the first
	}
	w.WriteHeader(http.StatusNoContent)
}

// take makes the endpoint take deliveries; the channel gives the time of the first.
func (e *endpoint) take() <-chan time.Time {
	first := make(chan time.Time, 1)
	e.first.Store(&first)
	return first
}

// refuse makes the endpoint refuse what comes.
func (e *endpoint) refuse() { e.first.Store(nil) }

func (e *endpoint) close() {
	_ = e.server.Close() // nothing is wanted any more
	e.done.Wait()
}
