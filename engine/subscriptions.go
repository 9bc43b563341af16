package engine

import (
	"context"
	"strconv"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// CreateSubscription makes a subscription. Events accepted after it returned are matched
// with it. Errors: invalid, forbidden, unavailable.
func (e *Engine) CreateSubscription(ctx context.Context, caller Caller, spec SubscriptionSpec) (SubscriptionView, error) {
	if spec.Tenant == "" {
		spec.Tenant = DefaultTenant
	}
	if !caller.Sees(spec.Tenant) {
		return SubscriptionView{}, Errorf(CodeForbidden, "this key may only make subscriptions of its own tenant")
	}
	version, err := e.build(spec)
	if err != nil {
		return SubscriptionView{}, err
	}
	secret, err := parseSecret(spec.Secret)
	if err != nil {
		return SubscriptionView{}, err
	}
	now := e.clock()
	version.ID = NewSubscriptionID()
	version.Secrets = []ValidSecret{{Secret: secret}}
	version.CreatedAt, version.UpdatedAt, version.Version = now, now, 1
	if err := e.put(ctx, version); err != nil {
		return SubscriptionView{}, err
	}
	return e.view(ctx, version)
}

// put gives a version the next revision, makes it durable and puts it in force. Versions
// take force in the order of their revisions, because the state calls back in order.
func (e *Engine) put(ctx context.Context, version *Subscription) error {
	if e.cluster != nil {
		return e.cluster.PutVersion(ctx, version)
	}
	done := make(chan struct{})
	e.changing.Lock()
	e.revision++
	version.Revision = e.revision
	err := e.state.Write([]Write{PutVersion{version}}, func() {
		e.table.Apply(version)
		close(done)
	})
	e.changing.Unlock()
	if err != nil {
		return err
	}
	<-done
	return nil
}

// find gives a subscription that the caller may know of.
func (e *Engine) find(caller Caller, id SubscriptionID) (*Subscription, error) {
	version, found := e.table.Get(id)
	if !found || !caller.Sees(version.Tenant) {
		return nil, Errorf(CodeNotFound, "no such subscription")
	}
	return version, nil
}

// Subscription describes one. Errors: not_found.
func (e *Engine) Subscription(ctx context.Context, caller Caller, id SubscriptionID) (SubscriptionView, error) {
	version, err := e.find(caller, id)
	if err != nil {
		return SubscriptionView{}, err
	}
	return e.view(ctx, version)
}

// owner is the member that makes the attempts of a subscription.
func (e *Engine) owner(id SubscriptionID) string {
	if e.cluster != nil {
		return e.cluster.Owner(id)
	}
	return e.member.ID
}

func (e *Engine) view(ctx context.Context, version *Subscription) (SubscriptionView, error) {
	work, err := e.deliveries.Look(ctx, version.ID)
	if err != nil {
		return SubscriptionView{}, err
	}
	return e.viewOf(version, work.Standing), nil
}

func (e *Engine) viewOf(version *Subscription, s Standing) SubscriptionView {
	view := SubscriptionView{Subscription: version, Owner: e.owner(version.ID), State: s.Health, Pending: s.Pending}
	if s.OldestMilli > 0 && s.Pending > 0 {
		view.OldestPendingAt = time.UnixMilli(s.OldestMilli)
	}
	return view
}

// Subscriptions lists those the caller may know of, in order of creation. Errors: invalid.
func (e *Engine) Subscriptions(ctx context.Context, caller Caller, page Page) (Listed[SubscriptionView], error) {
	after, err := parseCursor("subscriptions", page.Cursor)
	if err != nil {
		return Listed[SubscriptionView]{}, err
	}
	var last *Subscription
	if page.Cursor != "" {
		handle, known := e.table.Known(SubscriptionID(after.id))
		if !known {
			return Listed[SubscriptionView]{}, Invalid("cursor", "is not from this list")
		}
		last = e.table.Latest(handle)
	}
	found, more := e.table.List(last, page.Limit, func(s *Subscription) bool { return caller.Sees(s.Tenant) })
	ids := make([]SubscriptionID, len(found))
	for n, version := range found {
		ids[n] = version.ID
	}
	standings, err := e.deliveries.Standings(ctx, ids)
	listed := Listed[SubscriptionView]{Items: make([]SubscriptionView, len(found))}
	if err != nil {
		return listed, err
	}
	for n, version := range found {
		listed.Items[n] = e.viewOf(version, standings[n])
	}
	if more {
		listed.Next = position{id: string(found[len(found)-1].ID)}.cursor("subscriptions")
	}
	return listed, nil
}

// UpdateSubscription makes a new version; change gets the latest one without its secret.
// Errors: those of change, invalid, not_found, unavailable.
func (e *Engine) UpdateSubscription(ctx context.Context, caller Caller, id SubscriptionID, change func(SubscriptionSpec) (SubscriptionSpec, error)) (SubscriptionView, error) {
	version, err := e.edit(ctx, caller, id, func(latest *Subscription) (*Subscription, error) {
		before := specOf(latest)
		spec, err := change(before)
		if err != nil {
			return nil, err
		}
		if spec.Tenant != before.Tenant {
			return nil, Invalid("/tenant", "never changes")
		}
		version, err := e.build(spec)
		if err != nil {
			return nil, err
		}
		version.Secrets = latest.Secrets
		if spec.Secret != "" {
			secret, err := parseSecret(spec.Secret)
			if err != nil {
				return nil, err
			}
			version.Secrets = []ValidSecret{{Secret: secret}}
		}
		return version, nil
	})
	if err != nil {
		return SubscriptionView{}, err
	}
	return e.view(ctx, version)
}

// edit makes and puts in force a version made from the latest one. It returns when no
// attempt by an earlier version can start any more.
func (e *Engine) edit(ctx context.Context, caller Caller, id SubscriptionID, change func(*Subscription) (*Subscription, error)) (*Subscription, error) {
	e.editing.Lock()
	latest, err := e.find(caller, id)
	if err != nil {
		e.editing.Unlock()
		return nil, err
	}
	version, err := change(latest)
	if err != nil {
		e.editing.Unlock()
		return nil, err
	}
	version.ID, version.Tenant, version.CreatedAt = latest.ID, latest.Tenant, latest.CreatedAt
	version.UpdatedAt, version.Version = e.clock(), latest.Version+1
	err = e.put(ctx, version)
	e.editing.Unlock()
	if err != nil {
		return nil, err
	}
	return version, e.deliveries.Changed(ctx, id)
}

// DeleteSubscription ends a subscription: when it returns, no attempt starts any more, and
// what was pending is discharged. The last version stays for ever, so that a member of a
// cluster that was away does not bring the subscription back: without its secrets, and without
// what takes room. Errors: not_found, unavailable.
func (e *Engine) DeleteSubscription(ctx context.Context, caller Caller, id SubscriptionID) error {
	_, err := e.edit(ctx, caller, id, func(latest *Subscription) (*Subscription, error) {
		version := *latest
		version.Deleted, version.Enabled = true, false
		version.URL, version.Description = "", ""
		version.Topics, version.Secrets, version.Headers = nil, nil, nil
		return &version, nil
	})
	return err
}

// Disable stops a subscription from matching new events.
func (e *Engine) Disable(ctx context.Context, id SubscriptionID) error {
	_, err := e.edit(ctx, Caller{Role: RoleAdmin}, id, func(latest *Subscription) (*Subscription, error) {
		version := *latest
		version.Enabled = false
		return &version, nil
	})
	return err
}

// RotateSecret makes a new secret; those before it stay valid for grace. Errors: invalid,
// not_found, unavailable.
func (e *Engine) RotateSecret(ctx context.Context, caller Caller, id SubscriptionID, grace time.Duration) (Rotation, error) {
	if grace < 0 || grace > MaxGrace {
		return Rotation{}, Invalid("/grace", "must be 0 to 168h")
	}
	until := e.clock().Add(grace)
	version, err := e.edit(ctx, caller, id, func(latest *Subscription) (*Subscription, error) {
		fresh, err := parseSecret("")
		if err != nil {
			return nil, err
		}
		version := *latest
		version.Secrets = []ValidSecret{{Secret: fresh}}
		for _, old := range latest.Secrets {
			if old.Until.IsZero() || old.Until.After(until) {
				old.Until = until
			}
			if old.Until.After(e.clock()) && len(version.Secrets) < MaxSecrets {
				version.Secrets = append(version.Secrets, old)
			}
		}
		return &version, nil
	})
	if err != nil {
		return Rotation{}, err
	}
	return Rotation{Secret: version.Secrets[0].Secret.Reveal(), PreviousValidUntil: until}, nil
}

// TestTopic is the topic of the event that TestSubscription sends.
const TestTopic = "pannier.test"

// TestSubscription sends a signed event to one endpoint only. Errors: not_found, and those
// of Accept.
func (e *Engine) TestSubscription(ctx context.Context, caller Caller, id SubscriptionID) (string, error) {
	version, err := e.find(caller, id)
	if err != nil {
		return "", err
	}
	accepted, err := e.Accept(ctx, Caller{Role: RoleAdmin}, []Draft{{
		Topic: TestTopic, Tenant: version.Tenant, Directed: id, Data: []byte(`{"message":"This is a test from Pannier."}`),
	}}, "")
	if err != nil {
		return "", err
	}
	return accepted.IDs[0], nil
}
