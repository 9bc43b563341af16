package engine

import (
	"math"
	"strings"
	"unicode/utf8"

	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
)

// DefaultTenant is the tenant of what names none.
const DefaultTenant = "default"

// build checks a spec and makes the version it describes, without id, times and secrets. It
// gathers every wrong field. Errors: invalid.
func (e *Engine) build(spec SubscriptionSpec) (*Subscription, error) {
	c := &specCheck{}
	c.add(e.endpoints.CheckURL(spec.URL))
	c.add(e.endpoints.CheckHeaders(spec.Headers))
	c.add(checkTenant(spec.Tenant))
	topics := c.topics(spec.Topics)
	c.that(len(spec.Description) <= MaxDescriptionBytes && utf8.ValidString(spec.Description),
		"/description", "must be text of at most %d bytes", MaxDescriptionBytes)
	c.that(spec.MaxRetries >= 0 && spec.MaxRetries <= MaxRetries, "/retry/max_retries", "must be 0 to %d", MaxRetries)
	c.that(spec.MinDelay >= MinRetryDelay && spec.MinDelay <= MaxRetryDelay, "/retry/min_delay", "must be 1s to 24h")
	c.that(spec.MaxDelay >= MinRetryDelay && spec.MaxDelay <= MaxRetryDelay, "/retry/max_delay", "must be 1s to 24h")
	c.that(spec.MinDelay <= spec.MaxDelay, "/retry/max_delay", "must not be below min_delay")
	c.that(spec.Timeout >= MinTimeout && spec.Timeout <= MaxTimeout, "/timeout", "must be 1s to 30s")
	c.that(spec.Success == SuccessBelow400 || spec.Success == Success2xx, "/success", "must be below_400 or 2xx")
	c.that(spec.MaxInFlight >= 1 && spec.MaxInFlight <= MaxInFlight, "/limits/max_in_flight", "must be 1 to %d", MaxInFlight)
	rate := spec.RatePerSecond
	c.that(rate == 0 || (rate >= MinRate && rate <= MaxRate && !math.IsNaN(rate)),
		"/limits/rate_per_second", "must be 0 (no limit) or 0.1 to 100000")
	if c.err != nil {
		return nil, c.err
	}
	return &Subscription{
		Tenant: spec.Tenant, URL: spec.URL, Topics: topics, Description: spec.Description, Enabled: spec.Enabled,
		Headers: spec.Headers, Timeout: spec.Timeout, Success: spec.Success, MaxInFlight: spec.MaxInFlight,
		Retry:         retry.Schedule{MaxRetries: spec.MaxRetries, MinDelay: spec.MinDelay, MaxDelay: spec.MaxDelay},
		RatePerSecond: rate, DisableOnGone: spec.DisableOnGone,
	}, nil
}

// parseSecret reads a user's secret, or draws one.
func parseSecret(text string) (signature.Secret, error) {
	if text == "" {
		return signature.NewSecret(), nil
	}
	secret, err := signature.ParseSecret(text)
	if err != nil {
		return signature.Secret{}, Invalid("/secret", "must be whsec_ and the base64 of %d to %d bytes", MinSecretBytes, MaxSecretBytes)
	}
	return secret, nil
}

// specOf is the inverse of build.
func specOf(s *Subscription) SubscriptionSpec {
	topics := make([]string, len(s.Topics))
	for i, p := range s.Topics {
		topics[i] = string(p)
	}
	return SubscriptionSpec{
		URL: s.URL, Topics: topics, Tenant: s.Tenant, Description: s.Description, Enabled: s.Enabled,
		Headers: s.Headers, MaxRetries: s.Retry.MaxRetries, MinDelay: s.Retry.MinDelay, MaxDelay: s.Retry.MaxDelay,
		Timeout: s.Timeout, Success: s.Success, MaxInFlight: s.MaxInFlight, RatePerSecond: s.RatePerSecond,
		DisableOnGone: s.DisableOnGone,
	}
}

// specCheck gathers the wrong fields of a spec.
type specCheck struct{ err *Error }

func (c *specCheck) that(ok bool, pointer, format string, args ...any) {
	if !ok {
		c.add(Invalid(pointer, format, args...))
	}
}

func (c *specCheck) add(err error) {
	if err == nil {
		return
	}
	wrong, ok := err.(*Error) //nolint:errorlint // the checks return *Error unwrapped
	if !ok {
		wrong = Invalid("", "%s", err.Error())
	}
	if c.err == nil {
		c.err = &Error{Code: CodeInvalid, Message: wrong.Message}
	}
	c.err.Fields = append(c.err.Fields, wrong.Fields...)
}

func (c *specCheck) topics(texts []string) []match.Pattern {
	c.that(len(texts) > 0, "/topics", "must name at least one topic")
	c.that(len(texts) <= MaxTopicsPerSubscription, "/topics", "must name at most %d topics", MaxTopicsPerSubscription)
	patterns := make([]match.Pattern, 0, len(texts))
	for i, text := range texts {
		p, err := match.ParsePattern(text)
		if err != nil {
			c.add(Invalid("/topics/"+itoa(i), "%s", err.Error()))
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// checkTenant accepts "", which means all tenants where that is allowed.
func checkTenant(tenant string) error {
	if len(tenant) > MaxTenantBytes || strings.ContainsFunc(tenant, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) {
		return Invalid("/tenant", "must have at most %d letters, digits, dashes or underscores", MaxTenantBytes)
	}
	return nil
}
