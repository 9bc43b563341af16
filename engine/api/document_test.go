package api_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// contract lists every operation of the public contract.
var contract = []string{
	"POST /v1/subscriptions", "GET /v1/subscriptions", "GET /v1/subscriptions/{id}", "PATCH /v1/subscriptions/{id}",
	"DELETE /v1/subscriptions/{id}", "POST /v1/subscriptions/{id}/secret/rotate", "POST /v1/subscriptions/{id}/test",
	"POST /v1/subscriptions/{id}/replay", "GET /v1/subscriptions/{id}/deliveries", "GET /v1/subscriptions/{id}/events",
	"POST /v1/events", "GET /v1/events", "GET /v1/events/{id}", "GET /v1/events/{id}/deliveries",
	"GET /v1/deliveries/{id}", "GET /v1/deliveries/{id}/attempts", "POST /v1/deliveries/{id}/retry",
	"POST /v1/keys", "GET /v1/keys", "DELETE /v1/keys/{id}",
	"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "GET /docs",
	"GET /v1/cluster", "GET /v1/lanes", "GET /v1/stats",
}

// document is the part of OpenAPI 3.1 that the test looks at.
type document struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]struct {
		OperationID string
		Summary     string
		Security    []map[string][]string
		Parameters  []struct{ Name, In string }
		RequestBody *struct {
			Content map[string]struct{ Schema any }
		}
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema any }
		}
	}
	Components struct {
		Schemas         map[string]any
		SecuritySchemes map[string]struct{ Type, Scheme string }
	}
}

func readDocument(t *testing.T) (document, string) {
	t.Helper()
	w := ask(t, newServer(newTwin()), "GET", "/openapi.json", "viewer-key", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("got %d, %v", w.Code, w.Header())
	}
	var d document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	return d, w.Body.String()
}

func TestOpenAPIDocumentIsTheContract(t *testing.T) {
	t.Parallel()
	d, raw := readDocument(t)
	if d.OpenAPI != "3.1.0" || d.Info.Title != "Pannier" || d.Info.Version != "1.2.3" {
		t.Errorf("openapi %q, info %+v", d.OpenAPI, d.Info)
	}
	var got []string
	ids := map[string]bool{}
	for path, operations := range d.Paths {
		for method, op := range operations {
			name := strings.ToUpper(method) + " " + path
			got = append(got, name)
			if op.Summary == "" || op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s: summary %q, operation id %q", name, op.Summary, op.OperationID)
			}
			ids[op.OperationID] = true
			for status, response := range op.Responses {
				if _, problem := response.Content["application/problem+json"]; (status >= "400" && name+status != "GET /readyz503") != problem {
					t.Errorf("%s: answer %s has content %v", name, status, response.Content)
				}
				if response.Description == "" {
					t.Errorf("%s: answer %s is not described", name, status)
				}
			}
			if open := path == "/healthz" || path == "/readyz"; open != (len(op.Security) == 0) {
				t.Errorf("%s: security %v", name, op.Security)
			}
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(contract)); !slices.Equal(got, want) {
		t.Errorf("the document has\n%s\nthe contract\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(raw, -1) {
		if d.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	if scheme := d.Components.SecuritySchemes["apiKey"]; scheme.Type != "http" || scheme.Scheme != "bearer" {
		t.Errorf("security scheme %+v", scheme)
	}
}

func TestOpenAPIDocumentOfBodiesAndParameters(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	for operation, want := range map[string]string{
		"post /v1/events":                           "application/cloudevents+json application/cloudevents-batch+json application/json application/x-ndjson",
		"post /v1/subscriptions":                    "application/json",
		"patch /v1/subscriptions/{id}":              "application/json application/merge-patch+json",
		"post /v1/subscriptions/{id}/secret/rotate": "application/json",
		"post /v1/subscriptions/{id}/replay":        "application/json",
		"post /v1/keys":                             "application/json",
	} {
		method, path, _ := strings.Cut(operation, " ")
		var media []string
		for name, content := range d.Paths[path][method].RequestBody.Content {
			media = append(media, name)
			if content.Schema == nil {
				t.Errorf("%s: %s has no schema", operation, name)
			}
		}
		slices.Sort(media)
		if got := strings.Join(media, " "); got != want {
			t.Errorf("%s takes %s, want %s", operation, got, want)
		}
	}
	for operation, want := range map[string]string{
		"get /v1/subscriptions":                 "cursor limit",
		"get /v1/subscriptions/{id}/deliveries": "cursor id limit since state until",
		"get /v1/subscriptions/{id}/events":     "cursor id limit since state until",
		"get /v1/events":                        "cursor limit since topic until",
		"get /v1/events/{id}/deliveries":        "cursor id limit",
		"get /v1/deliveries/{id}/attempts":      "cursor id limit",
		"get /v1/keys":                          "cursor limit",
		"post /v1/events":                       "Idempotency-Key traceparent",
	} {
		method, path, _ := strings.Cut(operation, " ")
		var names []string
		for _, p := range d.Paths[path][method].Parameters {
			names = append(names, p.Name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s has parameters %s, want %s", operation, got, want)
		}
	}
	for operation, statuses := range map[string]string{
		"post /v1/events":                    "202 400 401 403 409 413 415 422 429 500 503 507",
		"post /v1/subscriptions":             "201 400 401 403 413 415 422 429 500 503 507",
		"delete /v1/subscriptions/{id}":      "204 401 403 404 422 429 500 503 507",
		"post /v1/subscriptions/{id}/replay": "200 202 400 401 403 404 409 413 415 422 429 500 503 507",
	} {
		method, path, _ := strings.Cut(operation, " ")
		var got []string
		for status := range d.Paths[path][method].Responses {
			got = append(got, status)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != statuses {
			t.Errorf("%s answers %v, want %s", operation, got, statuses)
		}
	}
}

// The page for people works offline and gives nothing away: no script, nothing fetched, and
// a policy that would not let it.
func TestDocsFetchNothing(t *testing.T) {
	t.Parallel()
	w := ask(t, newServer(newTwin()), "GET", "/docs", "viewer-key", "")
	page := w.Body.String()
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("got %d, %v", w.Code, w.Header())
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'unsafe-inline';") {
		t.Errorf("the policy is %q", policy)
	}
	for _, never := range []string{`<script`, `<link`, `<iframe`, `<img`, `<object`, `<embed`, ` src=`, `srcset`, `@import`, `url(`, `http-equiv`, `onload=`, `onclick=`} {
		if strings.Contains(strings.ToLower(page), never) {
			t.Errorf("the page holds %s", never)
		}
	}
	for _, link := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		anchor, inside := strings.CutPrefix(link[1], "#")
		if inside && !strings.Contains(page, `id="`+anchor+`"`) {
			t.Errorf("the link %s leads nowhere", link[1])
		}
		if !inside && link[1] != "/openapi.json" {
			t.Errorf("the link %s leads away", link[1])
		}
	}
	for _, operation := range contract {
		method, path, _ := strings.Cut(operation, " ")
		if !strings.Contains(page, `<span class="method `+method+`">`+method+`</span> <code>`+path+`</code>`) {
			t.Errorf("%s is not described", operation)
		}
	}
}
