package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"pannier/engine"
)

// maxInputBytes bounds what is read of a file or of standard input for one request: the
// server takes no more.
const maxInputBytes = engine.MaxRequestBytes

// ask makes one call and prints its answer; an empty answer prints nothing.
func (o outputFlags) ask(ctx context.Context, c console, r call) error {
	api, err := clientFromEnvironment()
	if err != nil {
		return err
	}
	body, err := api.do(ctx, r)
	if err != nil || len(body) == 0 {
		return err
	}
	return o.show(c, body)
}

// post asks with a JSON body; nil is an empty one.
func (o outputFlags) post(ctx context.Context, c console, path string, body any) error {
	r := call{method: http.MethodPost, path: path}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		r.body = text
	}
	return o.ask(ctx, c, r)
}

// input reads what --data names: JSON itself, @file, or - for standard input.
func input(c console, data string) ([]byte, error) {
	var source io.Reader
	switch {
	case data == "-":
		source = c.in
	case strings.HasPrefix(data, "@"):
		file, err := os.Open(data[1:])
		if err != nil {
			return nil, usageError{fmt.Errorf("--data: %w", err)}
		}
		defer file.Close() //nolint:errcheck // it is only read
		source = file
	default:
		source = strings.NewReader(data)
	}
	text, err := io.ReadAll(io.LimitReader(source, maxInputBytes+1))
	if err != nil {
		return nil, usageError{fmt.Errorf("--data: %w", err)}
	}
	if len(text) > maxInputBytes {
		return nil, usagef("--data: over %d MiB", maxInputBytes>>20)
	}
	if !json.Valid(text) {
		return nil, usagef("--data: not valid JSON")
	}
	return text, nil
}

// windowFlags narrow a list to a half-open window on accept time.
type windowFlags struct {
	Since moment `placeholder:"TIME" help:"From this time on: RFC 3339, or how long ago (1h, 30m)."`
	Until moment `placeholder:"TIME" help:"Up to this time, not included."`
}

func (w windowFlags) set(query url.Values) {
	w.Since.set(query, "since")
	w.Until.set(query, "until")
}

// moment is a time as the API wants it: RFC 3339; "" is none.
type moment string

// UnmarshalText reads RFC 3339 or a duration before now.
func (m *moment) UnmarshalText(text []byte) error {
	parsed, err := parseMoment(string(text), time.Now())
	*m = parsed
	return err
}

func parseMoment(text string, now time.Time) (moment, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		if ago < 0 {
			return "", fmt.Errorf("%q lies in the future: write how long ago", text)
		}
		return moment(now.Add(-ago).UTC().Format(engine.TimeFormat)), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "", fmt.Errorf("%q is neither RFC 3339 (2026-05-12T07:00:00Z) nor a time ago (1h)", text)
	}
	return moment(at.UTC().Format(engine.TimeFormat)), nil
}

func (m moment) set(query url.Values, name string) {
	if m != "" {
		query.Set(name, string(m))
	}
}
