package link

import (
	"errors"
	"time"

	"pannier/engine"
)

// An answer is a version byte, one byte that tells whether the call was answered or failed,
// and either the handler's bytes or the fields of an error.
const (
	answered = 0
	failed   = 1
)

// writeFailure keeps of an error what a caller may see: an *engine.Error without its cause,
// and of any other that it is internal.
func writeFailure(err error) []byte {
	visible, ok := errors.AsType[*engine.Error](err)
	if !ok {
		visible = &engine.Error{Code: engine.CodeInternal, Message: engine.ErrorMessage(err)}
	}
	w := newWriter(128)
	w.byte(failed)
	w.string(string(visible.Code))
	w.string(visible.Message)
	writeList(w, visible.Fields, func(w *writer, f engine.FieldError) {
		w.string(f.Pointer)
		w.string(f.Detail)
	})
	w.bool(visible.Syntax)
	w.int(int64(visible.RetryAfter))
	return w.b
}

func readAnswer(answer []byte) ([]byte, error) {
	r := newReader(answer)
	if r.byte() == answered && r.err == nil {
		return r.b, nil
	}
	failure := &engine.Error{
		Code:    engine.Code(r.string()),
		Message: r.string(),
		Fields: readList(r, 2, func(r *reader) engine.FieldError {
			return engine.FieldError{Pointer: r.string(), Detail: r.string()}
		}),
		Syntax:     r.bool(),
		RetryAfter: time.Duration(r.int()),
	}
	if err := r.end(); err != nil {
		return nil, &engine.Error{Code: engine.CodeInternal, Message: engine.ErrorMessage(err), Err: err}
	}
	return nil, failure
}
