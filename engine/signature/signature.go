package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"
	"sync"
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
	var header []byte
	for _, s := range secrets {
		header = NewSigner(s).Append(header, id, at, body)
	}
	return string(header)
}

// Signer signs with one secret again and again: it keeps what the key alone decides. Safe
// for concurrent use.
type Signer struct{ macs sync.Pool }

// NewSigner makes a Signer.
func NewSigner(s Secret) *Signer {
	return &Signer{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, s.key) }}}
}

// Append adds a v1 signature to the value of webhook-signature.
func (s *Signer) Append(header []byte, id string, at time.Time, body []byte) []byte {
	var content [maxContentHead]byte
	head := append(content[:0], id...)
	head = append(head, '.')
	head = strconv.AppendInt(head, at.Unix(), 10)
	head = append(head, '.')
	var sum [sha256.Size]byte
	if len(header) > 0 {
		header = append(header, ' ')
	}
	header = append(header, version...)
	return base64.StdEncoding.AppendEncode(header, s.sum(sum[:0], head, body))
}

// maxContentHead is enough for ids and timestamps as they are; longer ones cost an
// allocation.
const maxContentHead = 96

func (s *Signer) sum(b, head, body []byte) []byte {
	mac := s.macs.Get().(hash.Hash) //nolint:forcetypeassert // the pool holds nothing else
	defer s.macs.Put(mac)
	mac.Reset()
	mac.Write(head)
	mac.Write(body)
	return mac.Sum(b)
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
		want := NewSigner(s).sum(nil, []byte(id+"."+timestamp+"."), body)
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
