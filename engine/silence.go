package engine

import (
	"context"
	"slices"
	"sync"
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
