package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"pannier/engine"
)

// SubscriptionFields are the members of a subscription that its user writes. Absent and
// null members have the contract's defaults.
type SubscriptionFields struct {
	URL         string             `json:"url" format:"uri" doc:"The endpoint: https, a public address, no userinfo, no fragment, at most 2048 bytes." example:"https://city.example/hooks/bikes"`
	Topics      []string           `json:"topics" nullable:"false" minItems:"1" maxItems:"100" doc:"Exact topics, prefix.*, or * for all."`
	Tenant      string             `json:"tenant,omitempty" doc:"Whose subscription it is; never changes. Default: the key's own tenant, else default."`
	Description string             `json:"description" required:"false" doc:"For people: at most 1024 bytes."`
	Enabled     bool               `json:"enabled" required:"false" doc:"A disabled subscription matches no new events. Default true."`
	Secret      *string            `json:"secret,omitempty" nullable:"false" doc:"The signing secret: whsec_ and base64 of 24 to 64 bytes; made when absent. Answered only by creation and rotation."`
	Headers     map[string]string  `json:"headers" required:"false" doc:"Sent with every attempt: at most 32, 8 KiB in all. Masked for viewers."`
	Retry       SubscriptionRetry  `json:"retry" required:"false" doc:"The retry schedule."`
	Timeout     duration           `json:"timeout" required:"false" doc:"Of one attempt: 1s to 30s. Default 30s."`
	Success     engine.Success     `json:"success" required:"false" enum:"below_400,2xx" doc:"Which statuses count as delivered. Default below_400."`
	Limits      SubscriptionLimits `json:"limits" required:"false" doc:"What the endpoint can take."`
	// DisableOnGone makes 410 disable the subscription.
	DisableOnGone bool `json:"disable_on_gone" required:"false" doc:"Disable the subscription when the endpoint answers 410. Default false."`
}

// SubscriptionRetry is the retry schedule of a subscription.
type SubscriptionRetry struct {
	MaxRetries int      `json:"max_retries" required:"false" minimum:"0" maximum:"20" doc:"Attempts beyond the first. Default 5."`
	MinDelay   duration `json:"min_delay" required:"false" doc:"Before the first retry: 1s to 24h. Default 10s."`
	MaxDelay   duration `json:"max_delay" required:"false" doc:"Before the last retry: 1s to 24h. Default 30m."`
}

// SubscriptionLimits are what an endpoint can take.
type SubscriptionLimits struct {
	MaxInFlight   int     `json:"max_in_flight" required:"false" minimum:"1" maximum:"1024" doc:"Attempts at once. Default 64."`
	RatePerSecond float64 `json:"rate_per_second" required:"false" minimum:"0" maximum:"100000" doc:"Attempts a second, 0.1 to 100000; 0 is no limit. Default 0."`
}

// SubscriptionAnswer is a subscription as it is answered.
type SubscriptionAnswer struct {
	ID engine.SubscriptionID `json:"id" example:"sub_0c9f1s8vq2m5k7t3b6e4"`
	SubscriptionFields
	CreatedAt       instant       `json:"created_at"`
	UpdatedAt       instant       `json:"updated_at"`
	Version         int           `json:"version" doc:"Counts the changes, from 1."`
	Owner           string        `json:"owner" doc:"The member that delivers for it."`
	State           engine.Health `json:"state" enum:"healthy,retrying,open,disabled"`
	Pending         uint64        `json:"pending" doc:"Deliveries not settled."`
	OldestPendingAt instant       `json:"oldest_pending_at" nullable:"true"`
}

var exampleSubscription = map[string]any{
	"url":         "https://city.example/hooks/bikes",
	"topics":      []string{"trip.created", "trip.terminated", "vehicule.position.forbidden"},
	"description": "City dashboard",
	"headers":     map[string]string{"X-City": "nantes"},
	"retry":       map[string]any{"max_retries": 5, "min_delay": "10s", "max_delay": "30m"},
	"limits":      map[string]any{"max_in_flight": 64, "rate_per_second": 200},
}

type subscriptionCreated struct {
	Location string `header:"Location" doc:"The path of the subscription."`
	Body     SubscriptionAnswer
}

type subscriptionFound struct{ Body SubscriptionAnswer }

const subscriptionsPath = "/v1/subscriptions"

func (s *Server) addSubscriptions() {
	registry := s.huma.OpenAPI().Components.Schemas
	create := operation(tagSubscriptions, http.MethodPost, subscriptionsPath, "create-subscription",
		"Make a subscription; the only answer beside rotation that shows its secret")
	create.DefaultStatus = http.StatusCreated
	create.RequestBody = bodyOf[SubscriptionFields](registry, true, exampleSubscription, jsonType)
	handleBody(s, create, owners, s.createSubscription)

	handle(s, operation(tagSubscriptions, http.MethodGet, subscriptionsPath, "list-subscriptions",
		"List subscriptions"), readers, s.listSubscriptions)
	handle(s, operation(tagSubscriptions, http.MethodGet, subscriptionsPath+"/{id}", "get-subscription",
		"Look at a subscription and how it fares"), readers, s.getSubscription)

	update := operation(tagSubscriptions, http.MethodPatch, subscriptionsPath+"/{id}", "update-subscription",
		"Change a subscription by JSON merge patch (RFC 7396); null resets a member to its default")
	update.RequestBody = bodyOf[SubscriptionFields](registry, true, map[string]any{"enabled": false}, jsonType, mergePatchType)
	handleBody(s, update, owners, s.updateSubscription)

	handle(s, operation(tagSubscriptions, http.MethodDelete, subscriptionsPath+"/{id}", "delete-subscription",
		"Delete a subscription and what is pending of it"), owners, s.deleteSubscription)
}

func (s *Server) createSubscription(ctx context.Context, caller engine.Caller, _ *nothing, body posted[SubscriptionFields]) (*subscriptionCreated, error) {
	defaults := engine.DefaultSpec()
	if caller.Tenant != "" {
		defaults.Tenant = caller.Tenant
	}
	spec, err := mergeSpec(engine.SubscriptionSpec{}, body.raw, defaults)
	if err != nil {
		return nil, err
	}
	if !caller.Sees(spec.Tenant) {
		return nil, engine.Errorf(engine.CodeForbidden, "this key may only make subscriptions of its own tenant")
	}
	view, err := s.engine.CreateSubscription(ctx, caller, spec)
	if err != nil {
		return nil, err
	}
	answer := encodeSubscription(caller, view)
	if secrets := view.SecretsAt(s.clock()); len(secrets) > 0 {
		answer.Secret = new(secrets[0].Reveal())
	}
	return &subscriptionCreated{Location: subscriptionsPath + "/" + string(view.ID), Body: answer}, nil
}

func (s *Server) listSubscriptions(ctx context.Context, caller engine.Caller, in *struct{ Paging }) (*listAnswer[SubscriptionAnswer], error) {
	found, err := s.engine.Subscriptions(ctx, caller, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, func(v engine.SubscriptionView) SubscriptionAnswer {
		return encodeSubscription(caller, v)
	}), nil
}

func (s *Server) getSubscription(ctx context.Context, caller engine.Caller, in *ByID) (*subscriptionFound, error) {
	view, err := s.engine.Subscription(ctx, caller, engine.SubscriptionID(in.ID))
	if err != nil {
		return nil, err
	}
	return &subscriptionFound{encodeSubscription(caller, view)}, nil
}

func (s *Server) updateSubscription(ctx context.Context, caller engine.Caller, in *ByID, body posted[SubscriptionFields]) (*subscriptionFound, error) {
	change := func(spec engine.SubscriptionSpec) (engine.SubscriptionSpec, error) {
		changed, err := mergeSpec(spec, body.raw, engine.DefaultSpec())
		if err == nil && changed.Tenant != spec.Tenant {
			err = engine.Invalid("/tenant", "never changes")
		}
		return changed, err
	}
	view, err := s.engine.UpdateSubscription(ctx, caller, engine.SubscriptionID(in.ID), change)
	if err != nil {
		return nil, err
	}
	return &subscriptionFound{encodeSubscription(caller, view)}, nil
}

func (s *Server) deleteSubscription(ctx context.Context, caller engine.Caller, in *ByID) (*nothing, error) {
	return &nothing{}, s.engine.DeleteSubscription(ctx, caller, engine.SubscriptionID(in.ID))
}

// mergeSpec applies a patch, whose members were checked, to a subscription; the zero spec
// has no members. What is absent afterwards has its default.
func mergeSpec(current engine.SubscriptionSpec, patch []byte, defaults engine.SubscriptionSpec) (engine.SubscriptionSpec, error) {
	document := []byte("{}")
	if current.URL != "" {
		var err error
		document, err = json.Marshal(encodeSpec(current)) //nolint:gosec // encodeSpec leaves the secret out
		must(err)
	}
	fields := encodeSpec(defaults)
	if err := decodeChecked(mergePatch(document, patch), &fields); err != nil {
		return engine.SubscriptionSpec{}, err
	}
	if fields.URL == "" {
		return engine.SubscriptionSpec{}, engine.Invalid("/url", "is required")
	}
	if len(fields.Topics) == 0 {
		return engine.SubscriptionSpec{}, engine.Invalid("/topics", "at least one topic is required")
	}
	if !isTenant(fields.Tenant) {
		return engine.SubscriptionSpec{}, engine.Invalid("/tenant", wrongTenant)
	}
	secret := ""
	if fields.Secret != nil {
		if secret = *fields.Secret; secret == "" { // to the engine that would be none
			return engine.SubscriptionSpec{}, engine.Invalid("/secret", "must not be empty")
		}
	}
	return engine.SubscriptionSpec{
		URL: fields.URL, Topics: fields.Topics, Tenant: fields.Tenant, Description: fields.Description,
		Enabled: fields.Enabled, Secret: secret, Headers: fields.Headers,
		MaxRetries: fields.Retry.MaxRetries, MinDelay: time.Duration(fields.Retry.MinDelay),
		MaxDelay: time.Duration(fields.Retry.MaxDelay), Timeout: time.Duration(fields.Timeout),
		Success: fields.Success, MaxInFlight: fields.Limits.MaxInFlight,
		RatePerSecond: fields.Limits.RatePerSecond, DisableOnGone: fields.DisableOnGone,
	}, nil
}

func encodeSpec(spec engine.SubscriptionSpec) SubscriptionFields {
	return SubscriptionFields{
		URL: spec.URL, Topics: spec.Topics, Tenant: spec.Tenant, Description: spec.Description,
		Enabled: spec.Enabled, Headers: spec.Headers,
		Retry: SubscriptionRetry{
			MaxRetries: spec.MaxRetries, MinDelay: duration(spec.MinDelay), MaxDelay: duration(spec.MaxDelay),
		},
		Timeout: duration(spec.Timeout), Success: spec.Success,
		Limits:        SubscriptionLimits{MaxInFlight: spec.MaxInFlight, RatePerSecond: spec.RatePerSecond},
		DisableOnGone: spec.DisableOnGone,
	}
}

// encodeSubscription never shows a secret; header values are masked for viewers, because
// they often carry one.
func encodeSubscription(caller engine.Caller, view engine.SubscriptionView) SubscriptionAnswer {
	topics := make([]string, len(view.Topics))
	for i, p := range view.Topics {
		topics[i] = string(p)
	}
	headers := make(map[string]string, len(view.Headers))
	for name, value := range view.Headers {
		if caller.Role == engine.RoleViewer {
			value = "***"
		}
		headers[name] = value
	}
	return SubscriptionAnswer{
		ID: view.ID,
		SubscriptionFields: SubscriptionFields{
			URL: view.URL, Topics: topics, Tenant: view.Tenant, Description: view.Description,
			Enabled: view.Enabled, Headers: headers,
			Retry: SubscriptionRetry{
				MaxRetries: view.Retry.MaxRetries, MinDelay: duration(view.Retry.MinDelay),
				MaxDelay: duration(view.Retry.MaxDelay),
			},
			Timeout: duration(view.Timeout), Success: view.Success,
			Limits:        SubscriptionLimits{MaxInFlight: view.MaxInFlight, RatePerSecond: view.RatePerSecond},
			DisableOnGone: view.DisableOnGone,
		},
		CreatedAt: instant(view.CreatedAt), UpdatedAt: instant(view.UpdatedAt), Version: view.Version,
		Owner: view.Owner, State: view.State, Pending: view.Pending,
		OldestPendingAt: instant(view.OldestPendingAt),
	}
}
