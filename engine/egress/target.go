package egress

import (
	"errors"
	"net/http"
	"sync"

	"pannier/engine"
)

// errURLRefused marks a URL that passed at registration and that the policy in force now
// refuses: the operator has tightened it since.
var errURLRefused = errors.New("url refused")

// perRequestHeaders is how many headers build adds to those of a target.
const perRequestHeaders = 7

// target is what all attempts with one version of a subscription have in common.
// Immutable.
type target struct {
	version int
	request *http.Request // template: method, URL and host
	headers http.Header   // the subscription's own among them; shared, never changed
}

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
	return &target{version: s.Version, request: request, headers: headers}, nil
}
