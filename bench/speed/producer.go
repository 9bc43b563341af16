package main

import (
	"context"
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
func appendEvent(b []byte, posted time.Duration) []byte {
	from := len(b)
	b = append(b, `{"topic":"`+topic+`","data":{`+postedMember...)
	b = strconv.AppendInt(b, int64(posted), 10)
	b = append(b, `","filler":"`...)
	b = append(b, filler[:max(0, eventBytes-len(`"}}`)-(len(b)-from))]...)
	return append(b, `"}}`...)
}

var filler = strings.Repeat("x", eventBytes)

// load is what is posted.
type load struct {
	producers, requests int
	contentType         string
	// compose writes the n-th request, counted from 1, into b.
	compose func(b []byte, n int64) []byte
}

// post posts all of it, as fast as it is answered.
func (l load) post(ctx context.Context, url string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := newPoster(url)
	defer client.http.CloseIdleConnections()
	var taken atomic.Int64
	var posting sync.WaitGroup
	for range l.producers {
		posting.Go(func() {
			var body []byte
			for n := taken.Add(1); n <= int64(l.requests) && ctx.Err() == nil; n = taken.Add(1) {
				body = l.compose(body[:0], n)
				if err := client.post(body, l.contentType); err != nil {
					cancel(err)
				}
			}
		})
	}
	posting.Wait()
	return context.Cause(ctx)
}

// poster posts to one URL. Safe for concurrent use.
type poster struct {
	url  string
	http *fasthttp.Client
}

func newPoster(url string) *poster {
	return &poster{url: url, http: &fasthttp.Client{
		MaxConnsPerHost: producers, ReadTimeout: stalledAfter, WriteTimeout: stalledAfter, NoDefaultUserAgentHeader: true,
	}}
}

func (p *poster) post(body []byte, contentType string) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType(contentType)
	request.SetRequestURI(p.url)
	request.SetBodyRaw(body)
	if err := p.http.Do(request, response); err != nil {
		return fmt.Errorf("post: %w", err)
	}
	if response.StatusCode() != fasthttp.StatusAccepted {
		return fmt.Errorf("post: status %d: %s", response.StatusCode(), response.Body())
	}
	return nil
}
