package api

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"pannier/engine"
)

const (
	// maxBodyBytes bounds every body but that of POST /v1/events: a subscription with all its
	// members at their bounds, each character escaped, fits.
	maxBodyBytes = 256 << 10
	// maxReceiving bounds the bodies that are in memory at once, over all requests.
	maxReceiving = 256 << 20

	jsonType = "application/json"
)

// receive reads a whole body of at most limit bytes, of a length the client declared or
// not. release must be called when the body is no longer needed.
//
// Errors: too_large, throttled (maxReceiving), invalid (the body ended early or took
// longer than ReadTimeout).
func (s *Server) receive(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, tooLarge(limit)
	}
	size := r.ContentLength
	if size < 0 {
		size = limit // chunked: it may become that much
	}
	release = func() { s.receiving.Add(-size) }
	if s.receiving.Add(size) > maxReceiving {
		release()
		return nil, nil, engine.Errorf(engine.CodeThrottled, "too many large requests at once")
	}
	if r.ContentLength >= 0 {
		body = make([]byte, size)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	}
	if err != nil {
		release()
		return nil, nil, readFailure(err, limit, r.URL.Path)
	}
	return body, release, nil
}

func readFailure(err error, limit int64, path string) error {
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return tooLarge(limit)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		p := newProblem(kindOfStatus(http.StatusRequestTimeout), path, "the body took too long to arrive", nil)
		p.header.Set("Connection", "close")
		return p
	}
	return engine.Malformed("the body ended early")
}

func tooLarge(limit int64) error {
	return engine.Errorf(engine.CodeTooLarge, "the body is larger than %d bytes", limit)
}

// mediaType checks how a body is encoded and gives its media type in lower case.
// Errors: unsupported_media_type.
func mediaType(r *http.Request) (string, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", engine.Errorf(engine.CodeUnsupported, "the body must not have a Content-Encoding")
	}
	given := r.Header.Get("Content-Type")
	if given == jsonType {
		return jsonType, nil
	}
	name, parameters, err := mime.ParseMediaType(given)
	if err != nil {
		return "", engine.Errorf(engine.CodeUnsupported, "a Content-Type is needed, such as application/json")
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", engine.Errorf(engine.CodeUnsupported, "the charset must be UTF-8")
	}
	return name, nil
}

// readJSON reads the body of every operation but POST /v1/events, in one of types. An
// absent body is given as nil, for the operations that can do without.
func (s *Server) readJSON(w http.ResponseWriter, r *http.Request, types map[string]*huma.MediaType) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	name, err := mediaType(r)
	if err != nil {
		return nil, err
	}
	if _, known := types[name]; !known {
		return nil, engine.Errorf(engine.CodeUnsupported, "the body must be application/json, not %s", name)
	}
	body, release, err := s.receive(w, r, maxBodyBytes)
	if err != nil {
		return nil, err
	}
	defer release()
	return body, nil
}

// checkQuery refuses a query with a parameter the operation does not have, or has twice or
// empty. known lists the parameters.
func checkQuery(r *http.Request, known func(name string) bool) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	given, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var fields []engine.FieldError
	for name, values := range given {
		if detail := wrongParameter(known(name), values); detail != "" {
			fields = append(fields, engine.FieldError{Pointer: name, Detail: detail})
		}
	}
	slices.SortFunc(fields, func(a, b engine.FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
	return wrongFields(fields[:min(len(fields), maxFieldErrors)])
}

// wrongParameter says what is wrong with a query parameter, "" for nothing.
func wrongParameter(known bool, values []string) string {
	switch {
	case !known:
		return "is not a query parameter of this operation"
	case len(values) > 1:
		return "is given more than once"
	case values[0] == "":
		return "is empty"
	}
	return ""
}

// wrongFields makes the one error of several wrong fields; nil for none.
func wrongFields(fields []engine.FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &engine.Error{
		Code: engine.CodeInvalid, Message: strings.TrimSpace(fields[0].Pointer + " " + fields[0].Detail), Fields: fields,
	}
}
