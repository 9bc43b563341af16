package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"pannier/bench/check"
)

// maxExplained bounds the violations of a round that the cluster is asked about.
const maxExplained = 6

// explain adds to violations what the cluster itself knows of the deliveries concerned.
func (r *round) explain(ctx context.Context, broken []check.Violation) {
	asked := 0
	for i := range broken {
		s := r.subscription(broken[i].Subscription)
		if s == nil || broken[i].Event == "" || asked == maxExplained {
			continue
		}
		asked++
		broken[i].Detail += "; the cluster says: " + r.account(ctx, s, broken[i].Event)
	}
}

func (r *round) subscription(name string) *subscription {
	for _, s := range r.admin.known {
		if s.name == name {
			return s
		}
	}
	return nil
}

// account is what the cluster tells of one event at one subscription.
func (r *round) account(ctx context.Context, s *subscription, ref string) string {
	host := r.group.net.host(0)
	r.mu.Lock()
	event := r.ids[ref]
	r.mu.Unlock()
	var words []string
	type delivery struct {
		ID, State, Reason string
		SubscriptionID    string `json:"subscription_id"`
		Attempts          int
	}
	type attempt struct {
		Number         int
		Outcome, Error string
		StartedAt      string `json:"started_at"`
		Status         int
	}
	err := list(ctx, r.client, host, "/v1/events/"+event+"/deliveries", url.Values{}, func(d delivery) {
		if d.SubscriptionID != s.id {
			return
		}
		words = append(words, fmt.Sprintf("%s %s after %d attempts", d.State, d.Reason, d.Attempts))
		err := list(ctx, r.client, host, "/v1/deliveries/"+d.ID+"/attempts", url.Values{}, func(a attempt) {
			words = append(words, fmt.Sprintf("%d at %s %s %d %s", a.Number, a.StartedAt, a.Outcome, a.Status, a.Error))
		})
		if err != nil {
			words = append(words, err.Error())
		}
	})
	if err != nil {
		words = append(words, err.Error())
	}
	return "event " + event + " at " + s.id + ": " + strings.Join(words, ", ")
}

// pending says which members and which subscriptions have something left to do.
func (r *round) pending(ctx context.Context) string {
	var words []string
	for _, p := range r.group.present() {
		var v view
		host := r.group.net.host(p.number)
		if err := r.client.get(ctx, host, "/v1/cluster", &v); err != nil {
			words = append(words, err.Error())
			continue
		}
		for _, m := range v.Members {
			if m.Address == net.JoinHostPort(host, portAPI) && m.Backlog > 0 {
				words = append(words, fmt.Sprintf("member %d (%s) has %d", p.number, m.ID, m.Backlog))
			}
		}
	}
	for _, s := range r.admin.known {
		var row struct {
			Owner   string
			Pending uint64
		}
		if r.client.get(ctx, r.group.net.host(0), subscriptionsPath+"/"+s.id, &row) == nil && row.Pending > 0 {
			words = append(words, fmt.Sprintf("subscription %s (%s) of %s has %d", s.name, s.id, row.Owner, row.Pending))
		}
	}
	return strings.Join(words, ", ")
}
