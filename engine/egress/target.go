package egress

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"pannier/engine"
	"pannier/engine/egress/http1"
	"pannier/engine/signature"
)

// errURLRefused marks a URL that passed at registration and that the policy in force now
// refuses: the operator has tightened it since.
var errURLRefused = errors.New("url refused")

// target is what all attempts with one version of a subscription have in common, and which
// version of HTTP the endpoint speaks. Safe for concurrent use.
type target struct {
	version int
	request *http.Request // template: method, URL and host
	headers http.Header   // the subscription's own among them; shared, never changed
	head    []byte        // request line and headers as HTTP/1.1 has them
	server  http1.Server
	secrets []engine.ValidSecret
	signers []*signature.Signer // one for each secret

	// learned is set once an endpoint has answered in HTTP/1: over TLS both sides may know
	// HTTP/2, which is better over a distance, so net/http negotiates first.
	learned atomic.Bool
}

// speaksHTTP1 tells that no version needs to be negotiated.
func (t *target) speaksHTTP1() bool { return !t.server.TLS || t.learned.Load() }

// learn notes the version of a response.
func (t *target) learn(major int) { t.learned.Store(major == 1) }

// forget makes net/http negotiate again: the endpoint may have changed.
func (t *target) forget() { t.learned.Store(false) }

// targets remembers the targets of the latest versions. When it is full an arbitrary one
// makes room: making one again costs a few microseconds.
type targets struct {
	guard     *Guard
	userAgent string

	mu             sync.RWMutex
	bySubscription map[engine.SubscriptionID]*target
}

func newTargets(guard *Guard, userAgent string) *targets {
	return &targets{
		guard: guard, userAgent: userAgent,
		bySubscription: make(map[engine.SubscriptionID]*target),
	}
}

// get gives the target of this version of s. Errors: errURLRefused.
func (t *targets) get(s *engine.Subscription) (*target, error) {
	t.mu.RLock()
	known := t.bySubscription[s.ID]
	t.mu.RUnlock()
	if known != nil && known.version == s.Version {
		return known, nil
	}
	made, err := t.make(s)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, replaces := t.bySubscription[s.ID]; !replaces && len(t.bySubscription) >= maxTargets {
		for id := range t.bySubscription {
			delete(t.bySubscription, id)
			break
		}
	}
	t.bySubscription[s.ID] = made
	return made, nil
}

func (t *targets) make(s *engine.Subscription) (*target, error) {
	u, reason := t.guard.parse(s.URL)
	if reason != "" {
		return nil, errURLRefused
	}
	headers := http.Header{
		"User-Agent":           {t.userAgent},
		"Webhook-Subscription": {string(s.ID)},
	}
	for name, value := range s.Headers {
		headers[http.CanonicalHeaderKey(name)] = []string{value}
	}
	headers["Content-Type"] = []string{"application/json"}
	request := &http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	made := &target{version: s.Version, request: request, headers: headers, head: headOf(request, headers)}
	for _, v := range s.Secrets {
		made.signers = append(made.signers, signature.NewSigner(v.Secret))
	}
	made.secrets = s.Secrets
	made.server = http1.Server{
		Address: net.JoinHostPort(u.Hostname(), strconv.Itoa(serverPort(u))), Name: u.Hostname(), TLS: u.Scheme == "https",
	}
	return made, nil
}

// headOf writes the request line and the headers that all requests have.
func headOf(request *http.Request, headers http.Header) []byte {
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n", request.URL.RequestURI(), request.Host)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		head = fmt.Appendf(head, "%s: %s\r\n", name, headers[name][0])
	}
	return head
}
