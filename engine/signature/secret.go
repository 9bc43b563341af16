// Package signature signs and verifies deliveries after Standard Webhooks 1.0.0
// (https://www.standardwebhooks.com): HMAC-SHA256 over "id.timestamp.body". Pure: the clock
// comes in.
package signature

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	secretPrefix   = "whsec_"
	redacted       = "whsec_***"
	minSecretBytes = 24
	maxSecretBytes = 64
	newSecretBytes = 32
)

// ErrSecret is the error of every text that is not a secret; it never repeats the text.
var ErrSecret = errors.New("must be whsec_ and the base64 of 24 to 64 bytes")

// Secret is a signing secret. Printing it in any way shows "whsec_***"; Reveal does not.
type Secret struct{ key []byte }

// NewSecret draws a secret of 32 random bytes.
func NewSecret() Secret {
	key := make([]byte, newSecretBytes)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return Secret{key}
}

// ParseSecret reads "whsec_" + padded base64 of 24 to 64 bytes. Errors: ErrSecret.
func ParseSecret(text string) (Secret, error) {
	encoded, found := strings.CutPrefix(text, secretPrefix)
	// The decoder itself passes over line breaks.
	if !found || strings.ContainsAny(encoded, "\r\n") || len(encoded) > base64.StdEncoding.EncodedLen(maxSecretBytes) {
		return Secret{}, ErrSecret
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return Secret{}, ErrSecret
	}
	return Secret{key}, nil
}

// Reveal is the secret's text. Only the API (once) and the state call it.
func (s Secret) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key) }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool { return subtle.ConstantTimeCompare(s.key, other.key) == 1 }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: no verb shows the secret.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

// MarshalText implements encoding.TextMarshaler, and so covers JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
