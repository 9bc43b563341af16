package main

import (
	"context"
	"net/url"
	"slices"
)

// unlisted finds the accepted events that a member does not list although they are retained: whoever
// kept their journals in between, and however little of them was undischarged when it began to.
// Where a disk is lost, what was discharged may be lost with it, and so it may where a member leaves
// before another one had the time to copy all of it.
func (r *round) unlisted(ctx context.Context, faults []happened) (found []string) {
	if slices.ContainsFunc(faults, func(f happened) bool { return f.kind.losesDisk() || f.kind == scale }) {
		return nil
	}
	listed := make(map[string]bool)
	err := list(ctx, r.client, r.group.net.host(0), "/v1/events", url.Values{}, func(e struct{ ID string }) {
		listed[e.ID] = true
	})
	if err != nil {
		return []string{err.Error()}
	}
	for ref, id := range r.ids {
		if !listed[id] {
			found = append(found, ref+", accepted as "+id)
		}
	}
	slices.Sort(found)
	return found
}
