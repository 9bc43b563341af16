package engine

import (
	"time"

	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
)

// SubscriptionID is "sub_" and 20 characters.
type SubscriptionID string

// Success says which statuses settle a delivery as delivered.
type Success string

// The two rules of success.
const (
	SuccessBelow400 Success = "below_400"
	Success2xx      Success = "2xx"
)

// Subscription is one version of a subscription. It is immutable: a change makes a new
// version. Matching uses the version in force at accept; an attempt uses the latest.
type Subscription struct {
	ID          SubscriptionID
	Tenant      string // never changes
	URL         string
	Topics      []match.Pattern
	Description string
	Enabled     bool
	// Secrets are those valid now, the newest first; the older ones end at Until.
	Secrets       []ValidSecret
	Headers       map[string]string
	Retry         retry.Schedule
	Timeout       time.Duration
	Success       Success
	MaxInFlight   int
	RatePerSecond float64 // 0: no limit
	DisableOnGone bool

	CreatedAt time.Time
	UpdatedAt time.Time
	// Version counts the changes of this subscription, from 1.
	Version int
	// Revision is the revision of the whole table that this version made.
	Revision uint64
	// Deleted marks the last version: it matches nothing.
	Deleted bool
}

// ValidSecret is a signing secret and the moment it stops being valid (zero: no end).
type ValidSecret struct {
	Secret signature.Secret
	Until  time.Time
}

// ValidAt tells whether the secret signs at now.
func (v ValidSecret) ValidAt(now time.Time) bool { return v.Until.IsZero() || now.Before(v.Until) }

// SecretsAt gives the secrets valid at now, the newest first.
func (s *Subscription) SecretsAt(now time.Time) []signature.Secret {
	secrets := make([]signature.Secret, 0, len(s.Secrets))
	for _, v := range s.Secrets {
		if v.ValidAt(now) {
			secrets = append(secrets, v.Secret)
		}
	}
	return secrets
}

// Matches tells whether this version is for events of topic and tenant.
func (s *Subscription) Matches(topic, tenant string) bool {
	if s.Deleted || !s.Enabled || (tenant != "" && tenant != s.Tenant) {
		return false
	}
	for _, p := range s.Topics {
		if p.Matches(topic) {
			return true
		}
	}
	return false
}

// Health is what an operator sees first of a subscription.
type Health string

// The states of a subscription.
const (
	HealthHealthy  Health = "healthy"
	HealthRetrying Health = "retrying"
	HealthOpen     Health = "open"
	HealthDisabled Health = "disabled"
)
