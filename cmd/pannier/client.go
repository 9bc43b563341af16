package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"pannier/engine"
	"pannier/engine/api"
)

const (
	defaultServer = "http://127.0.0.1:8080"
	// callTimeout bounds one call, its answer's body included.
	callTimeout = time.Minute
	// maxAnswerBytes bounds an answer. A page of the largest events may be longer: then a
	// smaller --limit helps.
	maxAnswerBytes = 64 << 20
)

// client calls the REST API of one server. Safe for concurrent use.
type client struct {
	server string // without a slash at the end
	key    string
	http   *http.Client
	// warnings, if set, is told of answers that lack something.
	warnings io.Writer
}

// newClient builds a client for server; key is "" in development mode. Redirects are not
// followed: the key must not wander to another host.
func newClient(server, key string) (*client, error) {
	parsed, err := url.Parse(server)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return nil, usagef("PANNIER_URL is not an http or https URL")
	}
	return &client{
		server: strings.TrimRight(server, "/"), key: key,
		http: &http.Client{
			Timeout:       callTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// clientFromEnvironment builds the client of the verbs: PANNIER_URL and PANNIER_API_KEY.
func clientFromEnvironment() (*client, error) {
	server := os.Getenv("PANNIER_URL")
	if server == "" {
		server = defaultServer
	}
	c, err := newClient(server, os.Getenv("PANNIER_API_KEY"))
	if err == nil {
		c.warnings = os.Stderr
	}
	return c, err
}

// call is one request to the API.
type call struct {
	method string
	path   string // its parts are escaped, see pathOf
	query  url.Values
	body   []byte // nil: none
	kind   string // content type; "": application/json
	key    string // Idempotency-Key, if any
}

// pathOf joins an API path; parts are escaped, so that an id can never change the path.
func pathOf(parts ...string) string {
	var path strings.Builder
	path.WriteString("/v1")
	for _, part := range parts {
		path.WriteString("/" + url.PathEscape(part))
	}
	return path.String()
}

// do makes the request and gives the body of a successful answer. A refusal by the server
// is a *problem.
func (c *client) do(ctx context.Context, r call) ([]byte, error) {
	address := c.server + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	c.setHeaders(request, r)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing follows from it
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(body) > maxAnswerBytes {
		return nil, fmt.Errorf("the answer is over %d MiB, ask for a smaller --limit", maxAnswerBytes>>20)
	}
	if silent := response.Header.Get(api.SilentHeader); silent != "" && c.warnings != nil {
		_, _ = fmt.Fprintf(c.warnings, "pannier: without an answer from %s: what only they know is missing\n", silent)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, parseProblem(response.StatusCode, response.Header.Get("Content-Type"), body)
	}
	return bytes.TrimSpace(body), nil
}

func (c *client) setHeaders(request *http.Request, r call) {
	request.Header.Set("User-Agent", "Pannier-CLI/"+version())
	request.Header.Set("Accept", "application/json, application/problem+json")
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	if r.body != nil {
		kind := r.kind
		if kind == "" {
			kind = "application/json"
		}
		request.Header.Set("Content-Type", kind)
	}
	if r.key != "" {
		request.Header.Set("Idempotency-Key", r.key)
	}
}

// longestPage asks for as much of a list as one answer holds.
func longestPage() url.Values { return url.Values{"limit": {strconv.Itoa(engine.MaxPageSize)}} }

// get fetches what is at path into answer, and gives the body as it came.
func (c *client) get(ctx context.Context, path string, query url.Values, answer any) ([]byte, error) {
	body, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return nil, err
	}
	return body, decodeAnswer(body, answer)
}

func decodeAnswer(body []byte, answer any) error {
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("the server's answer is not what this version expects: %w", err)
	}
	return nil
}

// unreachable leaves the URL, which may hold credentials, out of a transport error.
func unreachable(err error) error {
	if transport, ok := errors.AsType[*url.Error](err); ok {
		err = transport.Err
	}
	return fmt.Errorf("no answer from the server: %w", err)
}
