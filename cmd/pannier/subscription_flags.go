package main

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// subscriptionFlags are the parts of a subscription that can be written. What is not
// given is left to the server: its default at create, as it is at update.
type subscriptionFlags struct {
	URL           *string           `name:"url" placeholder:"URL" help:"The endpoint."`
	Topics        []string          `name:"topic" placeholder:"PATTERN" help:"A topic, prefix.* or *; may be repeated."`
	Description   *string           `placeholder:"TEXT" help:"A note for people."`
	Headers       map[string]string `name:"header" mapsep:"none" placeholder:"NAME=VALUE" help:"A header of every request to the endpoint; may be repeated."`
	MaxRetries    *int              `placeholder:"N" help:"Retries after the first attempt, 0 to 20."`
	MinDelay      *time.Duration    `placeholder:"DURATION" help:"Delay before the first retry, 1s to 24h."`
	MaxDelay      *time.Duration    `placeholder:"DURATION" help:"Delay before the last retry, 1s to 24h."`
	Timeout       *time.Duration    `placeholder:"DURATION" help:"Of one attempt, 1s to 30s."`
	Success       *string           `enum:"below_400,2xx" placeholder:"RULE" help:"Statuses that are a success: below_400 or 2xx."`
	MaxInFlight   *int              `placeholder:"N" help:"Attempts at once, 1 to 1024."`
	RatePerSecond *float64          `placeholder:"N" help:"Attempts a second; 0 is no limit."`
	DisableOnGone *bool             `negatable:"" help:"Disable the subscription when the endpoint answers 410."`
	Data          string            `placeholder:"JSON|@file|-" help:"The whole request as JSON, instead of flags."`
}

// subscriptionBody is a create or update as the API takes it.
type subscriptionBody struct {
	URL           *string           `json:"url,omitempty"`
	Topics        []string          `json:"topics,omitempty"`
	Tenant        string            `json:"tenant,omitempty"`
	Description   *string           `json:"description,omitempty"`
	Enabled       *bool             `json:"enabled,omitempty"`
	Secret        string            `json:"secret,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	Retry         *retryBody        `json:"retry,omitempty"`
	Timeout       string            `json:"timeout,omitempty"`
	Success       *string           `json:"success,omitempty"`
	Limits        *limitsBody       `json:"limits,omitempty"`
	DisableOnGone *bool             `json:"disable_on_gone,omitempty"`
}

type retryBody struct {
	MaxRetries *int   `json:"max_retries,omitempty"`
	MinDelay   string `json:"min_delay,omitempty"`
	MaxDelay   string `json:"max_delay,omitempty"`
}

type limitsBody struct {
	MaxInFlight   *int     `json:"max_in_flight,omitempty"`
	RatePerSecond *float64 `json:"rate_per_second,omitempty"`
}

func (f *subscriptionFlags) body() subscriptionBody {
	body := subscriptionBody{
		URL: f.URL, Topics: f.Topics, Description: f.Description, Headers: f.Headers,
		Timeout: durationText(f.Timeout), Success: f.Success, DisableOnGone: f.DisableOnGone,
	}
	retry := retryBody{MaxRetries: f.MaxRetries, MinDelay: durationText(f.MinDelay), MaxDelay: durationText(f.MaxDelay)}
	if retry != (retryBody{}) {
		body.Retry = &retry
	}
	limits := limitsBody{MaxInFlight: f.MaxInFlight, RatePerSecond: f.RatePerSecond}
	if limits != (limitsBody{}) {
		body.Limits = &limits
	}
	return body
}

func durationText(d *time.Duration) string {
	if d == nil {
		return ""
	}
	return d.String()
}

// request is the body to send: change, or what --data holds where it is given alone.
func (f *subscriptionFlags) request(c console, change subscriptionBody) ([]byte, error) {
	body, err := encodeChange(change)
	if err != nil || f.Data == "" {
		return body, err
	}
	if !bytes.Equal(body, []byte("{}")) {
		return nil, usagef("--data holds the whole request, other flags cannot be added to it")
	}
	return input(c, f.Data)
}

type subscriptionsCreate struct {
	outputFlags
	subscriptionFlags
	Tenant   string `placeholder:"TENANT" help:"Whose subscription it is; it never changes."`
	Secret   string `env:"PANNIER_SECRET" placeholder:"whsec_…" help:"Sign with this secret; without one the server makes it."`
	Disabled bool   `help:"Match nothing until it is enabled."`
}

// Run creates the subscription and prints it with its secret, which is shown only now.
func (s *subscriptionsCreate) Run(ctx context.Context, c console) error {
	change := s.body()
	change.Tenant, change.Secret = s.Tenant, s.Secret
	if s.Disabled {
		enabled := false
		change.Enabled = &enabled
	}
	if s.Data == "" && (s.URL == nil || len(s.Topics) == 0) {
		return usagef("a subscription needs --url and at least one --topic")
	}
	body, err := s.request(c, change)
	if err != nil {
		return err
	}
	return s.ask(ctx, c, call{method: http.MethodPost, path: pathOf("subscriptions"), body: body})
}

type subscriptionsUpdate struct {
	outputFlags
	subscriptionArgument
	subscriptionFlags
	Enable  bool `xor:"enabled" help:"Match events again and go on with what is pending."`
	Disable bool `xor:"enabled" help:"Match no new events and keep what is pending."`
}

// Run changes what the flags name and prints the subscription.
func (s *subscriptionsUpdate) Run(ctx context.Context, c console) error {
	change := s.body()
	if s.Enable || s.Disable {
		change.Enabled = &s.Enable
	}
	body, err := s.request(c, change)
	if err != nil {
		return err
	}
	if bytes.Equal(body, []byte("{}")) {
		return usagef("nothing to change: name what, as in --enable or --max-in-flight 8")
	}
	return s.ask(ctx, c, call{
		method: http.MethodPatch, path: s.path(), body: body, kind: "application/merge-patch+json",
	})
}
