package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pannier/bench/load/server"
	"pannier/bench/load/tally"
)

// retryPause is the wait after a request that got no answer.
const retryPause = 500 * time.Millisecond

// posting is one request: events of one topic with numbers in a row.
type posting struct {
	topic string
	first uint64
	count int
	due   time.Time
	body  []byte // one event, or lines where key is given
	key   string // Idempotency-Key of lines
}

// poster posts until each posting is accepted, with a bounded number of requests in flight.
// Every event or request has an id of its own, so repeating one makes no second event.
type poster struct {
	client   *server.Client
	book     *tally.Book
	patience time.Duration // how long a posting is repeated
	queue    chan posting
	workers  sync.WaitGroup
	cancel   context.CancelCauseFunc

	mu      sync.Mutex
	repeats int64 // requests that were repeated
}

// newPoster starts so many producers. The context it gives ends when a posting fails for
// good; its cause says why.
func newPoster(ctx context.Context, client *server.Client, book *tally.Book, o *options) (*poster, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &poster{client: client, book: book, patience: o.wait, queue: make(chan posting), cancel: cancel}
	for range o.producers {
		p.workers.Go(func() {
			for posting := range p.queue {
				if err := p.post(ctx, posting); err != nil {
					cancel(err)
				}
			}
		})
	}
	return p, ctx
}

// put hands a posting to a producer; it waits while all are busy.
func (p *poster) put(ctx context.Context, posting posting) error {
	select {
	case p.queue <- posting:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close waits for the requests in flight.
func (p *poster) close() {
	close(p.queue)
	p.workers.Wait()
}

func (p *poster) post(ctx context.Context, posting posting) error {
	for deadline := time.Now().Add(p.patience); ; {
		ids, err := p.once(ctx, posting)
		if err == nil {
			return p.accepted(posting, ids)
		}
		pause := retryPause
		if refusal, ok := errors.AsType[*server.RefusalError](err); ok {
			pause = refusal.RetryAfter
		}
		if pause == 0 || time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("post %s: %w", posting.topic, err)
		}
		p.mu.Lock()
		p.repeats++
		p.mu.Unlock()
		if err := pauseFor(ctx, pause); err != nil {
			return err
		}
	}
}

func (p *poster) once(ctx context.Context, posting posting) ([]string, error) {
	if posting.key != "" {
		return p.client.PostLines(ctx, posting.body, posting.key)
	}
	id, err := p.client.PostOne(ctx, posting.body)
	return []string{id}, err
}

func (p *poster) accepted(posting posting, ids []string) error {
	if len(ids) != posting.count {
		return fmt.Errorf("post %s: %d events were posted and %d accepted", posting.topic, posting.count, len(ids))
	}
	p.book.Accepting.Add(time.Since(posting.due))
	for i, id := range ids {
		p.book.Accept(posting.topic, posting.first+uint64(i), id)
	}
	return nil
}

// pauseFor waits, unless ctx ends first.
func pauseFor(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
