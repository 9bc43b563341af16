package api

import (
	"context"
	"time"

	"pannier/engine"
)

// Paging are the query parameters of every list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"1024" doc:"Where to go on: next_cursor of the page before."`
}

func (p Paging) page() engine.Page { return engine.Page{Limit: p.Limit, Cursor: p.Cursor} }

// Period are the query parameters that narrow a list to a half-open window on accept time.
type Period struct {
	Since instant `query:"since" doc:"Accepted at or after this time."`
	Until instant `query:"until" doc:"Accepted before this time."`
}

func (p Period) window() engine.Window {
	return engine.Window{Since: time.Time(p.Since), Until: time.Time(p.Until)}
}

// list is one page.
type list[T any] struct {
	Data       []T     `json:"data" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"The cursor of the next page; null on the last one."`
	// SilentMembers is not there where everybody answered.
	SilentMembers []string `json:"silent_members,omitempty" doc:"Members of the cluster that did not answer: what only they have is missing."`
}

// listAnswer is a page and the link to the next (RFC 8288).
type listAnswer[T any] struct {
	Link string `header:"Link" doc:"The next page, rel=\"next\"."`
	Body list[T]
}

// listed encodes a page of the engine.
func listed[E, T any](ctx context.Context, items engine.Listed[E], encode func(E) T) *listAnswer[T] {
	answer := &listAnswer[T]{Body: list[T]{Data: make([]T, 0, len(items.Items))}}
	for _, item := range items.Items {
		answer.Body.Data = append(answer.Body.Data, encode(item))
	}
	answer.Body.SilentMembers = engine.SilentMembers(ctx)
	if items.Next != "" {
		answer.Body.NextCursor = &items.Next
		next := *exchangeOf(ctx).request.URL
		query := next.Query()
		query.Set("cursor", items.Next)
		answer.Link = "<" + next.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
	}
	return answer
}

// orNull makes null of what is not there.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
