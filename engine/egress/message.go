package egress

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"pannier/engine"
)

// message is what one request carries. It is used again, so that an attempt makes no
// garbage of the size of its event.
type message struct {
	body      []byte
	signature []byte
	whole     []byte
	headers   []header
}

// header is one that differs from request to request.
type header struct{ name, value string }

var messages = sync.Pool{New: func() any { return new(message) }}

// fill makes the body and the headers of an attempt.
func (m *message) fill(request *engine.SendRequest, to *target, trace attemptTrace, now time.Time) {
	event := request.Event
	m.body = event.AppendBody(m.body[:0])
	m.signature = m.signature[:0]
	for i, v := range to.secrets {
		if v.ValidAt(now) {
			m.signature = to.signers[i].Append(m.signature, event.ID, now, m.body)
		}
	}
	m.headers = append(m.headers[:0],
		header{"Webhook-Id", event.ID},
		header{"Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10)},
		header{"Webhook-Signature", string(m.signature)},
		header{"Webhook-Topic", event.Topic},
		header{"Webhook-Attempt", strconv.Itoa(request.Number)},
	)
	if trace.parent != "" {
		m.headers = append(m.headers, header{"traceparent", trace.parent})
	}
	if trace.state != "" {
		m.headers = append(m.headers, header{"tracestate", trace.state})
	}
}

// assemble writes the request as HTTP/1.1 has it. What it is made of was checked: names and
// values of headers hold no line breaks.
func (m *message) assemble(to *target) []byte {
	b := append(m.whole[:0], to.head...)
	for _, h := range m.headers {
		b = append(b, h.name...)
		b = append(b, ": "...)
		b = append(b, h.value...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(m.body)), 10)
	b = append(b, "\r\n\r\n"...)
	m.whole = append(b, m.body...)
	return m.whole
}

// build makes the request for net/http. The header map is new each time: it is not copied by
// the transport. So is the body: the transport may still read it when the attempt is over.
func (m *message) build(to *target) *http.Request {
	headers := make(http.Header, len(to.headers)+len(m.headers))
	maps.Copy(headers, to.headers)
	for _, h := range m.headers {
		headers[http.CanonicalHeaderKey(h.name)] = []string{h.value}
	}
	body := bytes.Clone(m.body)
	post := to.request.WithContext(context.Background()) // a copy
	post.Header = headers
	post.ContentLength = int64(len(body))
	post.Body = io.NopCloser(bytes.NewReader(body))
	// The transport asks for the body again only where the endpoint cannot have begun: a
	// kept connection was closed before anything was written, or a stream was refused.
	post.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return post
}
