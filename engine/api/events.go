package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/propagation"

	"pannier/engine"
)

// First hop of the straight path: before it there is only net/http; after it
// engine/accept.go makes the events durable, and actors/ingress.go matches and routes them.
// It does without huma because an event is read in one pass over its bytes.

const (
	eventsPath = "/v1/events"
	// maxIdempotencyKey bounds the header Idempotency-Key.
	maxIdempotencyKey = 255
)

// formats are the media types of POST /v1/events.
var formats = map[string]format{
	jsonType:                             formatJSON,
	"application/x-ndjson":               formatLines,
	"application/cloudevents+json":       formatCloudEvent,
	"application/cloudevents-batch+json": formatCloudEvents,
}

// postEvents answers POST /v1/events: 202 once every event of the request is durable.
func (s *Server) postEvents(w http.ResponseWriter, r *http.Request) {
	parent := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := s.tracer.Start(parent, "accept", acceptSpan)
	defer span.End()
	accepted, single, err := s.accept(ctx, w, r)
	if err != nil {
		traceRefusal(span, err)
		s.Refuse(w, r.WithContext(ctx), err)
		return
	}
	traceAccepted(span, accepted, single)
	writeAccepted(w, accepted, single)
}

func (s *Server) accept(ctx context.Context, w http.ResponseWriter, r *http.Request) (accepted engine.Accepted, single bool, err error) {
	caller, err := s.admit(r, publishers)
	if err != nil {
		return engine.Accepted{}, false, err
	}
	form, key, err := readEventsHeader(r)
	if err != nil {
		return engine.Accepted{}, false, err
	}
	body, release, err := s.receive(w, r, engine.MaxRequestBytes)
	if err != nil {
		return engine.Accepted{}, false, err
	}
	defer release()
	drafts, single, err := decodeEvents(body, form)
	if err != nil {
		return engine.Accepted{}, false, err
	}
	stampTrace(ctx, r.Header, drafts)
	accepted, err = s.engine.Accept(ctx, caller, drafts, key)
	return accepted, single, err
}

// readEventsHeader checks all that comes before the body.
func readEventsHeader(r *http.Request) (f format, key string, err error) {
	if err := checkQuery(r, func(string) bool { return false }); err != nil {
		return 0, "", err
	}
	name, err := mediaType(r)
	if err != nil {
		return 0, "", err
	}
	f, ok := formats[name]
	if !ok {
		return 0, "", engine.Errorf(engine.CodeUnsupported, "events cannot be posted as %s", name)
	}
	if r.Header.Get("Ce-Specversion") != "" {
		return 0, "", engine.Errorf(engine.CodeUnsupported,
			"the binary mode of CloudEvents is not supported: post application/cloudevents+json")
	}
	key, err = idempotencyKey(r.Header)
	return f, key, err
}

// idempotencyKey reads the header Idempotency-Key: 1 to 255 printable ASCII characters.
func idempotencyKey(header http.Header) (string, error) {
	values := header["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	valid := len(values) == 1 && key != "" && len(key) <= maxIdempotencyKey
	for i := 0; i < len(key) && valid; i++ {
		valid = key[i] >= ' ' && key[i] <= '~'
	}
	if !valid {
		return "", engine.Invalid("Idempotency-Key", "the header must be 1 to %d printable ASCII characters, once", maxIdempotencyKey)
	}
	return key, nil
}

// writeAccepted answers 202 in the shape of the request. Ids need no escaping: they are
// made of [A-Za-z0-9_-].
func writeAccepted(w http.ResponseWriter, accepted engine.Accepted, single bool) {
	header := w.Header()
	header["Content-Type"] = jsonTypes
	if accepted.Replayed {
		header.Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(http.StatusAccepted)
	var body []byte
	if single {
		body = append(body, `{"id":"`...)
		body = append(body, accepted.IDs[0]...)
		body = append(body, '"', '}', '\n')
	} else {
		body = append(body, `{"accepted":`...)
		body = strconv.AppendInt(body, int64(len(accepted.IDs)), 10)
		body = append(body, `,"ids":[`...)
		for i, id := range accepted.IDs {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, '"')
			body = append(body, id...)
			body = append(body, '"')
		}
		body = append(body, ']', '}', '\n')
	}
	_, _ = w.Write(body) // the producer may have gone away
}

// parseQuery reads a query string; a broken one is a 422 like any wrong parameter.
func parseQuery(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, engine.Invalid("", "the query string is broken")
	}
	return values, nil
}
