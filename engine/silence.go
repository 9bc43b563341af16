package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// silence notes the members of a cluster that did not answer while a request was: what they keep
// is missing from its result, or what it changed has not come to them, and the result says so.
type silence struct {
	mu      sync.Mutex
	members []string
}

type silenceKey struct{}

// WithSilence lets members be noted that do not answer.
func WithSilence(ctx context.Context) context.Context {
	return context.WithValue(ctx, silenceKey{}, &silence{})
}

// NoteSilent notes a member that does not answer. Safe for concurrent use.
func NoteSilent(ctx context.Context, member string) {
	s, kept := ctx.Value(silenceKey{}).(*silence)
	if !kept {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.members, member) {
		s.members = append(s.members, member)
	}
}

// notFound is the error for what is nowhere, unless a member did not answer that may have it.
func notFound(ctx context.Context, what string) error {
	if silent := SilentMembers(ctx); len(silent) > 0 {
		return &Error{
			Code: CodeUnavailable, RetryAfter: time.Second,
			Message: "no such " + what + " is found, but the member " + silent[0] + " does not answer",
		}
	}
	return Errorf(CodeNotFound, "no such %s", what)
}

// SilentMembers lists those that were noted, sorted.
func SilentMembers(ctx context.Context) []string {
	s, kept := ctx.Value(silenceKey{}).(*silence)
	if !kept {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.members))
}
