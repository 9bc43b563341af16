package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"pannier/bench/history"
)

const (
	// maxTries bounds how often a request that may be repeated is repeated.
	maxTries = 20
	// maxBatch and burst are sizes of batches; burst overflows a mailbox.
	maxBatch = 12
	burst    = 320
	// remembered are the given ids, and the keys, that may be posted again.
	remembered = 32
)

// publisher posts events, one request after the other. It is never killed.
type publisher struct {
	*workload
	name   string
	random *rand.Rand
	count  int
	given  []history.Posted // some that were answered
	keyed  []posting        // likewise, by Idempotency-Key
}

func newPublisher(w *workload, n int) *publisher {
	name := "p" + strconv.Itoa(n)
	return &publisher{workload: w, name: name, random: newRandom(w.seed, name)}
}

// work posts until ctx ends.
func (p *publisher) work(ctx context.Context) {
	if p.name == "p0" { // every run has a burst
		p.post(ctx, posting{events: p.batch(burst, topicBurst), lines: true})
	}
	for pause(ctx, time.Duration(40+p.random.IntN(120))*time.Millisecond) {
		p.post(ctx, p.request())
	}
}

// posting is one request to post events.
type posting struct {
	events []history.Posted
	lines  bool   // as NDJSON
	key    string // Idempotency-Key
}

// repeatable tells whether a request without an answer may be made again.
func (q *posting) repeatable() bool {
	if q.key != "" {
		return true
	}
	for _, e := range q.events {
		if e.ID == "" {
			return false
		}
	}
	return true
}

// request draws what is posted next.
func (p *publisher) request() posting {
	switch chance := p.random.IntN(1000); {
	case chance < 450:
		return posting{events: []history.Posted{p.event("")}}
	case chance < 600:
		e := p.event("")
		e.ID = "given-" + e.Ref
		return posting{events: []history.Posted{e}}
	case chance < 680 && len(p.given) > 0: // an id again: the same event, or another
		e := p.given[p.random.IntN(len(p.given))]
		if p.random.IntN(2) == 0 {
			other := p.event(e.Topic)
			other.ID = e.ID
			e = other
		}
		return posting{events: []history.Posted{e}}
	case chance < 700 && len(p.keyed) > 0: // a whole request again
		return p.keyed[p.random.IntN(len(p.keyed))]
	case chance < 760:
		events := p.batch(1+p.random.IntN(4), "")
		return posting{events: events, key: "key-" + events[0].Ref, lines: true}
	case chance < 998:
		return posting{events: p.batch(2+p.random.IntN(maxBatch-1), ""), lines: true}
	}
	return posting{events: p.batch(burst, topicBurst), lines: true}
}

func (p *publisher) batch(n int, topic string) []history.Posted {
	events := make([]history.Posted, n)
	for i := range events {
		events[i] = p.event(topic)
	}
	return events
}

// event makes an event whose data would not survive being decoded and encoded again.
func (p *publisher) event(topic string) history.Posted {
	p.count++
	e := history.Posted{Ref: p.name + "-" + strconv.Itoa(p.count), Topic: topic}
	if topic == "" {
		e.Topic = topics[p.random.IntN(len(topics))]
		e.Tenant = tenants[p.random.IntN(len(tenants))]
	}
	e.Data = fmt.Sprintf(`{"ref":%q, "n": %d.0,"text":"v\u00e9lo <&>","rest":%q}`, e.Ref, p.random.IntN(1000), strconv.FormatUint(p.random.Uint64(), 36))
	return e
}

// post makes one request and repeats it, where it may be, until its end is known.
func (p *publisher) post(ctx context.Context, q posting) {
	id := p.opID(p.name)
	record := func(kind history.Type, publish *history.Publish) {
		p.log.Add(history.Record{
			At: p.log.Now(), Role: "publisher", Proc: p.name, Type: kind, Op: history.OpPublish, ID: id, Publish: publish,
		})
	}
	header := http.Header{}
	if q.key != "" {
		header.Set("Idempotency-Key", q.key)
	}
	media, body := encode(&q)
	// A server that is not ready is waited for first, so that an invoke is soon on its way.
	if _, err := p.client.member.address(ctx); err != nil {
		return
	}
	record(history.Invoke, &history.Publish{Events: q.events})
	for range maxTries {
		a, err := p.client.call(ctx, http.MethodPost, "/v1/events", media, header, body)
		if err != nil {
			break
		}
		if end := a.end(); end == history.OK {
			ids := answered(a.body)
			record(end, &history.Publish{IDs: ids})
			p.remember(q)
			return
		} else if end == history.Fail {
			record(end, nil)
			return
		}
		if !q.repeatable() || !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	record(history.Info, nil)
}

// remember keeps what may be posted again, the latest of it.
func (p *publisher) remember(q posting) {
	for _, e := range q.events {
		if e.ID != "" {
			p.given = append(p.given, e)
		}
	}
	if q.key != "" {
		p.keyed = append(p.keyed, q)
	}
	p.given = p.given[max(0, len(p.given)-remembered):]
	p.keyed = p.keyed[max(0, len(p.keyed)-remembered):]
}

// encode writes the body of a request; data goes out byte for byte.
func encode(q *posting) (media string, body []byte) {
	var out bytes.Buffer
	for _, e := range q.events {
		out.WriteString(`{"topic":"` + e.Topic + `"`)
		if e.ID != "" {
			out.WriteString(`,"id":"` + e.ID + `"`)
		}
		if e.Tenant != "" {
			out.WriteString(`,"tenant":"` + e.Tenant + `"`)
		}
		out.WriteString(`,"data":` + e.Data + "}\n")
	}
	if q.lines {
		return jsonLines, out.Bytes()
	}
	return plainJSON, out.Bytes()
}

// answered reads the ids of a 202.
func answered(body []byte) []string {
	var one struct {
		ID  string   `json:"id"`
		IDs []string `json:"ids"`
	}
	if json.Unmarshal(body, &one) != nil {
		return nil // the checker refuses a history with the wrong number of ids
	}
	if one.ID != "" {
		return []string{one.ID}
	}
	return one.IDs
}
