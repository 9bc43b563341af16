package link

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

func TestCallIsAnswered(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	for _, request := range []string{"", "request", strings.Repeat("x", 5<<20)} {
		answer, err := a.Call(t.Context(), b.Address(), "method", []byte(request))
		if want := "mbr_a method " + request; err != nil || string(answer) != want {
			t.Errorf("call = %.40q, %v, want %.40q", answer, err, want)
		}
	}
}

// startFailing starts a link whose handler gives what err says.
func startFailing(t *testing.T, err func(ctx context.Context) error) *end {
	t.Helper()
	return startEnd(t, "mbr_b", func(o *Options, _ *bounds) {
		o.Handle = func(ctx context.Context, _ placement.MemberID, _ string, _ []byte) ([]byte, error) {
			return nil, err(ctx)
		}
	})
}

func TestErrorsTravel(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause stays here")
	failure := &engine.Error{
		Code: engine.CodeInvalid, Message: "wrong", Fields: []engine.FieldError{{Pointer: "/url", Detail: "bad"}},
		Syntax: true, RetryAfter: time.Minute, Err: cause,
	}
	a := startEnd(t, "mbr_a", nil)
	b := startFailing(t, func(context.Context) error { return failure })
	_, err := a.Call(t.Context(), b.Address(), "m", nil)
	got, ok := errors.AsType[*engine.Error](err)
	if !ok || got.Code != failure.Code || got.Message != failure.Message || !slices.Equal(got.Fields, failure.Fields) ||
		got.Syntax != failure.Syntax || got.RetryAfter != failure.RetryAfter || got.Err != nil {
		t.Errorf("call = %#v, want %#v", err, failure)
	}
	if b.log.count("\n") != 0 {
		t.Error("an answer for the caller was logged")
	}
}

func TestOtherErrorsAreInternal(t *testing.T) {
	t.Parallel()
	a := startEnd(t, "mbr_a", nil)
	b := startFailing(t, func(context.Context) error { return errors.New("the cause stays here") })
	_, err := a.Call(t.Context(), b.Address(), "m", nil)
	if engine.ErrorCode(err) != engine.CodeInternal || strings.Contains(err.Error(), "cause") {
		t.Errorf("call = %v", err)
	}
	if b.log.count("the cause stays here") != 1 {
		t.Error("the cause was not logged where it happened")
	}
}

func TestCallEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	var over atomic.Bool
	a := startEnd(t, "mbr_a", nil)
	b := startFailing(t, func(ctx context.Context) error {
		<-ctx.Done()
		over.Store(true)
		return ctx.Err()
	})
	eventually(t, "the handler's end", func() bool { // a call may also end before it is handled
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := a.Call(ctx, b.Address(), "m", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("call = %v", err)
		}
		return over.Load()
	})
}

func TestPanicsAreCaught(t *testing.T) {
	t.Parallel()
	a := startEnd(t, "mbr_a", nil)
	b := startEnd(t, "mbr_b", func(o *Options, _ *bounds) {
		receive := o.Receive
		o.Receive = func(e protocol.Envelope) {
			if e.Number == 13 {
				panic("receive")
			}
			receive(e)
		}
		o.Handle = func(ctx context.Context, from placement.MemberID, method string, request []byte) ([]byte, error) {
			if method == "panic" {
				panic("handle")
			}
			return echo(ctx, from, method, request)
		}
	})
	if _, err := a.Call(t.Context(), b.Address(), "panic", nil); engine.ErrorCode(err) != engine.CodeInternal {
		t.Errorf("call = %v", err)
	}
	a.Send(b.Address(), numbered("mbr_a", 13))
	eventually(t, "panicking", func() bool { return b.Panics() == 2 })
	reaches(t, a, b, b.Address(), "mbr_a")
	if _, err := a.Call(t.Context(), b.Address(), "m", nil); err != nil {
		t.Errorf("call after panics = %v", err)
	}
	if b.log.count("serving a peer panicked") != 2 || b.log.count("call_test.go") == 0 {
		t.Error("the panics were not logged with their stacks")
	}
}

func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	a := startEnd(t, "mbr_a", nil)
	b := startEnd(t, "mbr_b", func(o *Options, _ *bounds) {
		o.Handle = func(_ context.Context, _ placement.MemberID, method string, request []byte) ([]byte, error) {
			if method == "too much" {
				return make([]byte, MaxCallBytes+1), nil
			}
			return request, nil
		}
	})
	for name, call := range map[string]struct {
		method string
		size   int
		want   engine.Code
	}{
		"all that is allowed": {"m", MaxCallBytes, ""},
		"too large a request": {"m", MaxCallBytes + 1, engine.CodeTooLarge},
		"too long a method":   {strings.Repeat("m", maxCallHead), 0, engine.CodeTooLarge},
		"too large an answer": {"too much", 0, engine.CodeInternal},
	} {
		answer, err := a.Call(t.Context(), b.Address(), call.method, make([]byte, call.size))
		if engine.ErrorCode(err) != call.want || (err == nil && len(answer) != call.size) {
			t.Errorf("%s: %d bytes, %v", name, len(answer), err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	b.Close()
	_, err := a.Call(t.Context(), b.Address(), "m", nil)
	if failure, ok := errors.AsType[*engine.Error](err); !ok || failure.Code != engine.CodeUnavailable || failure.RetryAfter == 0 {
		t.Errorf("call = %v", err)
	}
	// Once that is known, the caller is told that the request went nowhere.
	sent := true
	for end := time.Now().Add(10 * time.Second); sent && time.Now().Before(end); {
		_, err = a.Call(t.Context(), b.Address(), "m", nil)
		sent = !errors.Is(err, ErrNotSent)
	}
	if sent {
		t.Errorf("call = %v, want that nothing was sent", err)
	}
	for _, address := range []string{"", "nowhere", "%zz", "127.0.0.1:99999"} {
		a.Send(address, numbered("mbr_a", 1))
		if _, err := a.Call(t.Context(), address, "m", nil); engine.ErrorCode(err) != engine.CodeUnavailable {
			t.Errorf("call of %q = %v", address, err)
		}
	}
}

func TestDamagedAnswersAreInternal(t *testing.T) {
	t.Parallel()
	whole := writeFailure(engine.Errorf(engine.CodeConflict, "taken"))
	for n := range whole {
		if _, err := readAnswer(whole[:n]); engine.ErrorCode(err) != engine.CodeInternal {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := readAnswer(append(whole, 0)); engine.ErrorCode(err) != engine.CodeInternal {
		t.Errorf("bytes left over: %v", err)
	}
	if _, err := readAnswer([]byte{wireVersion, failed + 1}); engine.ErrorCode(err) != engine.CodeInternal {
		t.Errorf("neither answered nor failed: %v", err)
	}
}
