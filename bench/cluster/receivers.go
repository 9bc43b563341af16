package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pannier/bench/history"
)

// The sites: what the first part of an endpoint's path says of how it answers.
const (
	siteGood   = "good"   // answers at once
	siteFlaky  = "flaky"  // fails now and then
	siteSlow   = "slow"   // takes its time
	siteHang   = "hang"   // now and then never answers
	sitePoison = "poison" // never takes some events
	siteLate   = "late"   // takes some events after a few attempts only
)

// lateAttempts are how many attempts of some events the site late refuses: their retry records
// outlive a takeover.
const lateAttempts = 5

// maxBody bounds what a receiver reads.
const maxBody = 1 << 20

// receivers are all endpoints; they write what arrives into the history of the round.
type receivers struct {
	url    string
	seed   uint64
	server *http.Server
	log    atomic.Pointer[history.Log]
	prefix atomic.Pointer[string] // of the names of the round
	stale  atomic.Uint64          // attempts that belong to an earlier round

	mu    sync.Mutex
	taken uint64 // deliveries in this round
}

func openReceivers(ctx context.Context, address string, seed uint64) (*receivers, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("open the receivers: %w", err)
	}
	r := &receivers{url: "http://" + listener.Addr().String(), seed: seed}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go func() {
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // nothing would ever arrive
		}
	}()
	return r, nil
}

func (r *receivers) close() error { return r.server.Close() }

// begin has attempts written into the history of a round, whose names begin with prefix.
func (r *receivers) begin(log *history.Log, prefix string) {
	r.log.Store(log)
	r.prefix.Store(&prefix)
	r.mu.Lock()
	r.taken = 0
	r.mu.Unlock()
}

func (r *receivers) endpoint(site, name string) string { return r.url + "/" + site + "/" + name }

// ServeHTTP is one attempt.
func (r *receivers) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	log, prefix := r.log.Load(), r.prefix.Load()
	site, name, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	if log == nil || !strings.HasPrefix(name, *prefix) {
		r.stale.Add(1) // of a subscription that is about to be deleted
		return
	}
	a := &history.Attempt{Started: log.Now(), Wall: time.Now(), Name: name}
	a.SubscriptionID, a.WebhookID = request.Header.Get("Webhook-Subscription"), request.Header.Get("Webhook-Id")
	a.Topic, a.Timestamp = request.Header.Get("Webhook-Topic"), request.Header.Get("Webhook-Timestamp")
	a.Signature = request.Header.Get("Webhook-Signature")
	a.Number, _ = strconv.Atoi(request.Header.Get("Webhook-Attempt"))
	body, err := io.ReadAll(io.LimitReader(request.Body, maxBody))
	a.Body = string(body)
	if err != nil {
		a.Answer = history.Cut
	} else {
		r.answer(w, request, log, site, a)
	}
	if a.Answer != history.Answered {
		a.Ended = log.Now()
	}
	log.Add(history.Record{At: a.Ended, Role: "receiver", Proc: site, Type: history.Recv, Op: "attempt", Attempt: a})
	if a.Success() {
		r.mu.Lock()
		r.taken++
		r.mu.Unlock()
	}
}

func (r *receivers) answer(w http.ResponseWriter, request *http.Request, log *history.Log, site string, a *history.Attempt) {
	b := r.behave(site, a)
	if b.hang || (b.delay > 0 && !pause(request.Context(), b.delay)) {
		<-request.Context().Done()
		a.Answer = history.Abandoned
		return
	}
	// The end is noted before the answer: the sender settles after it, never before.
	a.Answer, a.Status, a.Ended = history.Answered, b.status, log.Now()
	w.WriteHeader(b.status)
}

type behaviour struct {
	status int
	delay  time.Duration
	hang   bool
}

// behave decides by name, event and attempt: the same attempt is answered alike by seed.
func (r *receivers) behave(site string, a *history.Attempt) behaviour {
	random := newRandom(r.seed, a.Name, a.WebhookID, strconv.Itoa(a.Number))
	chance := random.IntN(1000)
	switch site {
	case siteFlaky:
		if chance < 150 {
			return behaviour{status: http.StatusInternalServerError}
		}
	case siteSlow:
		return behaviour{status: http.StatusOK, delay: time.Duration(5+random.IntN(500)) * time.Millisecond}
	case siteHang:
		if chance < 60 {
			return behaviour{hang: true}
		}
	case sitePoison:
		// Not the attempt but the event decides: its whole schedule is used up.
		if newRandom(r.seed, a.Name, a.WebhookID).IntN(1000) < 60 {
			return behaviour{status: http.StatusInternalServerError}
		}
	case siteLate:
		if a.Number <= lateAttempts && newRandom(r.seed, a.Name, a.WebhookID).IntN(1000) < 300 {
			return behaviour{status: http.StatusInternalServerError}
		}
	}
	return behaviour{status: http.StatusOK}
}
