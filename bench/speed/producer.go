package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// producers is how many requests are under way at once.
	producers = 64
	topic     = "vehicle.position"
	// postedMember is where an event says when it was posted.
	postedMember = `"posted":"`
	// eventBytes is the size of a posted event: a bike's position.
	eventBytes = 600
	// stalledAfter is how long nothing may arrive.
	stalledAfter = 15 * time.Second
)

// appendEvent writes a posted event of eventBytes.
func appendEvent(b []byte, topic string, posted time.Duration) []byte {
	from := len(b)
	b = append(b, `{"topic":"`...)
	b = append(b, topic...)
	b = append(b, `","data":{`+postedMember...)
	b = strconv.AppendInt(b, int64(posted), 10)
	return appendFiller(append(b, `",`...), from)
}

// appendFiller fills the data of an event that begins at from up to eventBytes.
func appendFiller(b []byte, from int) []byte {
	b = append(b, `"filler":"`...)
	b = append(b, filler[:max(0, eventBytes-len(`"}}`)-(len(b)-from))]...)
	return append(b, `"}}`...)
}

var filler = strings.Repeat("x", eventBytes)

// load is what is posted.
type load struct {
	producers, requests int
	rate                float64 // requests a second; 0: as fast as they are answered
	contentType         string
	// compose writes the n-th request, counted from 1, into b. It counts as posted at from.
	compose func(b []byte, n int64, from time.Time) []byte
}

// post posts all of it.
func (l load) post(ctx context.Context, to address) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := newPoster(to)
	defer client.http.CloseIdleConnections()
	start := time.Now()
	var taken atomic.Int64
	var posting sync.WaitGroup
	for range l.producers {
		posting.Go(func() {
			var body []byte
			for n := taken.Add(1); n <= int64(l.requests) && ctx.Err() == nil; n = taken.Add(1) {
				body = l.compose(body[:0], n, l.await(ctx, start, n))
				if err := client.post(body, l.contentType); err != nil {
					cancel(err)
				}
			}
		})
	}
	posting.Wait()
	return context.Cause(ctx)
}

// start begins to post; stop ends that and gives what went wrong.
func (l load) start(ctx context.Context, to address) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- l.post(ctx, to) }()
	return func() error {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// await waits until the n-th request is due and says from when it counts: from now, but when
// every producer was busy, from when it was due. A server that stalls cannot hide that by
// slowing its clients down, and a producer that wakes late is not taken for a slow server.
func (l load) await(ctx context.Context, start time.Time, n int64) (from time.Time) {
	if l.rate == 0 {
		return time.Now()
	}
	due := start.Add(time.Duration(float64(n-1) / l.rate * float64(time.Second)))
	early := time.Until(due)
	if early <= 0 {
		return due
	}
	select {
	case <-time.After(early):
	case <-ctx.Done():
	}
	return time.Now()
}

// address is where events are posted, and how.
type address struct {
	url      string   // "": the program sends by itself
	others   []string // of the other members of a cluster, which take turns with it
	headers  []string // "Name: value"
	template string   // with eventMark where the event goes; "": it is the body
}

// eventMark stands for the event in the body that another engine wants.
const eventMark = "EVENT"

// poster posts to one address. Safe for concurrent use.
type poster struct {
	address

	http *fasthttp.Client
	next atomic.Uint64 // of those that take turns
}

func newPoster(to address) *poster {
	return &poster{address: to, http: &fasthttp.Client{
		MaxConnsPerHost: producers, ReadTimeout: stalledAfter, WriteTimeout: stalledAfter, NoDefaultUserAgentHeader: true,
	}}
}

// turn is the URL of the next post.
func (p *poster) turn() string {
	if n := p.next.Add(1) % uint64(len(p.others)+1); n > 0 {
		return p.others[n-1]
	}
	return p.url
}

func (p *poster) post(body []byte, contentType string) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType(contentType)
	request.SetRequestURI(p.turn())
	for _, header := range p.headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(name, strings.TrimSpace(value))
	}
	if p.template != "" {
		body = []byte(strings.Replace(p.template, eventMark, string(body), 1))
	}
	request.SetBodyRaw(body)
	if err := p.http.Do(request, response); err != nil {
		return fmt.Errorf("post: %w", err)
	}
	if response.StatusCode()/100 != 2 {
		return fmt.Errorf("post: status %d: %s", response.StatusCode(), response.Body())
	}
	return nil
}
