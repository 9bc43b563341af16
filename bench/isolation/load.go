package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// callTimeout bounds one call of the API.
const callTimeout = 30 * time.Second

// producers is how many requests of the healthy load may be under way at once: at a hundred
// a second a server may take half a second before one must wait.
const producers = 64

// payload fills an event up to the size of a bike's trip.
var payload = strings.Repeat("x", 600)

// client calls the API in development mode. Safe for concurrent use.
type client struct {
	base string
	http *http.Client
}

func newClient(base string) *client {
	return &client{base: base, http: &http.Client{
		Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * producers, IdleConnTimeout: time.Minute},
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// do makes a call and decodes a 2xx answer.
func (c *client) do(ctx context.Context, method, path, kind string, body []byte, answer any) error {
	call, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	call.Header.Set("Content-Type", kind)
	response, err := c.http.Do(call)
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: status %d: %s", method, path, response.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// subscribe makes a subscription and gives its id; timeout is "" for the server's own.
func (c *client) subscribe(ctx context.Context, url, topic, timeout string) (string, error) {
	spec := map[string]any{"url": url, "topics": []string{topic}}
	if timeout != "" {
		spec["timeout"] = timeout
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("encode subscription: %w", err)
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := c.do(ctx, http.MethodPost, "/v1/subscriptions", "application/json", body, &made); err != nil {
		return "", fmt.Errorf("subscribe: %w", err)
	}
	return made.ID, nil
}

// pending is how many deliveries of a subscription are not settled.
func (c *client) pending(ctx context.Context, subscription string) (int64, error) {
	var found struct {
		Pending int64 `json:"pending"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/subscriptions/"+subscription, "application/json", nil, &found)
	return found.Pending, err
}

// postOne posts a healthy event whose latency counts from a time.
func (c *client) postOne(ctx context.Context, from time.Time) error {
	body := appendEvent(nil, healthyTopic, fromMember+strconv.FormatInt(int64(from.Sub(begin)), 10)+",")
	return c.do(ctx, http.MethodPost, "/v1/events", "application/json", body, new(any))
}

// postLines posts n events in one request.
func (c *client) postLines(ctx context.Context, topic string, n int) error {
	body := make([]byte, 0, n*(len(payload)+100))
	for range n {
		body = append(appendEvent(body, topic, ""), '\n')
	}
	return c.do(ctx, http.MethodPost, "/v1/events", "application/x-ndjson", body, new(any))
}

func appendEvent(body []byte, topic, member string) []byte {
	return fmt.Appendf(body, `{"topic":%q,"data":{%s"pad":%q}}`, topic, member, payload)
}

// postOnSchedule posts healthy events one by one, each at its time whether or not earlier
// ones have been answered, and gives their number. An event counts from the moment its
// request begins. If it had to wait for a producer, because the server held all of them up,
// it counts from when it was due: a server that stalls cannot hide that by slowing its
// clients down, and a client that wakes late is not taken for a slow server.
func postOnSchedule(ctx context.Context, c *client, rate int, d time.Duration) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting := make(chan time.Time) // when it was due; zero: it is begun at once
	var posting sync.WaitGroup
	for range producers {
		posting.Go(func() {
			for from := range waiting {
				if from.IsZero() {
					from = time.Now()
				}
				if err := c.postOne(ctx, from); err != nil {
					cancel(err)
				}
			}
		})
	}
	events := int(d.Seconds() * float64(rate))
	start := time.Now()
	for n := range events {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			continue
		}
		select {
		case waiting <- time.Time{}:
		default:
			waiting <- due
		}
	}
	close(waiting)
	posting.Wait()
	return events, context.Cause(ctx)
}

// flood posts to the flooded topic in small batches, at a bounded rate.
type flood struct {
	cancel context.CancelFunc
	done   chan error
}

// floodBatch is the events of one request.
const floodBatch = 50

func startFlood(ctx context.Context, c *client, rate int) *flood {
	ctx, cancel := context.WithCancel(ctx)
	f := &flood{cancel: cancel, done: make(chan error, 1)}
	go func() {
		tick := time.NewTicker(floodBatch * time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				f.done <- nil
				return
			}
			if err := c.postLines(ctx, floodTopic, floodBatch); err != nil && ctx.Err() == nil {
				f.done <- err
				return
			}
		}
	}()
	return f
}

// stop ends the flood and says what went wrong with it.
func (f *flood) stop() error {
	f.cancel()
	return <-f.done
}
