package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Second hop of the straight path: before it engine/api/events.go decoded and authenticated
// the request; after it actors/ingress.go matches, appends and routes each lane's part.

// Accept makes drafts durable, all or none, and returns once they are synced. key is the
// request's Idempotency-Key or "".
//
// Errors: forbidden (another tenant), conflict (an id or the key was used for something
// else), throttled, unavailable, storage_full. Safe for concurrent use.
func (e *Engine) Accept(ctx context.Context, caller Caller, drafts []Draft, key string) (Accepted, error) {
	if err := stampTenant(caller, drafts); err != nil {
		return Accepted{}, err
	}
	if e.cluster != nil {
		if err := e.unready(); err != nil {
			return Accepted{}, err // too few members would have a copy
		}
	}
	r := &request{engine: e, drafts: drafts, single: len(drafts) == 1}
	if key != "" {
		r.key = caller.Tenant + "\x00" + key
	}
	if e.cluster != nil && key != "" {
		r.nameEvents()
	}
	if err := r.collapse(); err != nil {
		return Accepted{}, err
	}
	if names := r.names(); len(names) > 0 {
		release, err := e.recent.claim(ctx, names)
		if err != nil {
			return Accepted{}, err
		}
		defer release()
	}
	if answer, repeated, err := r.repeated(ctx); repeated || err != nil {
		return Accepted{IDs: answer.IDs, Replayed: repeated}, err
	}
	if err := r.resolve(ctx); err != nil {
		return Accepted{}, err
	}
	return r.accept()
}

// nameEvents gives the events of a request with an Idempotency-Key ids that follow from it: where a
// call that timed out is repeated at another member, which may not know the first one's answer
// yet, both make the same events.
func (r *request) nameEvents() {
	named := slices.Clone(r.drafts)
	for i := range named {
		if named[i].ID == "" {
			sum := sha256.Sum256([]byte(r.key + "\x00" + itoa(i)))
			named[i].ID = eventPrefix + hex.EncodeToString(sum[:16])
		}
	}
	r.drafts = named
}

// stampTenant gives the events of a caller bound to a tenant that tenant.
func stampTenant(caller Caller, drafts []Draft) error {
	if caller.Tenant == "" {
		return nil
	}
	for i := range drafts {
		switch drafts[i].Tenant {
		case "":
			drafts[i].Tenant = caller.Tenant
		case caller.Tenant:
		default:
			return Errorf(CodeForbidden, "this key may only post events of its own tenant")
		}
	}
	return nil
}

// request is one call of Accept.
type request struct {
	engine *Engine
	drafts []Draft
	key    string
	single bool

	digests [][32]byte     // by position
	byID    map[string]int // position of each given id
	given   []string       // the ids of byID, sorted
	known   map[uint32]string
}

// collapse checks that the same id means the same event inside the request and keeps the
// first of each.
func (r *request) collapse() error {
	if !slices.ContainsFunc(r.drafts, func(d Draft) bool { return d.ID != "" }) && r.key == "" {
		return nil // nearly always: it costs a request nothing
	}
	r.byID = make(map[string]int)
	r.digests = make([][32]byte, 0, len(r.drafts))
	distinct := make([]Draft, 0, len(r.drafts))
	for i := range r.drafts {
		d := r.drafts[i]
		digest := [32]byte{}
		if d.ID != "" || r.key != "" {
			digest = d.Digest()
		}
		if first, twice := r.byID[d.ID]; twice && d.ID != "" {
			if r.digests[first] != digest {
				return Errorf(CodeConflict, "the id %s stands for two different events in this request", d.ID)
			}
			continue
		}
		if d.ID != "" {
			r.byID[d.ID] = len(distinct)
		}
		distinct = append(distinct, d)
		r.digests = append(r.digests, digest)
	}
	r.drafts, r.given = distinct, slices.Sorted(maps.Keys(r.byID))
	return nil
}

// names are what the request must reserve, in an order that all requests keep: the given ids,
// and after them its key, which is no id, for there is a NUL in it.
func (r *request) names() []string {
	if r.key == "" {
		return r.given
	}
	return append(slices.Clip(r.given), r.key)
}

// repeated answers a request whose Idempotency-Key was used before.
func (r *request) repeated(ctx context.Context) (Answer, bool, error) {
	if r.key == "" {
		return Answer{}, false, nil
	}
	answer, found, err := r.engine.findAnswer(ctx, r.key)
	if err != nil {
		return Answer{}, false, err
	}
	if !found || r.engine.clock().Sub(answer.AcceptedAt) >= IdentityWindow {
		return Answer{}, false, nil
	}
	if answer.Digest != r.digest() {
		return Answer{}, false, Errorf(CodeConflict, "the Idempotency-Key was used for another request")
	}
	return answer, true, nil
}

// digest covers the whole request.
func (r *request) digest() [32]byte {
	h := sha256.New()
	for i, digest := range r.digests {
		h.Write([]byte(r.drafts[i].ID))
		h.Write(digest[:])
	}
	return [32]byte(h.Sum(nil))
}

// resolve finds which of the given ids were accepted before.
func (r *request) resolve(ctx context.Context) error {
	if len(r.byID) == 0 {
		return nil
	}
	r.known = make(map[uint32]string)
	identities, err := r.engine.findIdentities(ctx, r.given)
	if err != nil {
		return err
	}
	for id, i := range r.byID {
		identity, found := identities[id]
		if !found || r.engine.clock().Sub(identity.AcceptedAt) >= IdentityWindow {
			continue
		}
		if identity.Digest != r.digests[i] {
			return Errorf(CodeConflict, "the id %s was used for another event", id)
		}
		r.known[uint32(i)] = id //nolint:gosec // bounded by MaxBatchEvents
	}
	return nil
}

// findIdentities asks every member: a given id is one event, whoever accepted it.
func (e *Engine) findIdentities(ctx context.Context, ids []string) (map[string]Identity, error) {
	if e.cluster != nil {
		return e.cluster.Identities(ctx, ids)
	}
	return e.LocalIdentities(ctx, ids)
}

func (e *Engine) findAnswer(ctx context.Context, key string) (Answer, bool, error) {
	if e.cluster != nil {
		return e.cluster.Answer(ctx, key)
	}
	return e.LocalAnswer(ctx, key)
}

// LocalAnswer finds what a request with an Idempotency-Key was answered by this member.
func (e *Engine) LocalAnswer(ctx context.Context, key string) (Answer, bool, error) {
	if answer, found := e.recent.answer(key); found {
		return answer, true, nil
	}
	return e.state.Answer(ctx, key)
}

// LocalIdentities finds the events that given ids were used for on this member.
func (e *Engine) LocalIdentities(ctx context.Context, ids []string) (map[string]Identity, error) {
	identities, others := e.recent.split(ids)
	stored, err := e.state.Identities(ctx, others)
	if err != nil {
		return nil, err
	}
	maps.Copy(identities, stored)
	return identities, nil
}

// accept appends what is new and gathers the ids in the order of the request.
func (r *request) accept() (Accepted, error) {
	if len(r.known) == len(r.drafts) && r.key == "" {
		return Accepted{IDs: r.ids(nil), Replayed: true}, nil
	}
	events, parts := r.parts()
	if r.key != "" {
		r.addRequest(parts)
	}
	number(parts, len(parts) > 1)
	if len(parts) == 1 {
		for lane, part := range parts {
			if err := r.engine.lanes.Append(lane, part); err != nil {
				return Accepted{}, err
			}
		}
		return Accepted{IDs: r.ids(events), Replayed: len(r.known) == len(r.drafts)}, nil
	}
	if err := r.appendAll(events, parts); err != nil {
		return Accepted{}, err
	}
	return Accepted{IDs: r.ids(events)}, nil
}

// parts builds the events that are new, by lane.
func (r *request) parts() (events []*Event, parts map[string]*Part) {
	now := r.engine.clock()
	events = make([]*Event, len(r.drafts))
	parts = make(map[string]*Part, 1)
	for i := range r.drafts {
		if _, known := r.known[uint32(i)]; known {
			continue
		}
		d := &r.drafts[i]
		event := &Event{
			ID: d.ID, GivenID: d.ID != "", Topic: d.Topic, Tenant: d.Tenant, Timestamp: d.Timestamp,
			AcceptedAt: now, Data: d.Data, Extensions: d.Extensions, TraceParent: d.TraceParent,
			TraceState: d.TraceState, Directed: d.Directed,
		}
		if event.Timestamp.IsZero() {
			event.Timestamp = now
		}
		lane := r.engine.lanes.Lane(d.Topic)
		part := parts[lane]
		if part == nil {
			part = &Part{}
			parts[lane] = part
		}
		if event.GivenID {
			if part.Digests == nil {
				part.Digests = make(map[int][32]byte)
			}
			part.Digests[len(part.Events)] = r.digests[i]
		}
		part.Events = append(part.Events, event)
		events[i] = event
	}
	return events, parts
}

// addRequest puts the record of the Idempotency-Key beside the events; over several lanes
// it comes after them, with every id.
func (r *request) addRequest(parts map[string]*Part) {
	record := &Request{Key: r.key, Digest: r.digest(), Known: r.known, AcceptedAt: r.engine.clock()}
	part := &Part{}
	for _, only := range parts {
		part = only
	}
	if len(parts) == 0 {
		parts[SharedLane] = part
	}
	if len(parts) > 1 {
		return // appendAll writes it last
	}
	part.Request = record
	part.Answer = r.answerOf(record, nil)
}

func (r *request) answerOf(record *Request, ids []string) Answer {
	return Answer{Key: r.key, Digest: record.Digest, IDs: ids, Single: r.single, AcceptedAt: record.AcceptedAt}
}

// number ties the records of a request together, so that recovery can drop what was never
// answered.
func number(parts map[string]*Part, held bool) {
	count := uint32(0)
	for _, part := range parts {
		count += uint32(len(part.Events)) //nolint:gosec // bounded by MaxBatchEvents
		if part.Request != nil {
			count++
		}
		part.Held = held
	}
	if count < 2 {
		return
	}
	batch := BatchPart{ID: newBatchID(), Count: count}
	for _, part := range parts {
		for _, event := range part.Events {
			event.Batch = batch
			batch.Index++
		}
		if part.Request != nil {
			part.Request.Batch = batch
			batch.Index++
		}
	}
}

func newBatchID() uint64 {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return binary.BigEndian.Uint64(raw[:]) | 1
}

// appendAll makes the parts of several lanes durable and lets them be handed out only when
// all of them are.
func (r *request) appendAll(events []*Event, parts map[string]*Part) error {
	if r.key != "" {
		r.countRequest(parts)
	}
	durable, err := r.appendParts(parts)
	if err == nil && r.key != "" {
		err = r.appendRequest(events, parts)
	}
	for lane, part := range durable {
		if err != nil {
			r.engine.lanes.Abandon(lane, part)
		} else {
			r.engine.lanes.Release(lane, part)
		}
	}
	return err
}

// appendParts appends to all lanes at once and gives those that took their part.
func (r *request) appendParts(parts map[string]*Part) (durable map[string]*Part, err error) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	durable = make(map[string]*Part, len(parts))
	for lane, part := range parts {
		wait.Go(func() {
			refused := r.engine.lanes.Append(lane, part)
			mu.Lock()
			defer mu.Unlock()
			if refused == nil {
				durable[lane] = part
			} else {
				err = refused
			}
		})
	}
	wait.Wait()
	return durable, err
}

// countRequest makes room for the request's own record in the batch.
func (r *request) countRequest(parts map[string]*Part) {
	for _, part := range parts {
		for _, event := range part.Events {
			event.Batch.Count++
		}
	}
}

func (r *request) appendRequest(events []*Event, parts map[string]*Part) error {
	record := &Request{Key: r.key, Digest: r.digest(), Known: make(map[uint32]string), AcceptedAt: r.engine.clock()}
	ids := r.ids(events)
	for i, id := range ids {
		record.Known[uint32(i)] = id
	}
	var lane string
	for name, part := range parts {
		lane = name
		record.Batch = part.Events[0].Batch
	}
	record.Batch.Index = record.Batch.Count - 1
	return r.engine.lanes.Append(lane, &Part{Request: record, Answer: r.answerOf(record, ids)})
}

// ids lists the ids of the distinct events of the request.
func (r *request) ids(events []*Event) []string {
	ids := make([]string, len(r.drafts))
	for i := range r.drafts {
		if id, known := r.known[uint32(i)]; known {
			ids[i] = id
			continue
		}
		ids[i] = strings.Clone(events[i].ID)
	}
	return ids
}
