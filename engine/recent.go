package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// Recent remembers the ids and Idempotency-Keys that clients gave, between the 202 and the
// moment the index in the state knows them, and lets only one request at a time use one.
// Its size is bounded by the requests under way and the committer's queue. Safe for
// concurrent use.
type Recent struct {
	mu         sync.Mutex
	identities map[string]Identity
	answers    map[string]Answer
	claims     map[string]chan struct{}
}

// NewRecent makes an empty Recent.
func NewRecent() *Recent {
	return &Recent{
		identities: make(map[string]Identity),
		answers:    make(map[string]Answer),
		claims:     make(map[string]chan struct{}),
	}
}

// Remember notes what the writes are about to make durable; Forget is called when they are.
func (r *Recent) Remember(writes []Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range writes {
		switch w := w.(type) {
		case PutIdentity:
			r.identities[w.ID] = w.Identity
		case PutAnswer:
			r.answers[w.Key] = w.Answer
		}
	}
}

// Forget ends Remember.
func (r *Recent) Forget(writes []Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range writes {
		switch w := w.(type) {
		case PutIdentity:
			if r.identities[w.ID].Event == w.Event {
				delete(r.identities, w.ID)
			}
		case PutAnswer:
			delete(r.answers, w.Key)
		}
	}
}

// split finds the identities it remembers, and lists the other ids.
func (r *Recent) split(ids []string) (found map[string]Identity, others []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, others = make(map[string]Identity), make([]string, 0, len(ids))
	for _, id := range ids {
		if identity, known := r.identities[id]; known {
			found[id] = identity
		} else {
			others = append(others, id)
		}
	}
	return found, others
}

func (r *Recent) answer(key string) (Answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.answers[key]
	return found, ok
}

// claim waits until no other request uses any of names (in one order for all requests, each
// once, so that two requests never wait for each other) and reserves them.
func (r *Recent) claim(ctx context.Context, names []string) (release func(), err error) {
	mine := make(chan struct{})
	taken := 0
	release = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, name := range names[:taken] {
			delete(r.claims, name)
		}
		close(mine)
	}
	for {
		other := r.take(names[taken:], mine, &taken)
		if other == nil {
			return release, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			release()
			return nil, Errorf(CodeUnavailable, "the same id is being accepted by another request")
		}
	}
}

// take reserves names, in order, up to the first that another request uses, and gives what
// closes with that request; nil when all are reserved. It counts in taken.
func (r *Recent) take(names []string, mine chan struct{}, taken *int) (other chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if other, busy := r.claims[name]; busy {
			return other
		}
		r.claims[name] = mine
		*taken++
	}
	return nil
}

// Digest is equal for drafts that are the same event to a client that repeats itself.
func (d *Draft) Digest() [32]byte {
	h := sha256.New()
	var size [8]byte
	for _, part := range [][]byte{[]byte(d.Topic), []byte(d.Tenant), d.Data} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// Complete fills in the ids of an answer: those the request's record names, then those of
// the request's events, in order.
func (a *Answer) Complete(request *Request, events []*Event) {
	if len(a.IDs) > 0 {
		return
	}
	a.IDs = make([]string, len(request.Known)+len(events))
	next := 0
	for i := range a.IDs {
		if id, known := request.Known[uint32(i)]; known {
			a.IDs[i] = id
			continue
		}
		if next < len(events) {
			a.IDs[i] = events[next].ID
			next++
		}
	}
}
