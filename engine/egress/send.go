package egress

import (
	"context"
	"net/http"
	"time"

	"pannier/engine"
	"pannier/engine/egress/http1"
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
	trace := s.startTrace(ctx, request, to)
	var result engine.Result
	if err != nil {
		result = unanswered(ctx, err)
	} else {
		result = s.exchange(ctx, request, to, trace)
	}
	result.TraceID = trace.id
	trace.end(&result)
	return result
}

// exchange is one request and its response.
func (s *Sender) exchange(
	ctx context.Context, request *engine.SendRequest, to *target, trace attemptTrace,
) engine.Result {
	now := s.clock()
	m := messages.Get().(*message) //nolint:forcetypeassert // the pool holds nothing else
	m.fill(request, to, trace, now)
	if !to.speaksHTTP1() || len(m.assemble(to)) > http1.MaxRequestBytes {
		post := m.build(to)
		messages.Put(m)
		return s.exchangeAny(ctx, request, to, post, now)
	}
	exchange, err := s.http1.Begin(ctx, to.server, m.whole, time.Now().Add(request.Subscription.Timeout))
	messages.Put(m)
	var response http1.Response
	if err == nil {
		response, err = exchange.End()
	}
	if err != nil {
		to.forget()
		return unanswered(ctx, err)
	}
	result := answered(request.Subscription.Success, response.Status, response.RetryAfter, now)
	result.Excerpt = excerpt(response.Body)
	return result
}

// exchangeAny lets net/http find out which version of HTTP the endpoint speaks.
func (s *Sender) exchangeAny(
	ctx context.Context, request *engine.SendRequest, to *target, post *http.Request, now time.Time,
) engine.Result {
	limited, cancel := context.WithTimeout(ctx, request.Subscription.Timeout)
	defer cancel()
	response, err := s.transport.RoundTrip(post.WithContext(limited))
	if err != nil {
		return unanswered(ctx, err)
	}
	to.learn(response.ProtoMajor)
	result := answered(request.Subscription.Success, response.StatusCode, response.Header.Get("Retry-After"), now)
	result.Excerpt = readExcerpt(response, cancel)
	return result
}
