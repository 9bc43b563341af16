package check

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pannier/bench/history"
)

// never is later than any moment of a run.
const never = time.Duration(math.MaxInt64)

// model is a history put in order.
type model struct {
	events   map[string]*event    // by ref
	byID     map[string]*event    // by the server's id, as publishers and receivers know it
	shared   map[string][2]*event // ids that stand for two events
	requests []*request
	subs     map[string]*subscription // by name
	pairs    map[pairKey]*pair
	kills    []kill // and graceful ends, in order
	downs    map[string][]history.Fault
	attempts int
	strays   []history.Attempt // that name no posted event

	readByID    []history.Event
	listed      []history.Event
	deliveries  []history.Delivery
	feeds       map[string][]history.Delivery
	ends        []history.Subscription
	stats       *history.Stats
	lastReading time.Duration
}

// event is a posted event, whatever number of requests posted it.
type event struct {
	history.Posted
	invoke, ok time.Duration // of the first request that was answered; ok is never otherwise
	end        history.Type  // ok before info before fail
	ids        []string      // the server's, wherever they turned up
	seen       time.Duration // first evidence that it was accepted; never: none
	publisher  string
}

// request is one call that posted events.
type request struct {
	proc   string
	id     string
	end    history.Type
	events []*event
	ids    int // of its answer
}

type pairKey struct{ name, ref string }

// pair is one subscription and one event that met.
type pair struct {
	key      pairKey
	event    *event
	sub      *subscription
	attempts []*history.Attempt // in order of their start
	rows     []history.Delivery // of the final list
}

func (p *pair) succeeded() bool {
	return slices.ContainsFunc(p.attempts, func(a *history.Attempt) bool { return a.Success() })
}

func (p *pair) deadLetters() []history.Delivery {
	var dead []history.Delivery
	for _, row := range p.rows {
		if row.State == "dead" {
			dead = append(dead, row)
		}
	}
	return dead
}

// newModel puts records in order of time and ties them together.
func newModel(records []history.Record) (*model, error) {
	m := &model{
		events: make(map[string]*event), byID: make(map[string]*event), shared: make(map[string][2]*event),
		subs:  make(map[string]*subscription),
		pairs: make(map[pairKey]*pair), downs: make(map[string][]history.Fault), feeds: make(map[string][]history.Delivery),
	}
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b history.Record) int { return cmp.Compare(a.At, b.At) })
	open := make(map[string]any) // operations without an end, by id
	for i := range sorted {
		if err := m.take(&sorted[i], open); err != nil {
			return nil, fmt.Errorf("record at %v: %w", sorted[i].At, err)
		}
	}
	if m.stats == nil {
		return nil, errors.New("the history has no final reading: the run was not finished")
	}
	m.link(sorted)
	return m, nil
}

func (m *model) take(r *history.Record, open map[string]any) error {
	switch r.Type {
	case history.Invoke, history.OK, history.Fail, history.Info:
		if r.Op == history.OpPublish {
			return m.takePublish(r, open)
		}
		return m.takeChange(r, open)
	case history.Caused:
		if r.Fault == nil {
			return errors.New("a fault without its interval")
		}
		if r.Op == history.OpDown {
			m.downs[r.Fault.Target] = append(m.downs[r.Fault.Target], *r.Fault)
		} else {
			m.kills = append(m.kills, kill{*r.Fault, r.Op == history.OpStop})
		}
	case history.Read:
		return m.takeReading(r)
	case history.Recv: // linked when all events are known
		if r.Attempt == nil {
			return errors.New("an attempt without its request")
		}
		m.attempts++
	default:
		return fmt.Errorf("unknown type %q", r.Type)
	}
	return nil
}

func (m *model) takePublish(r *history.Record, open map[string]any) error {
	if r.Type == history.Invoke {
		if r.Publish == nil {
			return errors.New("a publish without its events")
		}
		req := &request{proc: r.Proc, id: r.ID, end: history.Info}
		for _, posted := range r.Publish.Events {
			e := m.events[posted.Ref]
			if e == nil {
				e = &event{Posted: posted, invoke: r.At, ok: never, end: history.Fail, seen: never, publisher: r.Proc}
				m.events[posted.Ref] = e
			}
			req.events = append(req.events, e)
		}
		m.requests = append(m.requests, req)
		open[r.ID] = req
		return nil
	}
	req, known := open[r.ID].(*request)
	if !known {
		return fmt.Errorf("the end of a publish %s that was not begun", r.ID)
	}
	req.end = r.Type
	delete(open, r.ID)
	if r.Type != history.OK {
		return nil
	}
	if r.Publish == nil {
		return fmt.Errorf("the answer to publish %s without its ids", r.ID)
	}
	req.ids = len(r.Publish.IDs)
	for i, e := range req.events {
		e.ok = min(e.ok, r.At)
		if i < req.ids {
			m.know(r.Publish.IDs[i], e)
		}
	}
	return nil
}

func (m *model) takeReading(r *history.Record) error {
	m.lastReading = max(m.lastReading, r.At)
	switch {
	case r.Op == history.OpEvent && r.Event != nil:
		m.readByID = append(m.readByID, *r.Event)
	case r.Op == history.OpListed && r.Event != nil:
		m.listed = append(m.listed, *r.Event)
	case r.Op == history.OpDelivery && r.Delivery != nil:
		m.deliveries = append(m.deliveries, *r.Delivery)
	case r.Op == history.OpFeed && r.Delivery != nil:
		m.feeds[r.Delivery.Name] = append(m.feeds[r.Delivery.Name], *r.Delivery)
	case r.Op == history.OpSubscription && r.Subscription != nil:
		m.ends = append(m.ends, *r.Subscription)
	case r.Op == history.OpStats && r.Stats != nil:
		m.stats = r.Stats
	default:
		return fmt.Errorf("a reading of %q without what was read", r.Op)
	}
	return nil
}

// link resolves ids and attempts once every event is known.
func (m *model) link(records []history.Record) {
	for _, req := range m.requests {
		req.conclude()
	}
	// The server's ids of unanswered events are known only from where they turned up.
	for _, read := range m.readByID {
		if e := m.events[refOf([]byte(read.Data))]; e != nil {
			m.know(read.ID, e)
		}
	}
	for i := range records {
		if a := records[i].Attempt; records[i].Type == history.Recv {
			m.linkAttempt(a)
		}
	}
	for _, p := range m.pairs {
		slices.SortStableFunc(p.attempts, func(a, b *history.Attempt) int { return cmp.Compare(a.Started, b.Started) })
	}
	for _, row := range m.deliveries {
		if e := m.byID[row.EventID]; e != nil {
			p := m.pair(row.Name, e)
			p.rows = append(p.rows, row)
		}
	}
	for _, read := range m.readByID {
		if e := m.byID[read.ID]; e != nil && read.Status == 200 {
			e.seen = min(e.seen, m.lastReading)
		}
	}
}

func (m *model) linkAttempt(a *history.Attempt) {
	e := m.events[refOf(dataOf(a))]
	if e == nil && a.Answer == history.Cut {
		e = m.byID[a.WebhookID]
		if e == nil {
			return // nobody can say what it would have been
		}
	}
	if e == nil {
		m.strays = append(m.strays, *a)
		return
	}
	e.seen = min(e.seen, a.Started)
	m.know(a.WebhookID, e)
	p := m.pair(a.Name, e)
	p.attempts = append(p.attempts, a)
}

// conclude gives the events of a request its end: one answer that they were accepted
// outweighs every other.
func (req *request) conclude() {
	for _, e := range req.events {
		if e.end != history.OK && req.end != history.Fail {
			e.end = req.end
		}
	}
}

// know notes under which id the server has an event.
func (m *model) know(id string, e *event) {
	if m.byID[id] == nil {
		m.byID[id] = e
	}
	if first := m.byID[id]; first != e {
		m.shared[id] = [2]*event{first, e}
	}
	if !slices.Contains(e.ids, id) {
		e.ids = append(e.ids, id)
	}
}

func (m *model) pair(name string, e *event) *pair {
	key := pairKey{name, e.Ref}
	p := m.pairs[key]
	if p == nil {
		p = &pair{key: key, event: e, sub: m.subs[name]}
		m.pairs[key] = p
	}
	return p
}

// kill is an end of the server.
type kill struct {
	history.Fault
	graceful bool
}

// killsFrom gives the kills that were not over at t.
func (m *model) killsFrom(t time.Duration) []kill {
	i, _ := slices.BinarySearchFunc(m.kills, t, func(k kill, t time.Duration) int { return cmp.Compare(k.To, t) })
	return m.kills[i:]
}

// forgot finds a kill, begun no later than until, that may have made the engine forget how
// an attempt ended. A graceful end forgets only what was under way.
func (m *model) forgot(a *history.Attempt, until time.Duration) (kill, bool) {
	for _, k := range m.killsFrom(a.Started) {
		if k.From > min(a.Ended+DuplicateWindow, until) {
			break
		}
		if !k.graceful || k.From <= a.Ended {
			return k, true
		}
	}
	return kill{}, false
}

// killsIn counts the kills in the interval.
func (m *model) killsIn(from, to time.Duration) int {
	n := 0
	for _, k := range m.killsFrom(from) {
		if k.From > to {
			break
		}
		n++
	}
	return n
}

// body is what a receiver gets.
type body struct {
	ID    string          `json:"id"`
	Topic string          `json:"topic"`
	Data  json.RawMessage `json:"data"`
}

func dataOf(a *history.Attempt) []byte {
	var b body
	if json.Unmarshal([]byte(a.Body), &b) != nil {
		return nil
	}
	return b.Data
}

// refOf finds the ref in an event's data.
func refOf(data []byte) string {
	var fields struct {
		Ref string `json:"ref"`
	}
	if json.Unmarshal(data, &fields) != nil {
		return ""
	}
	return fields.Ref
}
