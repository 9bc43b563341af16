package api

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// AliveAnswer answers /healthz.
type AliveAnswer struct {
	Status string `json:"status" enum:"alive"`
}

// ReadyAnswer answers /readyz.
type ReadyAnswer struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons" nullable:"false" doc:"Why not."`
	Warnings []string `json:"warnings" nullable:"false" doc:"Ready, but an operator should look."`
}

// contentSecurityPolicy of /docs: the page is one file with its own style, nothing else.
const contentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is an answer that is not part of the versioned API.
type page struct {
	path    string
	id      string
	summary string
	who     access
	media   string
	schema  reflect.Type // nil: text
	answer  http.HandlerFunc
}

func (s *Server) pages() []page {
	pages := []page{
		{"/healthz", "get-health", "The process is alive", everyone, jsonType, reflect.TypeFor[AliveAnswer](), s.healthz},
		{"/readyz", "get-readiness", "The member takes requests; 503 with the reasons if not", everyone, jsonType, reflect.TypeFor[ReadyAnswer](), s.readyz},
		{"/openapi.json", "get-openapi", "This document", observers, jsonType, nil, s.openapi},
		{docsPath, "get-docs", "This document, to read", observers, "text/html", nil, s.docsPage},
	}
	if s.metrics != nil {
		pages = append(pages, page{
			"/metrics", "get-metrics", "Metrics for Prometheus", observers, "text/plain", nil, s.metrics.ServeHTTP,
		})
	}
	return pages
}

// documentPages puts the pages into the OpenAPI document.
func (s *Server) documentPages() {
	document := s.huma.OpenAPI()
	for _, p := range s.pages() {
		op := operation(tagOperations, http.MethodGet, p.path, p.id, p.summary)
		describe(&op, p.who)
		content := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		switch {
		case p.schema != nil:
			content.Schema = document.Components.Schemas.Schema(p.schema, true, "")
		case p.media == jsonType:
			content.Schema = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
		}
		answers := map[string]*huma.MediaType{p.media: content}
		op.Responses = map[string]*huma.Response{"200": {Description: p.summary, Content: answers}}
		if p.path == "/readyz" {
			op.Responses["503"] = &huma.Response{Description: "Not ready", Content: answers}
		}
		documentErrors(document.Components.Schemas, &op)
		document.AddOperation(&op)
	}
}

// addPages serves the pages, with or without keys.
func (s *Server) addPages(mux *http.ServeMux, keys bool) {
	for _, p := range s.pages() {
		mux.HandleFunc(http.MethodGet+" "+p.path, func(w http.ResponseWriter, r *http.Request) {
			if keys {
				if _, err := s.admit(r, p.who); err != nil {
					s.Refuse(w, r, err)
					return
				}
			}
			p.answer(w, r)
		})
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeAnswer(w, http.StatusOK, AliveAnswer{"alive"})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	state := s.engine.Ready()
	answer := ReadyAnswer{state.Ready, append([]string{}, state.Reasons...), append([]string{}, state.Warnings...)}
	status := http.StatusOK
	if !state.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	writeAnswer(w, status, answer)
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(s.document()) // the caller may have gone away
}

func (s *Server) docsPage(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(s.docs()) // the caller may have gone away
}

func writeAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	must(writeJSON(w, v))
}
