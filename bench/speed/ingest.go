package main

import (
	"context"
	"fmt"
	"strconv"
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
	compose           func(b []byte, n int64, from time.Time) []byte
}

var formats = []format{
	{"NDJSON", "application/x-ndjson", batches(ingestBatch, "", "\n", "", appendPosition)},
	{"JSON array", "application/json", batches(ingestBatch, "[", ",", "]", appendPosition)},
	{"CloudEvents batch", "application/cloudevents-batch+json", batches(ingestBatch, "[", ",", "]", appendCloudEvent)},
}

// load is so many events, ingestBatch a request.
func (f format) load(events int) load {
	return load{ingestProducers, events / ingestBatch, 0, f.contentType, f.compose}
}

// batches writes requests of so many events, no two of which are the same.
func batches(size int64, begin, between, end string, appendOne func([]byte, time.Duration) []byte) func([]byte, int64, time.Time) []byte {
	return func(b []byte, n int64, _ time.Time) []byte {
		b = append(b, begin...)
		for i := range size {
			if i > 0 {
				b = append(b, between...)
			}
			b = appendOne(b, time.Duration(n*size+i))
		}
		return append(b, end...)
	}
}

func appendPosition(b []byte, posted time.Duration) []byte { return appendEvent(b, topic, posted) }

// appendCloudEvent writes an event of eventBytes in the shape of CloudEvents 1.0.
func appendCloudEvent(b []byte, posted time.Duration) []byte {
	from := len(b)
	b = append(b, `{"specversion":"1.0","source":"/fleet","type":"`+topic+`","id":"`...)
	b = strconv.AppendInt(b, int64(posted), 10)
	return appendFiller(append(b, `","data":{`...), from)
}

// ingested are the runs of one server with one format.
type ingested struct{ accepted, cpu []float64 }

// measureIngest measures the servers, in turns: the yardsticks take no batches.
func measureIngest(ctx context.Context, t *trial) error {
	servers := t.contenders[:1]
	if t.before != "" {
		servers = t.contenders[:2]
	}
	results := make([]ingested, len(servers)*len(formats))
	for n := range t.runs {
		for i, f := range formats {
			for k, c := range servers {
				figures, err := ingestOnce(ctx, c, t.to, f, t.events)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, f.name, err)
				}
				_, _ = fmt.Fprintf(t.progress, "%s, run %d, %s, %s: %.0f accepted/s\n", t.name, n+1, c.name, f.name, figures.accepted)
				r := &results[k*len(formats)+i]
				r.accepted, r.cpu = append(r.accepted, figures.accepted), append(r.cpu, figures.cpu)
			}
		}
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s; medians of %d runs\n\taccepted/s\tCPU s per 1,000\tof NDJSON\n", t.name, t.title, t.runs)
	for n, r := range results {
		first := results[n/len(formats)*len(formats)]
		_, _ = fmt.Fprintf(w, "%s, %s\t%.0f\t%.4f\t%.2f\n", servers[n/len(formats)].name, formats[n%len(formats)].name,
			median(r.accepted), median(r.cpu), median(r.accepted)/median(first.accepted))
	}
	return w.Flush()
}

// ingestOnce posts so many events to a server of its own. Every request is answered once
// its events are synced.
func ingestOnce(ctx context.Context, c contender, to *receiver, f format, events int) (figures, error) {
	var result figures
	l := f.load(events)
	err := underLoad(ctx, c, to, 0, func(r *running, meter *server.Meter) error {
		start := time.Now()
		if err := l.post(ctx, r.to); err != nil {
			return err
		}
		took := time.Since(start)
		used, err := meter.Read()
		posted := float64(l.requests * ingestBatch)
		result = figures{accepted: posted / took.Seconds(), cpu: used.CPU.Seconds() / posted * 1000}
		return err
	})
	return result, err
}
