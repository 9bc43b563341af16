package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// callTimeout bounds one call, its answer's body included. A page of a feed may have to
	// pass over millions of other events.
	callTimeout = 5 * time.Minute
	// maxAnswerBytes bounds an answer: a page of 1,000 events.
	maxAnswerBytes = 64 << 20
	// minRetryAfter and maxRetryAfter bound the wait a server may ask for.
	minRetryAfter = 100 * time.Millisecond
	maxRetryAfter = 30 * time.Second
)

// Client calls the API of one server. Safe for concurrent use.
type Client struct {
	base string // without a slash at the end
	key  string
	http *http.Client
}

// NewClient builds a client that keeps up to connections open; key is "" in development
// mode.
func NewClient(base, key string, connections int) (*Client, error) {
	parsed, err := url.Parse(base)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return nil, fmt.Errorf("the server's URL must be http or https")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute}
	return &Client{
		base: strings.TrimRight(base, "/"), key: key,
		http: &http.Client{Timeout: callTimeout, Transport: transport},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// RefusalError is an answer other than 2xx.
type RefusalError struct {
	Status     int
	RetryAfter time.Duration // 0: the server did not say, and the request is not to be repeated
	Detail     string
}

// Error gives the status and what the server said.
func (r *RefusalError) Error() string { return fmt.Sprintf("status %d: %s", r.Status, r.Detail) }

// request is one call.
type request struct {
	method, path string
	body         []byte
	kind         string // content type
	key          string // Idempotency-Key, if any
}

// do makes a call and gives the body of a 2xx answer. Errors: *RefusalError, or the transport's.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	call, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	if c.key != "" {
		call.Header.Set("Authorization", "Bearer "+c.key)
	}
	if r.body != nil {
		call.Header.Set("Content-Type", r.kind)
	}
	if r.key != "" {
		call.Header.Set("Idempotency-Key", r.key)
	}
	response, err := c.http.Do(call)
	if err != nil {
		return nil, fmt.Errorf("call the server: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, refusal(response, body)
	}
	return body, nil
}

func refusal(response *http.Response, body []byte) error {
	r := &RefusalError{Status: response.StatusCode, Detail: http.StatusText(response.StatusCode)}
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		r.Detail = problem.Detail
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		r.RetryAfter = time.Second
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			r.RetryAfter = min(max(minRetryAfter, time.Duration(seconds)*time.Second), maxRetryAfter)
		}
	}
	return r
}

// get fetches a resource into answer.
func (c *Client) get(ctx context.Context, path string, answer any) error {
	body, err := c.do(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("get %s: decode: %w", path, err)
	}
	return nil
}

// PostOne posts one event as JSON and gives its id. Errors: *RefusalError, or the transport's:
// then nobody knows whether it was accepted.
func (c *Client) PostOne(ctx context.Context, event []byte) (string, error) {
	body, err := c.do(ctx, request{method: http.MethodPost, path: "/v1/events", body: event, kind: "application/json"})
	if err != nil {
		return "", err
	}
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("decode the answer: %w", err)
	}
	return answer.ID, nil
}

// PostLines posts events, one a line, and gives their ids in that order; key is an
// Idempotency-Key or "". Errors: as PostOne.
func (c *Client) PostLines(ctx context.Context, lines []byte, key string) ([]string, error) {
	body, err := c.do(ctx, request{
		method: http.MethodPost, path: "/v1/events", body: lines, kind: "application/x-ndjson", key: key,
	})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Accepted int      `json:"accepted"`
		IDs      []string `json:"ids"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("decode the answer: %w", err)
	}
	if answer.Accepted != len(answer.IDs) {
		return nil, fmt.Errorf("the answer says %d were accepted and names %d", answer.Accepted, len(answer.IDs))
	}
	return answer.IDs, nil
}

// ActiveMembers counts the members of the cluster that are active to the server's knowledge; a
// server that is no cluster counts as one.
func (c *Client) ActiveMembers(ctx context.Context) (active int, err error) {
	var cluster struct {
		Members []struct {
			State string `json:"state"`
		} `json:"members"`
	}
	if err := c.get(ctx, "/v1/cluster", &cluster); err != nil {
		return 0, err
	}
	for _, member := range cluster.Members {
		if member.State == "active" {
			active++
		}
	}
	return active, nil
}
