package fault

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"pannier/bench/history"
)

// The sites: each is one listener whose receivers misbehave in one way.
const (
	siteGood   = "good"   // answers at once
	siteFlaky  = "flaky"  // fails, resets and asks for patience
	siteSlow   = "slow"   // takes its time, now and then more than the engine waits in memory
	siteHang   = "hang"   // now and then never answers
	sitePoison = "poison" // never takes some events
	siteOutage = "outage" // takes no connections for a while, again and again
)

const (
	maxBody     = 1 << 20
	closeWithin = 5 * time.Second
	// hangTimeout is the timeout of subscriptions at the site that hangs.
	hangTimeout = 2 * time.Second
	// pastSpill is longer than a delivery may wait in memory.
	pastSpill = 5300 * time.Millisecond
)

// sites are the receivers. A subscription's endpoint is http://site/name.
type sites struct {
	log     *history.Log
	seed    uint64
	byKind  map[string]*site
	outages sync.WaitGroup
	healed  chan struct{}
	heal    func()
}

type site struct {
	*sites
	kind   string
	url    string
	server *http.Server
	down   atomic.Bool

	mu    sync.Mutex
	names []string
}

func openSites(ctx context.Context, log *history.Log, seed uint64) (*sites, error) {
	s := &sites{log: log, seed: seed, byKind: make(map[string]*site), healed: make(chan struct{})}
	s.heal = sync.OnceFunc(func() { close(s.healed); s.outages.Wait() })
	for _, kind := range []string{siteGood, siteFlaky, siteSlow, siteHang, sitePoison, siteOutage} {
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, fmt.Errorf("open a receiver: %w", err)
		}
		one := &site{sites: s, kind: kind, url: "http://" + listener.Addr().String()}
		one.server = &http.Server{Handler: one, ReadHeaderTimeout: 10 * time.Second}
		s.byKind[kind] = one
		go one.server.Serve(gate{listener, &one.down}) //nolint:errcheck // it ends with close
	}
	s.outages.Go(s.byKind[siteOutage].fail)
	return s, nil
}

// close ends every receiver once its attempts have been noted.
func (s *sites) close() {
	s.heal()
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	for _, one := range s.byKind {
		_ = one.server.Shutdown(ctx)
		_ = one.server.Close()
	}
}

// endpoint gives a subscription its URL.
func (s *sites) endpoint(kind, name string) string {
	one := s.byKind[kind]
	one.mu.Lock()
	defer one.mu.Unlock()
	one.names = append(one.names, name)
	return one.url + "/" + name
}

// gate cuts off connections while the site is down.
type gate struct {
	net.Listener
	down *atomic.Bool
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || !g.down.Load() {
			return c, err
		}
		cutOff(c)
	}
}

// cutOff ends a connection with a reset.
func cutOff(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// fail takes the site down for a while, again and again, until heal.
func (s *site) fail() {
	random := newRandom(s.seed, "outage")
	wait := func(d time.Duration) bool {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-s.healed:
			return false
		}
	}
	for wait(500*time.Millisecond + time.Duration(random.IntN(2500))*time.Millisecond) {
		from := s.log.Now()
		s.down.Store(true)
		wait(300*time.Millisecond + time.Duration(random.IntN(1500))*time.Millisecond)
		s.down.Store(false)
		to := s.log.Now()
		s.mu.Lock()
		names := slices.Clip(s.names)
		s.mu.Unlock()
		for _, name := range names {
			s.log.Add(history.Record{
				At: to, Role: "fault", Proc: s.kind, Type: history.Caused, Op: history.OpDown,
				Fault: &history.Fault{Target: name, From: from, To: to},
			})
		}
	}
}

// ServeHTTP is one attempt.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &history.Attempt{Started: s.log.Now(), Wall: time.Now(), Name: r.URL.Path[1:]}
	a.SubscriptionID, a.WebhookID = r.Header.Get("Webhook-Subscription"), r.Header.Get("Webhook-Id")
	a.Topic, a.Timestamp, a.Signature = r.Header.Get("Webhook-Topic"), r.Header.Get("Webhook-Timestamp"), r.Header.Get("Webhook-Signature")
	a.Number, _ = strconv.Atoi(r.Header.Get("Webhook-Attempt")) // 0 is judged
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	a.Body = string(body)
	if err != nil {
		a.Answer = history.Cut
	} else {
		s.answer(w, r, a)
	}
	if a.Answer != history.Answered {
		a.Ended = s.log.Now()
	}
	s.log.Add(history.Record{
		At: a.Ended, Role: "receiver", Proc: s.kind, Type: history.Recv, Op: "attempt", Attempt: a,
	})
}

// answer does what the site's kind says. The same attempt is answered alike after a kill.
func (s *site) answer(w http.ResponseWriter, r *http.Request, a *history.Attempt) {
	b := s.behave(a)
	if s.down.Load() {
		b = behaviour{reset: true}
	}
	if b.delay > 0 && !pause(r.Context(), b.delay) {
		a.Answer = history.Abandoned
		return
	}
	switch {
	case b.hang:
		<-r.Context().Done()
		a.Answer = history.Abandoned
	case b.reset:
		a.Answer = history.Reset
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			cutOff(c)
		}
	case r.Context().Err() != nil:
		a.Answer = history.Abandoned
	default:
		// The end is noted before the answer: the sender settles after it, never before.
		a.Answer, a.Status, a.Ended = history.Answered, b.status, s.log.Now()
		if b.retryAfter {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(b.status)
	}
}

type behaviour struct {
	status      int
	delay       time.Duration
	hang, reset bool
	retryAfter  bool
}

func (s *site) behave(a *history.Attempt) behaviour {
	random := newRandom(s.seed, a.Name, a.WebhookID, strconv.Itoa(a.Number))
	chance := random.IntN(1000)
	milli := func(least, most int) time.Duration {
		return time.Duration(least+random.IntN(most-least)) * time.Millisecond
	}
	switch s.kind {
	case siteFlaky:
		switch {
		case chance < 150:
			return behaviour{status: http.StatusInternalServerError}
		case chance < 200:
			return behaviour{reset: true}
		case chance < 250:
			return behaviour{status: http.StatusServiceUnavailable, retryAfter: true}
		case chance < 300:
			return behaviour{status: http.StatusFound}
		}
	case siteSlow:
		if chance < 2 {
			return behaviour{status: http.StatusOK, delay: pastSpill}
		}
		return behaviour{status: http.StatusOK, delay: milli(5, 600)}
	case siteHang:
		if chance < 60 {
			return behaviour{hang: true}
		}
		return behaviour{status: http.StatusOK, delay: milli(0, 30)}
	case sitePoison:
		// Not the attempt but the event decides: its whole schedule is used up.
		if newRandom(s.seed, a.Name, a.WebhookID).IntN(1000) < 80 {
			return behaviour{status: http.StatusInternalServerError}
		}
	}
	return behaviour{status: http.StatusOK}
}
