package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"pannier/engine"
)

// problem is an error answer of the server (RFC 9457).
type problem struct {
	Title  string              `json:"title"`
	Detail string              `json:"detail"`
	Code   engine.Code         `json:"code"`
	Fields []engine.FieldError `json:"errors"`
}

// Error gives the detail and the code, and a line for each wrong field.
func (p *problem) Error() string {
	text, fields := cmp.Or(p.Detail, p.Title), p.Fields
	if len(fields) == 1 && strings.HasSuffix(text, fields[0].Detail) {
		text, fields = fields[0].Pointer+" "+fields[0].Detail, nil // the same twice
	}
	if p.Code == engine.CodeUnauthorized {
		text = "a valid API key is needed, PANNIER_API_KEY should hold it"
	}
	var lines strings.Builder
	lines.WriteString(strings.TrimSuffix(printable(text), "."))
	if p.Code != "" {
		fmt.Fprintf(&lines, " (%s)", printable(string(p.Code)))
	}
	for _, field := range fields {
		fmt.Fprintf(&lines, "\n  %s: %s", printable(field.Pointer), printable(field.Detail))
	}
	return lines.String()
}

// parseProblem reads an error answer; what is not a problem document comes from something
// between here and the server, and only its status is told.
func parseProblem(status int, contentType string, body []byte) error {
	kind, _, _ := mime.ParseMediaType(contentType)
	var p problem
	if kind != "application/problem+json" || json.Unmarshal(body, &p) != nil || (p.Title == "" && p.Detail == "") {
		return fmt.Errorf("unexpected status %d %s, is PANNIER_URL the URL of a Pannier server?", status, http.StatusText(status))
	}
	return &p
}
