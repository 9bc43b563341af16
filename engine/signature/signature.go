package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

const (
	version = "v1,"
	// maxSignatures bounds the work a header from outside can cause.
	maxSignatures = 100
)

// strict takes one spelling of each signature: no other bits behind the last byte.
var strict = base64.StdEncoding.Strict()

// The errors of Verify.
var (
	ErrTimestamp = errors.New("timestamp is not Unix seconds")
	ErrTolerance = errors.New("timestamp is too far from now")
	ErrHeader    = errors.New("more signatures than are looked at")
	ErrMismatch  = errors.New("no signature matches")
)

// Sign is the value of webhook-signature: one v1 signature for each secret, separated by
// spaces, so that a receiver can rotate.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	header := make([]byte, 0, len(secrets)*(len(version)+1+base64.StdEncoding.EncodedLen(sha256.Size)))
	for i, s := range secrets {
		if i > 0 {
			header = append(header, ' ')
		}
		header = append(header, version...)
		header = base64.StdEncoding.AppendEncode(header, s.sum(id, timestamp, body))
	}
	return string(header)
}

func (s Secret) sum(id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	content := make([]byte, 0, len(id)+len(timestamp)+2)
	content = append(content, id...)
	content = append(content, '.')
	content = append(content, timestamp...)
	content = append(content, '.')
	mac.Write(content)
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify checks the headers webhook-id, webhook-timestamp and webhook-signature of a body.
// tolerance bounds the distance of the timestamp to now on both sides. It looks at every
// signature and secret, so its time does not tell which one matched. Signatures of other
// versions are passed over. Errors: ErrTimestamp, ErrTolerance, ErrHeader, ErrMismatch.
func Verify(id, timestamp, header string, body []byte, now time.Time, tolerance time.Duration, secrets ...Secret) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return ErrTimestamp
	}
	if distance := now.Unix() - seconds; distance > int64(tolerance/time.Second) || distance < -int64(tolerance/time.Second) {
		return ErrTolerance
	}
	signatures := strings.Fields(header)
	if len(signatures) > maxSignatures {
		return ErrHeader
	}
	matched := false
	for _, s := range secrets {
		want := s.sum(id, timestamp, body)
		for _, text := range signatures {
			encoded, known := strings.CutPrefix(text, version)
			got, err := strict.DecodeString(encoded)
			matched = (known && err == nil && hmac.Equal(got, want)) || matched
		}
	}
	if !matched {
		return ErrMismatch
	}
	return nil
}
