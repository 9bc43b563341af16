package storage

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
)

// Values of what users of the API make: subscriptions, API keys, lanes, replays.

func encodeVersion(s *engine.Subscription) []byte {
	w := newValueWriter(256)
	w.string(s.Tenant)
	w.string(s.URL)
	w.patterns(s.Topics)
	w.string(s.Description)
	w.bool(s.Enabled)
	w.natural(len(s.Secrets))
	for _, secret := range s.Secrets {
		w.string(secret.Secret.Reveal())
		w.time(secret.Until)
	}
	w.natural(len(s.Headers))
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		w.string(name)
		w.string(s.Headers[name])
	}
	w.natural(s.Retry.MaxRetries)
	w.int(int64(s.Retry.MinDelay))
	w.int(int64(s.Retry.MaxDelay))
	w.int(int64(s.Timeout))
	w.string(string(s.Success))
	w.natural(s.MaxInFlight)
	w.float(s.RatePerSecond)
	w.bool(s.DisableOnGone)
	w.time(s.CreatedAt)
	w.time(s.UpdatedAt)
	w.natural(s.Version)
	w.bool(s.Deleted)
	return w.b
}

// decodeVersion lets versions share equal texts through shared, which may be nil, and puts
// what it decodes into memory of in.
func decodeVersion(revision uint64, id engine.SubscriptionID, value []byte, shared map[string]string, in *pieces) (*engine.Subscription, error) {
	r := newValueReader(value)
	r.shared, r.pieces = shared, in
	s := in.version()
	*s = engine.Subscription{
		ID:          id,
		Revision:    revision,
		Tenant:      r.sharedString(),
		URL:         r.string(),
		Topics:      r.patterns(),
		Description: r.string(),
		Enabled:     r.bool(),
		Secrets:     r.secrets(),
		Headers:     r.headers(),
		Retry: retry.Schedule{
			MaxRetries: r.natural(),
			MinDelay:   time.Duration(r.int()),
			MaxDelay:   time.Duration(r.int()),
		},
		Timeout:       time.Duration(r.int()),
		Success:       engine.Success(r.sharedString()),
		MaxInFlight:   r.natural(),
		RatePerSecond: r.float(),
		DisableOnGone: r.bool(),
		CreatedAt:     r.time(),
		UpdatedAt:     r.time(),
		Version:       r.natural(),
		Deleted:       r.bool(),
	}
	return s, r.end()
}

func (w *valueWriter) patterns(patterns []match.Pattern) {
	w.natural(len(patterns))
	for _, p := range patterns {
		w.string(string(p))
	}
}

func (r *valueReader) patterns() []match.Pattern {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	patterns := r.pieces.patternList(n)
	for i := range patterns {
		patterns[i] = match.Pattern(r.sharedString())
	}
	return patterns
}

func (r *valueReader) secrets() []engine.ValidSecret {
	n := r.count(3)
	if n == 0 {
		return nil
	}
	secrets := r.pieces.secretList(n)
	for i := range secrets {
		text := string(r.raw()) // not kept
		if r.err != nil {
			return nil
		}
		secret, err := signature.ParseSecret(text)
		if err != nil {
			// Without the cause: it may quote the secret.
			r.fail("bad secret")
			return nil
		}
		secrets[i] = engine.ValidSecret{Secret: secret, Until: r.time()}
	}
	return secrets
}

// headers refuses names out of order or given twice: a value has one encoding.
func (r *valueReader) headers() map[string]string {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	headers := make(map[string]string, n)
	last := ""
	for i := range n {
		name := r.sharedString()
		if i > 0 && name <= last {
			r.fail("headers out of order")
			return nil
		}
		headers[name] = r.sharedString()
		last = name
	}
	return headers
}

func encodeAPIKey(k engine.APIKey) []byte {
	w := newValueWriter(96)
	w.fixed(k.Hash[:])
	w.string(string(k.Role))
	w.string(k.Tenant)
	w.string(k.Name)
	w.time(k.CreatedAt)
	return w.b
}

func decodeAPIKey(id string, value []byte) (engine.APIKey, error) {
	r := newValueReader(value)
	k := engine.APIKey{
		ID:        id,
		Hash:      r.digest(),
		Role:      engine.Role(r.string()),
		Tenant:    r.string(),
		Name:      r.string(),
		CreatedAt: r.time(),
	}
	return k, r.end()
}

func encodeLane(l engine.LaneRecord) []byte {
	w := newValueWriter(32)
	w.fixed64(uint64(l.Journal))
	w.string(l.Topic)
	w.bool(l.Promoted)
	return w.b
}

func decodeLane(name string, value []byte) (engine.LaneRecord, error) {
	r := newValueReader(value)
	l := engine.LaneRecord{
		Name:     name,
		Journal:  engine.JournalID(r.fixed64()),
		Topic:    r.string(),
		Promoted: r.bool(),
	}
	return l, r.end()
}

func encodeReplay(p engine.Replay) []byte {
	w := newValueWriter(96)
	w.string(string(p.Subscription))
	w.time(p.Since)
	w.time(p.Until)
	w.patterns(p.Topics)
	w.bool(p.DeadOnly)
	w.float(p.Rate)
	w.time(p.CreatedAt)
	w.fixed(appendDeliveryKey(nil, p.After))
	w.natural(p.Count)
	return w.b
}

func decodeReplay(id string, value []byte) (engine.Replay, error) {
	r := newValueReader(value)
	p := engine.Replay{
		ID:           id,
		Subscription: engine.SubscriptionID(r.string()),
		Since:        r.time(),
		Until:        r.time(),
		Topics:       r.patterns(),
		DeadOnly:     r.bool(),
		Rate:         r.float(),
		CreatedAt:    r.time(),
	}
	if after := r.fixed(deliveryKeyBytes); after != nil {
		p.After = readDeliveryKey(after)
	}
	p.Count = r.natural()
	if err := r.end(); err != nil {
		return engine.Replay{}, fmt.Errorf("replay: %w", err)
	}
	return p, nil
}
