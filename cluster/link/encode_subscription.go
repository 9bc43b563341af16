package link

import (
	"maps"
	"slices"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
)

// Messages about subscriptions. A version travels whole, its secrets included: every member
// signs with them, and the link is encrypted.

// The least that these take in a list.
const (
	leastVersionBytes = 30
	leastSecretBytes  = 1 + engine.MinSecretBytes + 2
)

func writeVersions(w *writer, m *protocol.Versions) {
	w.uint(m.Token)
	writeList(w, m.Versions, (*writer).version)
}

func readVersions(r *reader, m *protocol.Versions) {
	m.Token = r.uint()
	m.Versions = readList(r, leastVersionBytes, (*reader).version)
}

func writeVersionsStored(w *writer, m *protocol.VersionsStored) { w.uint(m.Token) }
func readVersionsStored(r *reader, m *protocol.VersionsStored)  { m.Token = r.uint() }

func writeTableDigest(w *writer, m *protocol.TableDigest) { writeList(w, m.Buckets, (*writer).fixed64) }

func readTableDigest(r *reader, m *protocol.TableDigest) {
	m.Buckets = readList(r, 8, (*reader).fixed64)
}

func writeWant(w *writer, m *protocol.Want) {
	writeList(w, m.Subscriptions, (*writer).subscriptionID)
}

func readWant(r *reader, m *protocol.Want) {
	m.Subscriptions = readList(r, 1, (*reader).subscriptionID)
}

func (w *writer) version(s *engine.Subscription) {
	w.subscriptionID(s.ID)
	w.string(s.Tenant)
	w.string(s.URL)
	writeList(w, s.Topics, func(w *writer, p match.Pattern) { w.string(string(p)) })
	w.string(s.Description)
	w.bool(s.Enabled)
	writeList(w, s.Secrets, func(w *writer, v engine.ValidSecret) {
		w.string(v.Secret.Reveal())
		w.time(v.Until)
	})
	w.headers(s.Headers)
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
	w.uint(s.Revision)
	w.bool(s.Deleted)
}

func (r *reader) version() *engine.Subscription {
	return &engine.Subscription{
		ID:          r.subscriptionID(),
		Tenant:      r.string(),
		URL:         r.string(),
		Topics:      readList(r, 1, func(r *reader) match.Pattern { return match.Pattern(r.string()) }),
		Description: r.string(),
		Enabled:     r.bool(),
		Secrets:     readList(r, leastSecretBytes, (*reader).secret),
		Headers:     r.headers(),
		Retry: retry.Schedule{
			MaxRetries: r.natural(),
			MinDelay:   time.Duration(r.int()),
			MaxDelay:   time.Duration(r.int()),
		},
		Timeout:       time.Duration(r.int()),
		Success:       engine.Success(r.string()),
		MaxInFlight:   r.natural(),
		RatePerSecond: r.float(),
		DisableOnGone: r.bool(),
		CreatedAt:     r.time(),
		UpdatedAt:     r.time(),
		Version:       r.natural(),
		Revision:      r.uint(),
		Deleted:       r.bool(),
	}
}

func (r *reader) secret() engine.ValidSecret {
	text := r.string()
	if r.err != nil {
		return engine.ValidSecret{}
	}
	secret, err := signature.ParseSecret(text)
	if err != nil {
		r.fail("bad secret")
		return engine.ValidSecret{}
	}
	return engine.ValidSecret{Secret: secret, Until: r.time()}
}

func (w *writer) headers(headers map[string]string) {
	w.natural(len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		w.string(name)
		w.string(headers[name])
	}
}

// headers refuses names out of order or given twice: a value has one encoding. The map grows
// as it is read, for one made for the count would take many times what the value does.
func (r *reader) headers() map[string]string {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	headers := make(map[string]string)
	last := ""
	for i := range n {
		name := r.string()
		if i > 0 && name <= last {
			r.fail("headers out of order")
		}
		if r.err != nil {
			return nil
		}
		headers[name] = r.string()
		last = name
	}
	return headers
}
