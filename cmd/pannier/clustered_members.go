package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"pannier/cluster/placement"
	"pannier/engine"
)

// PutVersion implements engine.Members.
func (c *clustered) PutVersion(ctx context.Context, version *engine.Subscription) error {
	return c.node.PutVersion(ctx, version)
}

// Identities implements engine.Members.
func (c *clustered) Identities(ctx context.Context, ids []string) (map[string]engine.Identity, error) {
	answers, silent := askAll[identitiesHere](ctx, c, callIdentities, ids)
	known, later := make(map[string]engine.Identity), false
	for _, answer := range answers {
		maps.Copy(known, answer.Known)
		later = later || answer.Later
	}
	switch {
	case len(known) == len(ids):
	case len(silent) > 0:
		return nil, doesNotAnswer(silent[0])
	case later:
		return nil, errTakingOver
	}
	return known, nil
}

// Answer implements engine.Members.
func (c *clustered) Answer(ctx context.Context, key string) (engine.Answer, bool, error) {
	answers, silent := askAll[answerHere](ctx, c, callAnswer, key)
	later := false
	for _, answer := range answers {
		if answer.Found {
			return answer.Answer, true, nil
		}
		later = later || answer.Later
	}
	switch {
	case len(silent) > 0:
		return engine.Answer{}, false, doesNotAnswer(silent[0])
	case later:
		return engine.Answer{}, false, errTakingOver
	}
	return engine.Answer{}, false, nil
}

var (
	errNoOwner = engine.Errorf(engine.CodeUnavailable, "no member owns the subscription now")
	// errTakingOver answers whoever gives an id or a key meanwhile: the same may have been accepted.
	errTakingOver = &engine.Error{
		Code: engine.CodeUnavailable, RetryAfter: time.Second,
		Message: "what a member had accepted that is gone is being taken over: whether this was there is not known yet",
	}
)

func doesNotAnswer(id placement.MemberID) error {
	return &engine.Error{
		Code: engine.CodeUnavailable, Message: "the member " + string(id) + " does not answer", RetryAfter: time.Second,
	}
}

// Owner implements engine.Members.
func (c *clustered) Owner(id engine.SubscriptionID) string {
	return string(c.node.View().Owner(engine.ShardOf(id)))
}

// Deliveries implements engine.Members.
func (c *clustered) Deliveries(ctx context.Context, event *engine.Event, ids []engine.SubscriptionID) ([]engine.DeliveryView, error) {
	owned := make(map[placement.MemberID][]engine.SubscriptionID)
	for _, id := range ids {
		owner := placement.MemberID(c.Owner(id))
		owned[owner] = append(owned[owner], id)
	}
	views := make([]engine.DeliveryView, 0, len(ids))
	for _, owner := range slices.Sorted(maps.Keys(owned)) {
		if owner == "" {
			return nil, errNoOwner
		}
		// The owner asks others before it answers.
		theirs, err := askWithin[[]engine.DeliveryView](ctx, c, 2*askTimeout, owner, callDeliveries, deliveriesRequest{event, owned[owner]})
		if err != nil {
			c.logger.Warn("the owner of subscriptions does not answer", "member", string(owner), "error", err)
			return nil, doesNotAnswer(owner)
		}
		views = append(views, theirs...)
	}
	slices.SortFunc(views, func(a, b engine.DeliveryView) int { return cmp.Compare(a.SubscriptionID, b.SubscriptionID) })
	return views, nil
}

// Attempts implements engine.Members.
func (c *clustered) Attempts(ctx context.Context, sub engine.SubscriptionID, key engine.DeliveryKey) (attempts []engine.Attempt) {
	answers, _ := askAll[[]engine.Attempt](ctx, c, callAttempts, attemptsRequest{sub, key})
	for _, theirs := range answers {
		attempts = append(attempts, theirs...)
	}
	return attempts
}

// View implements engine.Members.
func (c *clustered) View(ctx context.Context) engine.ClusterView {
	view := c.node.View()
	owned, kept := view.OwnedShards(), view.KeptShards()
	subscriptions := make(map[placement.MemberID]int)
	c.member.table.Each(func(s *engine.Subscription) {
		if !s.Deleted {
			subscriptions[view.Owner(engine.ShardOf(s.ID))]++
		}
	})
	totals, _ := askAll[memberTotals](ctx, c, callStats, all(true))
	answer := engine.ClusterView{
		Name: clusterName, Replication: view.Replication(), Shards: engine.Shards,
	}
	for _, m := range view.Members() {
		shown := engine.MemberView{
			ID: string(m.ID), Address: m.API, State: m.State.String(), Boot: m.Boot, StartedAt: m.StartedAt,
			OwnedShards: owned[m.ID], OwnedSubscriptions: subscriptions[m.ID], Replicas: kept[m.ID],
			Lag: make(map[string]uint64),
		}
		theirs, answered := totals[m.ID]
		shown.Backlog, shown.Silent = theirs.Stats.Pending, !answered
		for follower, behind := range theirs.Lag {
			shown.Lag[string(follower)] = behind
		}
		answer.UnderReplicated += theirs.UnderReplicated
		answer.Members = append(answer.Members, shown)
	}
	for id, address := range c.node.Away() {
		answer.Members = append(answer.Members, engine.MemberView{ID: string(id), Address: address, State: placement.State(0).String()})
	}
	slices.SortFunc(answer.Members, func(a, b engine.MemberView) int { return cmp.Compare(a.ID, b.ID) })
	return answer
}
