package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"pannier/cluster"
	"pannier/cluster/placement"
	"pannier/engine"
)

// callHTTP carries a request of the API to the member that can answer it, and its answer back.
const callHTTP = "http"

// maxForwardedBytes bounds the body of a request about one subscription. The owner refuses a larger
// one by what it gets of it.
const maxForwardedBytes = 256 << 10

// forwarded marks a request that came from another member: it is answered here, whoever owns
// what it is about by now.
type forwarded struct{}

// withOwners answers requests about one subscription at the member that owns it: its deliveries
// are there. Every other request is answered here.
func (c *clustered) withOwners(api http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, about := subscriptionOf(r.URL.Path)
		if !about || r.Context().Value(forwarded{}) != nil {
			api.ServeHTTP(w, r)
			return
		}
		owner := c.node.View().Owner(engine.ShardOf(id))
		if owner == "" || owner == placement.MemberID(c.member.folder.Member()) {
			api.ServeHTTP(w, r)
			return
		}
		if err := c.forward(w, r, owner); err != nil {
			c.logger.Warn("the owner of a subscription could not be asked", "owner", string(owner), "error", err)
			if !mayRunHere(r.Method, err) {
				refuse(w, r, doesNotAnswer(owner))
				return
			}
			api.ServeHTTP(w, r)
		}
	})
}

// serve lets other members' requests be answered by the API.
func (c *clustered) serve(api http.Handler) {
	c.api = api
	close(c.ready)
}

// subscriptionOf finds the subscription that a path of the API is about.
func subscriptionOf(path string) (engine.SubscriptionID, bool) {
	if rest, found := strings.CutPrefix(path, "/v1/subscriptions/"); found {
		id, _, _ := strings.Cut(rest, "/")
		return engine.SubscriptionID(id), id != ""
	}
	if rest, found := strings.CutPrefix(path, "/v1/deliveries/"); found {
		id, _, _ := strings.Cut(rest, "/")
		_, sub, ok := engine.ParseDeliveryID(id)
		return sub, ok
	}
	return "", false
}

// mayRunHere tells whether a request whose forwarding failed may be answered here instead. One that
// changes something may have been carried out: a second time would be another change. What an owner
// that is there could not answer is not known better here.
func mayRunHere(method string, err error) bool {
	reads := method == http.MethodGet || method == http.MethodHead
	return errors.Is(err, cluster.ErrNotSent) || (reads && engine.ErrorCode(err) == engine.CodeUnavailable)
}

// forward has another member answer a request. With an error nothing was answered, and the
// request can be read again.
func (c *clustered) forward(w http.ResponseWriter, r *http.Request, to placement.MemberID) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForwardedBytes+1))
	if err != nil {
		return nil // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var wire bytes.Buffer
	out := r.Clone(r.Context())
	out.ContentLength, out.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	if err := out.Write(&wire); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotSent, err)
	}
	answer, err := c.node.Call(r.Context(), to, callHTTP, wire.Bytes())
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), out)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it is memory
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // the client may have gone
	return nil
}

// serveForwarded answers a request that another member got.
func (c *clustered) serveForwarded(ctx context.Context, request []byte) ([]byte, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		return nil, engine.Errorf(engine.CodeInvalid, "the forwarded request cannot be read")
	}
	answer := &memoryResponse{header: make(http.Header), status: http.StatusOK}
	c.api.ServeHTTP(answer, r.WithContext(context.WithValue(ctx, forwarded{}, true)))
	response := http.Response{
		StatusCode: answer.status, ProtoMajor: 1, ProtoMinor: 1, Header: answer.header,
		ContentLength: int64(answer.body.Len()), Body: io.NopCloser(&answer.body), Request: r,
	}
	var wire bytes.Buffer
	if err := response.Write(&wire); err != nil {
		return nil, fmt.Errorf("write the answer: %w", err)
	}
	return wire.Bytes(), nil
}

// memoryResponse keeps an answer in memory.
type memoryResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (m *memoryResponse) Header() http.Header { return m.header }

// WriteHeader implements http.ResponseWriter.
func (m *memoryResponse) WriteHeader(status int) { m.status = status }

// Write implements http.ResponseWriter.
func (m *memoryResponse) Write(b []byte) (int, error) { return m.body.Write(b) }
