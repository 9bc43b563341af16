package egress

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"pannier/engine"
	"pannier/engine/signature"
)

// Straight path: before this actors/subscription.go took the delivery into its window;
// after it engine/settle.go decides what follows from the result.

// Send makes one attempt: it signs the event with the secrets valid now, POSTs it within
// the subscription's timeout and classifies what came back.
//
//	URL or dialled address refused ─────────► blocked, nothing was sent
//	ctx ended first ────────────────────────► interrupted
//	no final response within the timeout ───► failure
//	101, or not a status of HTTP ───────────► failure: it is no final response
//	410 ────────────────────────────────────► gone
//	429, 503 ───────────────────────────────► throttled
//	below 400 (or 2xx where asked) ─────────► success
//	any other ──────────────────────────────► failure
//
// It returns once the headers are in and up to bodyPatience was given to the body.
func (s *Sender) Send(ctx context.Context, request *engine.SendRequest) engine.Result {
	to, err := s.targets.get(request.Subscription)
	ctx, span := s.startSpan(ctx, request, to)
	var result engine.Result
	if err != nil {
		result = unanswered(ctx, err)
	} else {
		result = s.exchange(ctx, request, to)
	}
	endSpan(span, &result)
	return result
}

// exchange is one request and its response.
func (s *Sender) exchange(ctx context.Context, request *engine.SendRequest, to *target) engine.Result {
	limited, cancel := context.WithTimeout(ctx, request.Subscription.Timeout)
	defer cancel()
	now := s.clock()
	response, err := s.transport.RoundTrip(build(limited, request, to, now))
	if err != nil {
		return unanswered(ctx, err)
	}
	result := answered(request.Subscription.Success, response, now)
	result.Excerpt = readExcerpt(response, cancel)
	return result
}

// build makes the request. The header map is new each time: it is not copied by the
// transport.
func build(ctx context.Context, request *engine.SendRequest, to *target, now time.Time) *http.Request {
	event := request.Event
	body := event.Body()
	headers := make(http.Header, len(to.headers)+perRequestHeaders)
	maps.Copy(headers, to.headers)
	values := []string{
		event.ID,
		strconv.FormatInt(now.Unix(), 10),
		signature.Sign(event.ID, now, body, request.Subscription.SecretsAt(now)...),
		event.Topic,
		strconv.Itoa(request.Number),
	}
	headers["Webhook-Id"] = values[0:1:1]
	headers["Webhook-Timestamp"] = values[1:2:2]
	headers["Webhook-Signature"] = values[2:3:3]
	headers["Webhook-Topic"] = values[3:4:4]
	headers["Webhook-Attempt"] = values[4:5:5]
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(headers))

	post := to.request.WithContext(ctx)
	post.Header = headers
	post.ContentLength = int64(len(body))
	post.Body = io.NopCloser(bytes.NewReader(body))
	// The transport asks for the body again only where the endpoint cannot have begun: a
	// kept connection was closed before anything was written, or a stream was refused.
	post.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return post
}
