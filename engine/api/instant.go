package api

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pannier/engine"
)

// instant is a time in the API: read as any RFC 3339 time of the years 0001 to 9999,
// written in UTC with milliseconds, null when zero.
type instant time.Time

var (
	errInstant = &memberError{"must be an RFC 3339 time such as 2026-05-12T07:41:20Z"}
	errYear    = &memberError{"must be in the years 0001 to 9999"}
)

// parseInstant reads a time as strictly as RFC 3339 is written.
func parseInstant(text []byte) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText(text); err != nil {
		return time.Time{}, errInstant
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, errYear
	}
	if t.IsZero() {
		t = t.Add(1) // the zero time means that none was given
	}
	return t, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *instant) UnmarshalText(text []byte) error {
	t, err := parseInstant(text)
	*i = instant(t)
	return err
}

// MarshalJSON implements json.Marshaler.
func (i instant) MarshalJSON() ([]byte, error) {
	t := time.Time(i)
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat(nil, `"`+engine.TimeFormat+`"`), nil
}

// Schema implements huma.SchemaProvider.
func (instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-05-12T07:41:20.512Z"}}
}

// duration is a length of time in the API: text such as "10s" or "30m".
type duration time.Duration

var errDuration = &memberError{`must be a duration such as "10s" or "30m"`}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return errDuration
	}
	*d = duration(parsed)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(formatDuration(time.Duration(d)))
}

// Schema implements huma.SchemaProvider.
func (duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Examples: []any{"30m"}}
}

// formatDuration writes d so that time.ParseDuration reads it back, without the zero
// units that time.Duration.String ends with: "30m", not "30m0s".
func formatDuration(d time.Duration) string {
	text := d.String()
	if d%time.Minute == 0 && d != 0 {
		text = text[:len(text)-len("0s")]
	}
	if d%time.Hour == 0 && d != 0 {
		text = text[:len(text)-len("0m")]
	}
	return text
}
