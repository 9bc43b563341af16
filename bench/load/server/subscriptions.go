package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// pageSize is how many items of a feed one call asks for.
const pageSize = 1000

// Subscription is what the load generator reads of one.
type Subscription struct {
	ID        string    `json:"id"`
	Secret    string    `json:"secret"` // by Subscribe only
	State     string    `json:"state"`
	Pending   int64     `json:"pending"`
	CreatedAt time.Time `json:"created_at"`
}

// Subscribe makes a subscription.
func (c *Client) Subscribe(ctx context.Context, endpoint string, topics []string, description string) (Subscription, error) {
	var made Subscription
	body, err := json.Marshal(map[string]any{"url": endpoint, "topics": topics, "description": description})
	if err != nil {
		return made, fmt.Errorf("encode subscription: %w", err)
	}
	answer, err := c.do(ctx, request{method: http.MethodPost, path: "/v1/subscriptions", body: body, kind: "application/json"})
	if err != nil {
		return made, fmt.Errorf("subscribe: %w", err)
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return made, fmt.Errorf("subscribe: decode: %w", err)
	}
	return made, nil
}

// Subscription looks at one.
func (c *Client) Subscription(ctx context.Context, id string) (Subscription, error) {
	var found Subscription
	return found, c.get(ctx, "/v1/subscriptions/"+url.PathEscape(id), &found)
}

// Pending is how many deliveries of all subscriptions are not settled.
func (c *Client) Pending(ctx context.Context) (int64, error) {
	var stats struct {
		Pending int64 `json:"pending"`
	}
	return stats.Pending, c.get(ctx, "/v1/stats", &stats)
}

// Unsubscribe deletes a subscription and what is pending of it.
func (c *Client) Unsubscribe(ctx context.Context, id string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: "/v1/subscriptions/" + url.PathEscape(id)})
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	return nil
}

// FeedItem is one event that a subscription should have had.
type FeedItem struct {
	ID       string          `json:"id"`
	Topic    string          `json:"topic"`
	Data     json.RawMessage `json:"data"`
	Delivery struct {
		State string `json:"state"`
	} `json:"delivery"`
}

// Feed pages through the reconciliation feed of a subscription from its creation on, or
// through what is undelivered of it.
func (c *Client) Feed(ctx context.Context, s *Subscription, undelivered bool, visit func(*FeedItem)) error {
	query := url.Values{"limit": {fmt.Sprint(pageSize)}, "since": {s.CreatedAt.UTC().Format(time.RFC3339Nano)}}
	if undelivered {
		query.Set("state", "undelivered")
	}
	path := "/v1/subscriptions/" + url.PathEscape(s.ID) + "/events?"
	for {
		var page struct {
			Data []FeedItem `json:"data"`
			Next *string    `json:"next_cursor"`
		}
		if err := c.get(ctx, path+query.Encode(), &page); err != nil {
			return err
		}
		for i := range page.Data {
			visit(&page.Data[i])
		}
		if page.Next == nil || *page.Next == "" {
			return nil
		}
		if *page.Next == query.Get("cursor") {
			return fmt.Errorf("the feed stands still at cursor %s", *page.Next)
		}
		query.Set("cursor", *page.Next)
	}
}
