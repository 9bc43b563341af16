package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"pannier/engine"
)

const (
	// MaxCallBytes bounds the request of a call, and its answer.
	MaxCallBytes = maxWireBytes - maxCallHead
	// maxCallHead is room for the name of the method.
	maxCallHead = 4 << 10
	// callTimeout bounds a call whose caller has more time, or any: what a member answers is at
	// hand, and whoever forwards a request of the API gives up no later.
	callTimeout = 30 * time.Second
	// unreachableRetryAfter is what a caller is told to wait while a member cannot be reached:
	// by then it is back, or others have its place.
	unreachableRetryAfter = time.Second
)

// ErrNotSent is in the error of a call whose request certainly reached nobody.
var ErrNotSent = errors.New("the request was not sent")

// Call asks the member at address and waits for its answer, until ctx is over and for 30
// seconds at most. Errors: the *engine.Error that the other member answered with; too_large;
// unavailable when it cannot be reached, and the request may have been answered or not, unless
// the error is ErrNotSent too;
// internal; context.DeadlineExceeded and context.Canceled.
func (l *Link) Call(ctx context.Context, address, method string, request []byte) ([]byte, error) {
	head := newWriter(len(method))
	head.string(method)
	if len(head.b) > maxCallHead || len(request) > MaxCallBytes {
		return nil, engine.Errorf(engine.CodeTooLarge, "a call carries at most %d bytes", MaxCallBytes)
	}
	p := l.peer(address)
	if p == nil {
		return nil, unreachable(ErrNotSent)
	}
	if p.conn.GetState() == connectivity.TransientFailure { // it would fail at once
		return nil, unreachable(ErrNotSent)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var answer []byte
	if err := p.conn.Invoke(ctx, methodCall, pieces{head.b, request}, &answer); err != nil {
		return nil, callError(ctx, err)
	}
	return readAnswer(answer)
}

// callError says what the end of a call without an answer means to the caller.
func callError(ctx context.Context, err error) error {
	if over := ctx.Err(); over != nil {
		return fmt.Errorf("call member: %w", over)
	}
	switch status.Code(err) {
	case codes.DeadlineExceeded: // the other side noticed first
		return fmt.Errorf("call member: %w", context.DeadlineExceeded)
	case codes.Unavailable, codes.Canceled:
		return unreachable(err)
	default:
		return &engine.Error{Code: engine.CodeInternal, Message: "an internal error", Err: err}
	}
}

func unreachable(err error) error {
	return &engine.Error{
		Code: engine.CodeUnavailable, Message: "a member of the cluster cannot be reached",
		RetryAfter: unreachableRetryAfter, Err: err,
	}
}

// call answers a call; what the handler says of errors is part of the answer.
func (s *service) call(ctx context.Context, request []byte) (pieces, error) {
	from, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	r := newReader(request)
	method := r.string()
	if r.err != nil {
		return nil, status.Error(codes.InvalidArgument, "damaged call")
	}
	answer, err := s.options.Handle(ctx, from, method, r.b)
	if err == nil && len(answer) > MaxCallBytes {
		err = fmt.Errorf("answer of %d bytes, at most %d travel", len(answer), MaxCallBytes)
	}
	if err == nil {
		return pieces{{wireVersion, answered}, answer}, nil
	}
	if over := ctx.Err(); over != nil {
		return nil, status.FromContextError(over).Err() // whatever the handler makes of it
	}
	if engine.ErrorCode(err) == engine.CodeInternal {
		s.logger.Error("call of a member failed", "member", from, "method", method, "error", err)
	}
	return pieces{writeFailure(err)}, nil
}
