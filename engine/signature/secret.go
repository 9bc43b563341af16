// Package signature signs and verifies deliveries after Standard Webhooks 1.0.0. Pure.
package signature

import "time"

// Secret is a signing secret. Printing it in any way shows "whsec_***".
type Secret struct{ key []byte }

// NewSecret draws a secret of 32 random bytes.
func NewSecret() Secret { panic("skeleton") }

// ParseSecret reads "whsec_" + base64 of 24 to 64 bytes.
func ParseSecret(text string) (Secret, error) { panic("skeleton") }

// Reveal is the secret's text. Only the API (once) and the state call it.
func (s Secret) Reveal() string { panic("skeleton") }

// Sign is the value of webhook-signature: one v1 signature for each secret.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) string { panic("skeleton") }

// Verify checks a webhook-signature; tolerance bounds the distance of timestamp (Unix
// seconds) to now on both sides.
func Verify(id, timestamp, header string, body []byte, now time.Time, tolerance time.Duration, secrets ...Secret) error {
	panic("skeleton")
}
