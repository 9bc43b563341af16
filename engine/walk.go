package engine

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// walkChunk is how many records of a journal a walk reads at a time.
const walkChunk = 512

// walk visits the retained events of all lanes that were accepted in a window, in order of
// (accept time, id) and after a position, until visit returns false.
func (e *Engine) walk(ctx context.Context, window Window, after position, visit func(*Event) bool) error {
	return e.walkTo(ctx, e.lanes.Journals(ctx), window, after, visit)
}

// walkTo is walk as far as the journals' frontiers were when they were listed.
func (e *Engine) walkTo(ctx context.Context, journals []LaneJournal, window Window, after position, visit func(*Event) bool) error {
	since := window.Since
	if from := time.UnixMilli(after.milli); from.After(since) {
		since = from
	}
	var sources []*journalSource
	for _, lane := range journals {
		next, err := lane.Journal.Seek(since)
		if err != nil {
			return err
		}
		sources = append(sources, &journalSource{lane: lane, next: next, dropped: e.dropped})
	}
	for ctx.Err() == nil {
		group, err := nextMilli(sources)
		if err != nil || len(group) == 0 {
			return err
		}
		if !window.Until.IsZero() && !group[0].AcceptedAt.Before(window.Until) {
			return nil
		}
		for _, event := range group {
			wanted := !event.AcceptedAt.Before(window.Since) && after.before(event.AcceptedAt.UnixMilli(), event.ID)
			if wanted && !visit(event) {
				return nil
			}
		}
	}
	return Errorf(CodeUnavailable, "the request was given up")
}

// nextMilli gathers the events of the earliest accept time over all sources, by id.
func nextMilli(sources []*journalSource) ([]*Event, error) {
	earliest := int64(-1)
	for _, s := range sources {
		if err := s.fill(); err != nil {
			return nil, err
		}
		if len(s.buffer) > 0 {
			if milli := s.buffer[0].AcceptedAt.UnixMilli(); earliest < 0 || milli < earliest {
				earliest = milli
			}
		}
	}
	var group []*Event
	for _, s := range sources {
		for {
			if err := s.fill(); err != nil {
				return nil, err
			}
			if len(s.buffer) == 0 || s.buffer[0].AcceptedAt.UnixMilli() != earliest {
				break
			}
			group = append(group, s.buffer[0])
			s.buffer = s.buffer[1:]
		}
	}
	slices.SortFunc(group, func(a, b *Event) int { return cmp.Compare(a.ID, b.ID) })
	return group, nil
}

// journalSource reads the answered events of one journal in order.
type journalSource struct {
	lane    LaneJournal
	next    uint64
	buffer  []*Event
	dropped *DroppedBatches
}

func (s *journalSource) fill() error {
	for len(s.buffer) == 0 && s.next <= s.lane.Frontier {
		limit := int(min(walkChunk, s.lane.Frontier-s.next+1))
		next, err := s.lane.Journal.Read(s.next, limit, func(_ uint64, record Record) bool {
			if record.Event != nil && !s.dropped.Has(record.Event) {
				s.buffer = append(s.buffer, record.Event)
			}
			return true
		})
		if err != nil {
			return err
		}
		if next <= s.next {
			return nil
		}
		s.next = next
	}
	return nil
}
