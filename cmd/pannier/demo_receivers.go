package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pannier/engine/signature"
)

const (
	// demoSlow is how long the slow receiver takes.
	demoSlow = 2 * time.Second
	// demoFlaky is how many requests of the flaky receiver go by until one fails.
	demoFlaky = 3
	// demoDownMost bounds how long the receiver that is down stays so.
	demoDownMost = 30 * time.Second
)

// demoReceiver is an endpoint of the demo. Safe for concurrent use once it serves.
type demoReceiver struct {
	name      string
	behaviour string
	// misbehave is called for each request; true: it has answered. nil: it behaves.
	misbehave func(w http.ResponseWriter, r *http.Request, number int64) bool
	change    subscriptionBody // how its subscription differs from the defaults

	id      string
	secret  signature.Secret
	latency latencies
	tally   *tally // nil: what it takes is not counted by event

	requests atomic.Int64
	forged   atomic.Int64 // requests with a wrong signature
}

func (d *demo) newReceivers() []*demoReceiver {
	down := min(d.options.Duration/2, demoDownMost)
	if down == 0 {
		down = demoDownMost
	}
	back := d.started.Add(down)
	inFlight, patient := 64, 20
	return []*demoReceiver{
		{name: "healthy", behaviour: "answers at once"},
		{
			name: "slow", behaviour: fmt.Sprintf("answers after %v", demoSlow), misbehave: slowBy(demoSlow),
			change: subscriptionBody{Limits: &limitsBody{MaxInFlight: &inFlight}},
		},
		{
			name: "flaky", behaviour: "answers one of three with 500", misbehave: flaky,
			change: subscriptionBody{Retry: &retryBody{MinDelay: "1s"}},
		},
		{
			name: "down", behaviour: fmt.Sprintf("down for %v, then recovers", down),
			misbehave: downUntil(back),
			change:    subscriptionBody{Retry: &retryBody{MaxRetries: &patient, MinDelay: "1s", MaxDelay: "4s"}},
		},
	}
}

func slowBy(delay time.Duration) func(http.ResponseWriter, *http.Request, int64) bool {
	return func(_ http.ResponseWriter, r *http.Request, _ int64) bool { return !pause(r.Context(), delay) }
}

func flaky(w http.ResponseWriter, _ *http.Request, number int64) bool {
	if number%demoFlaky != 0 {
		return false
	}
	w.WriteHeader(http.StatusInternalServerError)
	return true
}

func downUntil(back time.Time) func(http.ResponseWriter, *http.Request, int64) bool {
	return func(http.ResponseWriter, *http.Request, int64) bool {
		if time.Now().Before(back) {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		return false
	}
}

// receive starts receivers and subscribes them. stop ends them; it must be called even after
// an error.
func (d *demo) receive(ctx context.Context, receivers []*demoReceiver) (stop func(), err error) {
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	stop = func() {
		cancel()
		running.Wait()
	}
	for _, r := range receivers {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return stop, fmt.Errorf("listen: %w", err)
		}
		if err := d.subscribe(ctx, r, "http://"+listener.Addr().String()+"/"+r.name); err != nil {
			return stop, errors.Join(err, listener.Close())
		}
		d.receivers = append(d.receivers, r)
		// A receiver that fails shows in the figures: its deliveries wait.
		running.Go(func() { _ = serveUntil(serving, listener, r) })
	}
	return stop, nil
}

func (d *demo) subscribe(ctx context.Context, r *demoReceiver, endpoint string) error {
	description := "demo: " + r.behaviour
	r.change.URL, r.change.Topics, r.change.Description = &endpoint, []string{"*"}, &description
	body, err := encodeChange(r.change)
	if err != nil {
		return err
	}
	answer, err := d.api.do(ctx, call{method: http.MethodPost, path: pathOf("subscriptions"), body: body})
	if err != nil {
		return fmt.Errorf("subscribe the %s receiver: %w", r.name, err)
	}
	var created struct{ ID, Secret string }
	if err := decodeAnswer(answer, &created); err != nil {
		return err
	}
	r.id = created.ID
	r.secret, err = signature.ParseSecret(created.Secret)
	return err
}

// ServeHTTP implements http.Handler: verify, measure, misbehave or answer 200.
func (r *demoReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	at := time.Now()
	number := r.requests.Add(1)
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxReceivedBytes))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	header := request.Header
	err = signature.Verify(
		header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature"),
		body, at, signatureTolerance, r.secret,
	)
	if err != nil {
		r.forged.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.misbehave != nil && r.misbehave(w, request, number) {
		return
	}
	var event struct {
		Timestamp time.Time `json:"timestamp"`
	}
	if json.Unmarshal(body, &event) == nil {
		r.latency.add(at.Sub(event.Timestamp))
	}
	if r.tally != nil {
		r.tally.take(header.Get("webhook-id"), at)
	}
	w.WriteHeader(http.StatusOK)
}

// pendingOf gives the deliveries not settled of each subscription.
func (d *demo) pendingOf(ctx context.Context) (map[string]subscriptionRow, error) {
	var p page[subscriptionRow]
	if _, err := d.api.get(ctx, pathOf("subscriptions"), longestPage(), &p); err != nil {
		return nil, err
	}
	rows := make(map[string]subscriptionRow, len(p.Data))
	for _, row := range p.Data {
		rows[row.ID] = row
	}
	return rows, nil
}
