package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// dialWithin and callWithin bound one call: a member that stands still is left soon.
	dialWithin = time.Second
	callWithin = 6 * time.Second
	maxAnswer  = 32 << 20
	plainJSON  = "application/json"
	mergePatch = "application/merge-patch+json"
)

// client calls the members' API. Safe for concurrent use.
type client struct {
	http *http.Client
	key  string
}

func newClient(key string) *client {
	dialer := net.Dialer{Timeout: dialWithin}
	return &client{key: key, http: &http.Client{
		Timeout:   callWithin,
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second},
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is what came back. Status 0 means that nothing did; then unsent tells that the request
// never went out.
type answer struct {
	status int
	body   []byte
	unsent bool
}

// call makes one call to a member, and ends it whatever becomes of ctx: its end must be known.
func (c *client) call(ctx context.Context, host, method, path string, header http.Header, body []byte) answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, api(host)+path, bytes.NewReader(body))
	if err != nil {
		return answer{unsent: true}
	}
	maps.Copy(request.Header, header)
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := c.http.Do(request)
	if err != nil {
		var failed *net.OpError
		return answer{unsent: errors.As(err, &failed) && failed.Op == "dial"}
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}
	}
	return answer{status: response.StatusCode, body: text}
}

// get reads one document.
func (c *client) get(ctx context.Context, host, path string, into any) error {
	a := c.call(ctx, host, http.MethodGet, path, nil, nil)
	if a.status != http.StatusOK {
		return fmt.Errorf("%s of %s answered %d", path, host, a.status)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("read %s of %s: %w", path, host, err)
	}
	return nil
}

// maxPages bounds a list.
const maxPages = 200

// list pages through a list and gives each row to take.
func list[T any](ctx context.Context, c *client, host, path string, query url.Values, take func(T)) error {
	query.Set("limit", "1000")
	for range maxPages {
		var page struct {
			Data       []T     `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := c.get(ctx, host, path+"?"+query.Encode(), &page); err != nil {
			return err
		}
		for _, row := range page.Data {
			take(row)
		}
		if page.NextCursor == nil {
			return nil
		}
		query.Set("cursor", *page.NextCursor)
	}
	return fmt.Errorf("%s has more than %d pages", path, maxPages)
}
