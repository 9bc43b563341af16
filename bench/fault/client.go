package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"pannier/bench/history"
)

const (
	// callWithin bounds one call; what takes longer has an unknown end.
	callWithin = 10 * time.Second
	maxAnswer  = 64 << 20
	pageSize   = 1000
	mergePatch = "application/merge-patch+json"
	plainJSON  = "application/json"
	jsonLines  = "application/x-ndjson"
)

// client calls the server's REST API. Safe for concurrent use.
type client struct {
	member *member
	http   *http.Client
}

func newClient(m *member) *client {
	return &client{member: m, http: &http.Client{
		Timeout: callWithin, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// answer is what came back; status 0 means that nobody knows what the call did.
type answer struct {
	status int
	body   []byte
}

// end says what an answer promises.
func (a answer) end() history.Type {
	switch a.status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return history.OK
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusConflict, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
		http.StatusInsufficientStorage:
		return history.Fail
	}
	return history.Info
}

// call makes one call once the server is ready. It fails only when ctx ends before.
func (c *client) call(ctx context.Context, method, path, media string, header http.Header, body []byte) (answer, error) {
	base, err := c.member.address(ctx)
	if err != nil {
		return answer{}, err
	}
	// A call that was begun is ended whatever becomes of ctx: its end must be known.
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("call %s: %w", path, err)
	}
	maps.Copy(request.Header, header)
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, nil // the server was killed: the end is unknown
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, nil
	}
	return answer{status: response.StatusCode, body: text}, nil
}

// get reads one document while nobody kills the server.
func (c *client) get(ctx context.Context, path string, into any) (status int, err error) {
	a, err := c.call(ctx, http.MethodGet, path, "", nil, nil)
	if err != nil {
		return 0, err
	}
	if a.status != http.StatusOK {
		return a.status, nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return a.status, fmt.Errorf("read %s: %w", path, err)
	}
	return a.status, nil
}

func (c *client) stats(ctx context.Context) (history.Stats, error) {
	var stats history.Stats
	status, err := c.get(ctx, "/v1/stats", &stats)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/v1/stats answered %d", status)
	}
	return stats, err
}

// list pages through a list and gives each row to take.
func list[T any](ctx context.Context, c *client, path string, take func(T)) error {
	for cursor := ""; ; {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var page struct {
			Data       []T     `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		status, err := c.get(ctx, path+"?"+query.Encode(), &page)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("%s answered %d", path, status)
		}
		for _, row := range page.Data {
			take(row)
		}
		if page.NextCursor == nil {
			return nil
		}
		cursor = *page.NextCursor
	}
}
