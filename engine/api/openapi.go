package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"pannier/engine"
)

// The groups of operations, in the order they are documented.
const (
	tagSubscriptions  = "Subscriptions"
	tagReconciliation = "Reconciliation"
	tagEvents         = "Events"
	tagDeliveries     = "Deliveries"
	tagKeys           = "Keys"
	tagOperations     = "Operations"
)

const securityScheme = "apiKey"

// newDocument makes the huma API whose OpenAPI 3.1 document grows with each operation that
// is registered. Huma's own pages are off: pages.go serves ours.
func newDocument(mux *http.ServeMux, version string) huma.API {
	json := huma.Format{Marshal: writeJSON, Unmarshal: json.Unmarshal}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Pannier", Version: version, Description: introduction},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{securityScheme: {
					Type: "http", Scheme: "bearer", Description: "An API key: Authorization: Bearer <key>.",
				}},
			},
			Tags: []*huma.Tag{
				{Name: tagEvents, Description: "Post events and look at those that are retained."},
				{Name: tagSubscriptions, Description: "Name topics and the endpoint that gets their events."},
				{Name: tagReconciliation, Description: "Find everything a subscription should have had."},
				{Name: tagDeliveries, Description: "Follow one event to one subscription."},
				{Name: tagKeys, Description: "API keys and their roles."},
				{Name: tagOperations, Description: "What operators and their tools ask for."},
			},
		},
		Formats:       map[string]huma.Format{jsonType: json, "json": json},
		DefaultFormat: jsonType,
	}
	return humago.New(mux, config)
}

const introduction = "Pannier delivers each event accepted with 202 at least once to the endpoint of every " +
	"subscription that matched it, or keeps it as a dead letter that can be listed and replayed. Order is not " +
	"promised. Errors are application/problem+json (RFC 9457); lists page with limit and cursor."

// writeJSON encodes an answer. It encodes before it writes, so that an answer is whole or
// not begun; a caller who went away is no error.
func writeJSON(w io.Writer, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // data stays as it was posted, but for white space
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(body.Bytes())
	return nil
}

// operation begins the description of an operation; errors are its own beside the usual.
func operation(tag, method, path, id, summary string, errors ...int) huma.Operation {
	return huma.Operation{
		Tags: []string{tag}, Method: method, Path: path, OperationID: id, Summary: summary, Errors: errors,
	}
}

// describe adds what follows from who may use an operation and from its shape.
func describe(op *huma.Operation, who access) {
	if who != nil {
		op.Security = []map[string][]string{{securityScheme: {}}}
		op.Extensions = map[string]any{"x-roles": who}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	if strings.Contains(op.Path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	if op.RequestBody != nil {
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType)
	}
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusTooManyRequests, http.StatusServiceUnavailable,
			http.StatusInsufficientStorage)
	}
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity, http.StatusInternalServerError)
}

// documentErrors describes the problems of an operation that huma does not register.
func documentErrors(registry huma.Registry, op *huma.Operation) {
	problem := map[string]*huma.MediaType{problemType: {Schema: registry.Schema(reflect.TypeFor[Problem](), true, "")}}
	for _, status := range op.Errors {
		name := strconv.Itoa(status)
		if op.Responses[name] == nil {
			op.Responses[name] = &huma.Response{Description: http.StatusText(status), Content: problem}
		}
	}
}

// bodyOf describes a JSON body of type B.
func bodyOf[B any](registry huma.Registry, required bool, example any, types ...string) *huma.RequestBody {
	body := &huma.RequestBody{Required: required, Content: map[string]*huma.MediaType{}}
	for _, name := range types {
		body.Content[name] = &huma.MediaType{
			Schema:  registry.Schema(reflect.TypeFor[B](), true, ""),
			Example: example,
		}
	}
	return body
}

// renderDocument encodes the document; every operation is registered by then.
func renderDocument(document *huma.OpenAPI) []byte {
	body, err := json.Marshal(document)
	if err != nil {
		panic("api: encode the OpenAPI document: " + err.Error()) // fixed at build time
	}
	return body
}

// problemRow describes one row of the table of codes for the documentation.
type problemRow struct {
	Code   engine.Code
	Status int
	Title  string
}

func problemRows() []problemRow {
	rows := make([]problemRow, 0, len(kinds))
	for _, k := range kinds {
		rows = append(rows, problemRow{k.code, k.status, k.title})
	}
	return rows
}
