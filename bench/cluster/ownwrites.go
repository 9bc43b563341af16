package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"pannier/bench/check"
	"pannier/bench/history"
)

// unread finds the deliveries of which no attempt came, of subscriptions that the member made
// itself which accepted the event afterwards: whomever it cannot hear, it knows of them. Where a
// disk is lost, what the others had not heard of may be lost with it.
func (r *round) unread(records []history.Record, faults []happened) (found []string) {
	if slices.ContainsFunc(faults, func(f happened) bool { return f.kind.losesDisk() }) {
		return nil
	}
	attempted := make(map[pair]bool)
	for i := range records {
		if a := records[i].Attempt; records[i].Type == history.Recv {
			attempted[pair{a.Name, refOf(a)}] = true
		}
	}
	for _, s := range r.admin.known {
		for ref, a := range r.posted {
			if s.born.wants(a) && !r.again[ref] && !attempted[pair{s.name, ref}] {
				found = append(found, fmt.Sprintf("%s, made by member %d, has not got %s", s.name, a.member, ref))
			}
		}
	}
	slices.Sort(found)
	return found
}

// wants tells whether an event is certainly for a subscription, as it was made.
func (b born) wants(a accepted) bool {
	return a.member == b.member && !b.removed && a.from >= b.at && (b.until == 0 || a.to < b.until) &&
		slices.ContainsFunc(b.topics, func(pattern string) bool { return check.Matches(pattern, a.topic) })
}

// claimed finds the deliveries that the cluster says were made and nobody got. Whom an event is for
// is worked out from the versions of its time: a member that did not hear of one, and made a later
// one itself, accepted events for others than the list has.
func (r *round) claimed(ctx context.Context, arrivals []arrival) (found []string) {
	taken := make(map[pair]bool)
	for _, a := range arrivals {
		taken[a.pair()] = true
	}
	refs := make(map[string]string)
	for ref, id := range r.ids {
		refs[id] = ref
	}
	type row struct {
		EventID string `json:"event_id"`
	}
	for _, s := range r.admin.known {
		path := subscriptionsPath + "/" + s.id + "/deliveries"
		err := list(ctx, r.client, r.group.net.host(0), path, url.Values{"state": {"delivered"}}, func(d row) {
			if ref, known := refs[d.EventID]; known && !taken[pair{s.name, ref}] {
				found = append(found, s.name+" is said to have got "+ref)
			}
		})
		if err != nil && !s.born.removed {
			found = append(found, err.Error())
		}
	}
	return found
}
