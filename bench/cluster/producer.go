package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"pannier/bench/history"
)

// The topics. Every other event is steady: its subscriptions have a stream without holes.
const (
	topicSteady = "steady.tick"
	topicTrip   = "trip.created"
	topicEnded  = "trip.ended"
	topicMoved  = "bike.moved"
	topicZone   = "zone.entered"
)

var otherTopics = []string{topicTrip, topicEnded, topicMoved, topicZone}

const (
	// postWithin bounds how long an event is posted again and again under the same id.
	postWithin = 45 * time.Second
	// maxPosting bounds the events that are being posted at once.
	maxPosting = 512
	// padding makes an event about as large as a bike's.
	padding = 300
)

// producer posts events in an open loop: what one member does not answer holds nobody back.
type producer struct {
	*round
	rate    int // events a second
	count   int
	skipped int // events that were due while too many were being posted
}

// posting is an event and how it is named, so that it may be posted again.
type posting struct {
	history.Posted
	key   string // Idempotency-Key
	order []int  // members, in the order of trying
}

// work posts until ctx ends and returns when every post has ended.
func (p *producer) work(ctx context.Context) {
	random := newRandom(p.seed, "producer", p.prefix)
	due := time.NewTicker(time.Second / time.Duration(p.rate))
	defer due.Stop()
	places := make(chan struct{}, maxPosting)
	var posting sync.WaitGroup
	defer posting.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		next := p.next(random)
		select {
		case places <- struct{}{}:
		default:
			p.skipped++
			continue
		}
		posting.Go(func() {
			p.post(ctx, next)
			<-places
		})
	}
}

// next draws an event. Of five, two have an id of their own, two a key, and one has neither: its
// accept asks no other member.
func (p *producer) next(random *rand.Rand) posting {
	p.count++
	e := posting{order: random.Perm(len(p.group.members))}
	e.Ref = p.prefix + "e" + strconv.Itoa(p.count)
	e.Topic = topicSteady
	if p.count%2 == 0 {
		e.Topic = otherTopics[random.IntN(len(otherTopics))]
	}
	e.Data = fmt.Sprintf(`{"ref":%q, "n": %d.0,"text":"v\u00e9lo","rest":%q}`, e.Ref, random.IntN(1000), strings.Repeat("x", padding))
	switch random.IntN(5) {
	case 0, 1:
		e.ID = e.Ref
	case 2, 3:
		e.key = "key-" + e.Ref
	}
	return e
}

// post posts an event, at one member after the other, until it is accepted or refused.
func (p *producer) post(ctx context.Context, e posting) {
	record := func(kind history.Type, publish *history.Publish) {
		p.log.Add(history.Record{At: p.log.Now(), Role: "publisher", Proc: "producer", Type: kind, Op: history.OpPublish, ID: e.Ref, Publish: publish})
	}
	header, body := e.encode()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postWithin) // its end is to be known
	defer cancel()
	record(history.Invoke, &history.Publish{Events: []history.Posted{e.Posted}})
	for try := 0; ctx.Err() == nil; try++ {
		member := e.order[try%len(e.order)]
		if member >= p.group.size && !p.group.members[member].answering() {
			continue // it belongs to the cluster now and then
		}
		from := p.log.Now()
		a := p.client.call(ctx, p.group.net.host(member), http.MethodPost, "/v1/events", header, body)
		switch {
		case a.status == http.StatusAccepted:
			var made struct{ ID string }
			_ = json.Unmarshal(a.body, &made) // the judge refuses an answer without its id
			p.answered(e.Ref, made.ID, accepted{topic: e.Topic, member: member, from: from, to: p.log.Now()})
			record(history.OK, &history.Publish{IDs: []string{made.ID}})
			return
		case a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests:
			p.problem("event %s was refused with %d: %s", e.Ref, a.status, a.body)
			record(history.Fail, nil)
			return
		}
		if !a.unsent && e.once() {
			break // it would be another event
		}
		if !a.unsent {
			p.sentAgain(e.Ref)
		}
		pause(ctx, 20*time.Millisecond)
	}
	record(history.Info, nil)
}

// once tells that an event must not be sent twice: nothing says that both are one.
func (e *posting) once() bool { return e.ID == "" && e.key == "" }

// encode writes a request; data goes out byte for byte.
func (e *posting) encode() (http.Header, []byte) {
	header := http.Header{"Content-Type": {plainJSON}}
	body := `{"topic":"` + e.Topic + `"`
	if e.ID != "" {
		body += `,"id":"` + e.ID + `"`
	}
	if e.key != "" {
		header.Set("Idempotency-Key", e.key)
	}
	return header, []byte(body + `,"data":` + e.Data + "}")
}
