package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pannier/engine"
)

// Problem is an error answer after RFC 9457, application/problem+json.
type Problem struct { //nolint:errname // the word of RFC 9457
	Type     string              `json:"type" format:"uri-reference" doc:"Where this kind of problem is described." example:"/docs#problem-not_found"`
	Title    string              `json:"title" doc:"The kind of problem, the same at each occurrence."`
	Status   int                 `json:"status" doc:"The HTTP status."`
	Detail   string              `json:"detail" doc:"What went wrong this time."`
	Instance string              `json:"instance" format:"uri-reference" doc:"The path of the request."`
	Code     engine.Code         `json:"code" doc:"The stable name to program against." enum:"invalid,unauthorized,forbidden,not_found,conflict,too_large,unsupported_media_type,throttled,unavailable,storage_full,internal"`
	Errors   []engine.FieldError `json:"errors,omitempty" nullable:"false" doc:"The wrong members by JSON pointer, or the wrong query parameters by name."`

	header http.Header
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemType }

const (
	problemType = "application/problem+json"
	docsPath    = "/docs"
	// internalDetail is all a caller learns of an internal error.
	internalDetail = "The server failed to answer. The request may or may not have taken effect."
	// requestIDHeader names an internal error, so that a report can be found in the log.
	requestIDHeader = "Request-Id"
)

// kind is one row of the table between codes and statuses.
type kind struct {
	code       engine.Code
	status     int
	title      string
	retryAfter time.Duration // when the engine named none
}

// kinds is read in both directions; the first row of a code or of a status is the one
// that counts.
var kinds = []kind{
	{engine.CodeInvalid, http.StatusUnprocessableEntity, "Invalid request", 0},
	{engine.CodeInvalid, http.StatusBadRequest, "Malformed request", 0},
	{engine.CodeInvalid, http.StatusRequestTimeout, "Request took too long", 0},
	{engine.CodeUnauthorized, http.StatusUnauthorized, "API key needed", 0},
	{engine.CodeForbidden, http.StatusForbidden, "Not allowed", 0},
	{engine.CodeNotFound, http.StatusNotFound, "Not found", 0},
	{engine.CodeNotFound, http.StatusMethodNotAllowed, "Method not allowed", 0},
	{engine.CodeConflict, http.StatusConflict, "Conflict", 0},
	{engine.CodeTooLarge, http.StatusRequestEntityTooLarge, "Too large", 0},
	{engine.CodeUnsupported, http.StatusUnsupportedMediaType, "Unsupported media type", 0},
	{engine.CodeThrottled, http.StatusTooManyRequests, "Too many requests", time.Second},
	{engine.CodeUnavailable, http.StatusServiceUnavailable, "Unavailable", 5 * time.Second},
	{engine.CodeStorageFull, http.StatusInsufficientStorage, "Storage full", 30 * time.Second},
	{engine.CodeInternal, http.StatusInternalServerError, "Internal error", 0},
}

// Status is the HTTP status of an error.
func Status(e *engine.Error) int { return kindOf(e).status }

// Code is the code that a status stands for: the inverse of Status, for clients that got
// an answer without a problem in it. Unknown statuses are internal.
func Code(status int) engine.Code {
	for _, k := range kinds {
		if k.status == status {
			return k.code
		}
	}
	return engine.CodeInternal
}

func kindOf(e *engine.Error) kind {
	if e.Code == engine.CodeInvalid && e.Syntax {
		return kindOfStatus(http.StatusBadRequest)
	}
	for _, k := range kinds {
		if k.code == e.Code {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

func kindOfStatus(status int) kind {
	for _, k := range kinds {
		if k.status == status {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

// problem turns any error into what the caller sees. It is the only place that logs a
// request's error; what it logs is never sent.
func (s *Server) problem(ctx context.Context, path string, err error) *Problem {
	if ready, ok := errors.AsType[*Problem](err); ok {
		return ready
	}
	var e *engine.Error
	if !errors.As(err, &e) || kindOf(e).status == http.StatusInternalServerError {
		return s.internal(ctx, path, err)
	}
	if e.Err != nil {
		s.logger.WarnContext(ctx, "request refused", "code", string(e.Code), "path", path, "error", e.Err)
	}
	p := newProblem(kindOf(e), path, e.Message, e.Fields)
	if delay := retryAfter(e); delay > 0 {
		p.header.Set("Retry-After", strconv.Itoa(int(delay/time.Second)))
	}
	if e.Code == engine.CodeUnauthorized {
		p.header.Set("Www-Authenticate", `Bearer realm="pannier"`)
	}
	if e.Code == engine.CodeTooLarge {
		p.header.Set("Connection", "close") // what is left of the body is not read
	}
	return p
}

func (s *Server) internal(ctx context.Context, path string, err error) *Problem {
	p := newProblem(kindOfStatus(http.StatusInternalServerError), path, internalDetail, nil)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return p // the caller went away: nobody reads this
	}
	id := engine.NewID("req_")
	p.header.Set(requestIDHeader, id)
	s.logger.ErrorContext(ctx, "request failed", "request_id", id, "path", path, "error", err)
	return p
}

func newProblem(k kind, path, detail string, fields []engine.FieldError) *Problem {
	return &Problem{
		Type: docsPath + "#problem-" + string(k.code), Title: k.title, Status: k.status,
		Detail: detail, Instance: path, Code: k.code, Errors: fields, header: make(http.Header),
	}
}

// retryAfter is in whole seconds, rounded up; 0 for errors that carry none.
func retryAfter(e *engine.Error) time.Duration {
	k := kindOf(e)
	if k.retryAfter == 0 {
		return 0
	}
	delay := e.RetryAfter
	if delay <= 0 {
		delay = k.retryAfter
	}
	return (delay + time.Second - 1).Truncate(time.Second)
}

// Refuse answers a request with the problem that an error is to the caller.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), r.URL.Path, err)
	header := w.Header()
	maps.Copy(header, p.header)
	header.Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // a Problem has nothing that cannot be encoded
	}
	_, _ = w.Write(append(body, '\n')) // the caller may have gone away
}

// humaProblem makes the problem of what huma refuses itself: query and path parameters.
func humaProblem(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
	path := ""
	if ctx != nil {
		u := ctx.URL()
		path = u.Path
	}
	var fields []engine.FieldError
	for _, err := range errs {
		var d huma.ErrorDetailer
		if !errors.As(err, &d) {
			continue // unknown text stays inside
		}
		found := d.ErrorDetail()
		_, name, _ := strings.Cut(found.Location, ".")
		fields = append(fields, engine.FieldError{
			Pointer: name, Detail: strings.TrimPrefix(found.Message, "invalid value: "),
		})
	}
	if len(fields) > 0 {
		detail = fields[0].Pointer + ": " + fields[0].Detail
	}
	return newProblem(kindOfStatus(status), path, detail, fields)
}
