package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pannier/bench/load/server"
	"pannier/bench/load/tally"
)

// The topic of the synthetic load.
var loadTopics = []tally.Topic{{Name: "load.event", Member: "event_id"}}

const markLoad = 1

// loadOpenLoop posts a synthetic load, waits for what is pending and compares.
func loadOpenLoop(ctx context.Context, o *options, out, progress io.Writer) (err error) {
	target, ctx, err := openTarget(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	start := time.Now()
	book := tally.NewBook(rand.Uint32(), start, loadTopics) //nolint:gosec // keeps runs apart, no secret
	tastes := make([]taste, o.subscriptions)
	for i := range tastes {
		tastes[i] = taste{fmt.Sprintf("receiver %d", i+1), []string{loadTopics[0].Name}}
	}
	partners, err := subscribe(ctx, target.client, book, tastes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, partners.close(ctx)) }()
	watch := watchProgress(progress, book, partners, loadTopics)
	defer watch.close()
	start = time.Now()
	l := &openLoop{options: o, client: target.client, book: book, schedule: newSchedule(start, o.rate, o.batch, o.duration)}
	l.run(ctx)
	posted := time.Now()
	if err := partners.settle(ctx, o.patience); err != nil {
		return err
	}
	result := &outcome{
		start: start, posted: posted, last: partners.last(), book: book, partners: partners,
		refused: l.refused.Load(), unanswered: l.unanswered.Load(), unsent: l.unsent.Load(),
	}
	if result.cost, err = target.cost(); err != nil {
		return err
	}
	if result.report, err = audit(ctx, book, partners, false); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	result.audited = time.Now()
	return result.print(out, loadTopics)
}

// openLoop posts on schedule, whether or not earlier requests have been answered. A
// request that starts late because all producers are busy counts from when it was due: a
// server that stalls cannot hide it by slowing its clients down.
type openLoop struct {
	*options

	client   *server.Client
	book     *tally.Book
	schedule *schedule

	refused, unanswered, unsent atomic.Int64 // events
}

func (l *openLoop) run(ctx context.Context) {
	var producers sync.WaitGroup
	for range l.producers {
		producers.Go(func() { l.produce(ctx) })
	}
	producers.Wait()
}

func (l *openLoop) produce(ctx context.Context) {
	filler := strings.Repeat("x", l.size)
	var body []byte
	for {
		n, due, ok := l.schedule.next()
		if !ok {
			return
		}
		late := time.Since(due)
		if late > l.wait {
			l.unsent.Add(int64(l.batch)) // the server is far too slow: end it
			continue
		}
		if pauseFor(ctx, -late) != nil {
			return
		}
		body = l.compose(body[:0], n, due, filler)
		l.send(ctx, n, due, body)
	}
}

// compose writes the n-th request into b and its events into the book.
func (l *openLoop) compose(b []byte, n uint64, due time.Time, filler string) []byte {
	topic := loadTopics[0].Name
	for i := range l.batch {
		number := n*uint64(l.batch) + uint64(i)
		b = fmt.Appendf(b, `{"topic":"%s","data":`, topic)
		from := len(b)
		b = fmt.Appendf(b, `{"event_id":"%s","filler":"`, tally.Mark{Run: l.book.Run(), Kind: markLoad, Number: number})
		b = append(b, filler[:max(0, l.size-(len(b)-from)-len(`"}`))]...)
		b = append(b, `"}`...)
		l.book.Plan(topic, number, b[from:], due)
		b = append(b, "}\n"...)
	}
	return b
}

func (l *openLoop) send(ctx context.Context, n uint64, due time.Time, body []byte) {
	var ids []string
	var err error
	if l.batch == 1 {
		var id string
		id, err = l.client.PostOne(ctx, body)
		ids = []string{id}
	} else {
		ids, err = l.client.PostLines(ctx, body, "")
	}
	topic, first := loadTopics[0].Name, n*uint64(l.batch) //nolint:gosec // not negative
	var refusal *server.RefusalError
	switch {
	case err == nil && len(ids) == l.batch:
		l.book.Accepting.Add(time.Since(due))
		for i, id := range ids {
			l.book.Accept(topic, first+uint64(i), id)
		}
	case errors.As(err, &refusal):
		l.refused.Add(int64(l.batch))
		for i := range l.batch {
			l.book.Refuse(topic, first+uint64(i))
		}
		if l.rate == 0 {
			_ = pauseFor(ctx, refusal.RetryAfter) // ended: the next round sees it
		}
	default:
		l.unanswered.Add(int64(l.batch))
	}
}

// schedule says when each request is due. Safe for concurrent use.
type schedule struct {
	start, end time.Time
	interval   float64 // nanoseconds; 0: at once
	taken      atomic.Uint64
}

func newSchedule(start time.Time, rate float64, batch int, duration time.Duration) *schedule {
	s := &schedule{start: start, end: start.Add(duration)}
	if rate > 0 {
		s.interval = float64(batch) / rate * float64(time.Second)
	}
	return s
}

// next takes the next request: its number and when it is due; false after the end.
func (s *schedule) next() (n uint64, due time.Time, ok bool) {
	n = s.taken.Add(1) - 1
	due = time.Now()
	if s.interval > 0 {
		due = s.start.Add(time.Duration(float64(n) * s.interval))
	}
	return n, due, due.Before(s.end)
}
