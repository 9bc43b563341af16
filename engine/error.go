package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the stable machine-readable name of what went wrong. The API maps each code
// to one HTTP status; the command line maps it back.
type Code string

// The codes of the public contract.
const (
	CodeInvalid      Code = "invalid"
	CodeUnauthorized Code = "unauthorized"
	CodeForbidden    Code = "forbidden"
	CodeNotFound     Code = "not_found"
	CodeConflict     Code = "conflict"
	CodeTooLarge     Code = "too_large"
	CodeUnsupported  Code = "unsupported_media_type"
	CodeThrottled    Code = "throttled"
	CodeUnavailable  Code = "unavailable"
	CodeStorageFull  Code = "storage_full"
	CodeInternal     Code = "internal"
)

// FieldError names one wrong field by JSON pointer ("/topics/0") or one wrong query
// parameter by its name ("limit").
type FieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error is the only error type that leaves the process. Message is written for the
// caller and holds nothing internal; Err, when set, is for the log alone.
type Error struct {
	Code    Code
	Message string
	Fields  []FieldError
	// Syntax marks an invalid body that could not be parsed at all (400 instead of 422).
	Syntax bool
	// RetryAfter is set on throttled, unavailable and storage_full.
	RetryAfter time.Duration
	Err        error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap gives the internal cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Errorf builds an Error without fields.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid builds a 422: the body was readable, but the field at pointer is wrong.
func Invalid(pointer, format string, args ...any) *Error {
	detail := fmt.Sprintf(format, args...)
	return &Error{
		Code: CodeInvalid, Message: detail,
		Fields: []FieldError{{Pointer: pointer, Detail: detail}},
	}
}

// PointerToken escapes one token of a JSON pointer (RFC 6901, section 3).
func PointerToken(token string) string { return pointerEscape.Replace(token) }

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// Malformed builds a 400: the body could not be parsed.
func Malformed(format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(format, args...), Syntax: true}
}

// ErrorCode is the code of err, or internal for any error that is not an *Error, and ""
// for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ErrorMessage is what a caller may read of err; of an unknown one that is nothing but its
// kind.
func ErrorMessage(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "an internal error"
}
