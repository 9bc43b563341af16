package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"pannier/bench/load/server"
)

const (
	// ingestBatch is how many events a request has.
	ingestBatch = 1000
	// ingestProducers is how many requests are under way at once.
	ingestProducers = 16
)

// format is a way to write a request.
type format struct {
	name, contentType string
	compose           func(posted time.Duration) []byte
}

var formats = []format{
	{"NDJSON", "application/x-ndjson", func(posted time.Duration) []byte { return join("", "\n", "", posted, appendEvent) }},
	{"JSON array", "application/json", func(posted time.Duration) []byte { return join("[", ",", "]", posted, appendEvent) }},
	{"CloudEvents batch", "application/cloudevents-batch+json", func(posted time.Duration) []byte {
		return join("[", ",", "]", posted, appendCloudEvent)
	}},
}

func join(begin, between, end string, posted time.Duration, appendOne func([]byte, time.Duration) []byte) []byte {
	b := []byte(begin)
	for i := range ingestBatch {
		if i > 0 {
			b = append(b, between...)
		}
		b = appendOne(b, posted+time.Duration(i))
	}
	return append(b, end...)
}

// appendCloudEvent writes an event of eventBytes in the shape of CloudEvents 1.0.
func appendCloudEvent(b []byte, posted time.Duration) []byte {
	from := len(b)
	b = append(b, `{"specversion":"1.0","source":"/fleet","type":"`+topic+`","id":"`...)
	b = strconv.AppendInt(b, int64(posted), 10)
	b = append(b, `","data":{"filler":"`...)
	b = append(b, filler[:max(0, eventBytes-len(`"}}`)-(len(b)-from))]...)
	return append(b, `"}}`...)
}

// ingested are the runs of one server with one format.
type ingested struct{ accepted, cpu []float64 }

// measureIngest measures the servers, in turns: the yardsticks take no batches.
func measureIngest(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) error {
	servers := contenders[:1]
	if o.before != "" {
		servers = contenders[:2]
	}
	results := make([]ingested, len(servers)*len(formats))
	for n := range o.runs {
		for i, f := range formats {
			for k, c := range servers {
				figures, err := ingestOnce(ctx, c, f, o.events)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, f.name, err)
				}
				_, _ = fmt.Fprintf(progress, "%s, run %d, %s, %s: %.0f accepted/s\n", s.name, n+1, c.name, f.name, figures.accepted)
				r := &results[k*len(formats)+i]
				r.accepted, r.cpu = append(r.accepted, figures.accepted), append(r.cpu, figures.cpu)
			}
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s; medians of %d runs\n\taccepted/s\tCPU s per 1,000\tof NDJSON\n", s.name, s.title, o.runs)
	for n, r := range results {
		first := results[n/len(formats)*len(formats)]
		_, _ = fmt.Fprintf(w, "%s, %s\t%.0f\t%.4f\t%.2f\n", servers[n/len(formats)].name, formats[n%len(formats)].name,
			median(r.accepted), median(r.cpu), median(r.accepted)/median(first.accepted))
	}
	return w.Flush()
}

// ingestOnce posts so many events to a server of its own. Every request is answered once
// its events are synced.
func ingestOnce(ctx context.Context, c contender, f format, events int) (result figures, err error) {
	to, err := startReceiver(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	r, err := c.start(ctx, to, 0)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	meter, err := server.NewMeter(r.pid)
	if err != nil {
		return result, err
	}
	defer meter.Close()
	start := time.Now()
	if err := postBatches(ctx, r.url, f, events/ingestBatch); err != nil {
		return result, err
	}
	took := time.Since(start)
	used, err := meter.Read()
	if err != nil {
		return result, err
	}
	posted := float64(events / ingestBatch * ingestBatch)
	return figures{accepted: posted / took.Seconds(), cpu: used.CPU.Seconds() / posted * 1000}, nil
}

func postBatches(ctx context.Context, url string, f format, requests int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := newPoster(url)
	defer client.http.CloseIdleConnections()
	var taken atomic.Int64
	var posting sync.WaitGroup
	for producer := range ingestProducers {
		posting.Go(func() {
			for n := taken.Add(1); n <= int64(requests) && ctx.Err() == nil; n = taken.Add(1) {
				body := f.compose(time.Duration(n*ingestProducers+int64(producer)) * ingestBatch)
				if err := client.post(body, f.contentType); err != nil {
					cancel(err)
				}
			}
		})
	}
	posting.Wait()
	return context.Cause(ctx)
}
