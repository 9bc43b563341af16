package signature_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pannier/engine/signature"
)

var now = time.Unix(1_778_571_680, 0)

// The independent library verifies what we sign, and we verify what it signs.
func TestAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	secret, body := signature.NewSecret(), []byte(`{"id":"evt_1","data":{}}`)
	theirs, err := standard.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	headers := http.Header{}
	headers.Set("webhook-id", "evt_1")
	headers.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	headers.Set("webhook-signature", signature.Sign("evt_1", at, body, signature.NewSecret(), secret))
	if err := theirs.Verify(body, headers); err != nil {
		t.Errorf("their library refuses our signature: %v", err)
	}
	signed, err := theirs.Sign("evt_1", at, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := signature.Verify("evt_1", strconv.FormatInt(at.Unix(), 10), signed, body, at, time.Minute, secret); err != nil {
		t.Errorf("we refuse their signature: %v", err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	secret, body := signature.NewSecret(), []byte("body")
	good := signature.Sign("evt_1", now, body, secret)
	stamp := strconv.FormatInt(now.Unix(), 10)
	tests := []struct {
		name, id, timestamp, header string
		body                        string
		at                          time.Time
		want                        error
	}{
		{"good", "evt_1", stamp, good, "body", now, nil},
		{"several, one right", "evt_1", stamp, "v1,AAAA v2,x " + good, "body", now, nil},
		{"at the tolerance", "evt_1", stamp, good, "body", now.Add(5 * time.Minute), nil},
		{"past the tolerance", "evt_1", stamp, good, "body", now.Add(5*time.Minute + time.Second), signature.ErrTolerance},
		{"too far in the future", "evt_1", stamp, good, "body", now.Add(-5*time.Minute - time.Second), signature.ErrTolerance},
		{"wrong id", "evt_2", stamp, good, "body", now, signature.ErrMismatch},
		{"one byte off", "evt_1", stamp, good, "bodz", now, signature.ErrMismatch},
		{"empty body", "evt_1", stamp, good, "", now, signature.ErrMismatch},
		{"another timestamp", "evt_1", strconv.FormatInt(now.Unix()+1, 10), good, "body", now, signature.ErrMismatch},
		{"timestamp in words", "evt_1", "now", good, "body", now, signature.ErrTimestamp},
		{"unknown version", "evt_1", stamp, strings.Replace(good, "v1,", "v9,", 1), "body", now, signature.ErrMismatch},
		{"other bits behind the last byte", "evt_1", stamp, spelledDifferently(good), "body", now, signature.ErrMismatch},
		{"bad base64", "evt_1", stamp, "v1,%%%", "body", now, signature.ErrMismatch},
		{"100 signatures", "evt_1", stamp, strings.Repeat("v1,AAAA ", 99) + good, "body", now, nil},
		{"101 signatures", "evt_1", stamp, strings.Repeat("v1,AAAA ", 100) + good, "body", now, signature.ErrHeader},
		{"empty header", "evt_1", stamp, "", "body", now, signature.ErrMismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := signature.Verify(tt.id, tt.timestamp, tt.header, []byte(tt.body), tt.at, 5*time.Minute, secret)
			if !errors.Is(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if err := signature.Verify("evt_1", stamp, good, body, now, time.Minute, signature.NewSecret()); !errors.Is(err, signature.ErrMismatch) {
		t.Errorf("another secret: got %v, want %v", err, signature.ErrMismatch)
	}
}

// spelledDifferently changes bits of the last letter that base64 does not need.
func spelledDifferently(signature string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(signature) - 2
	return signature[:last] + string(letters[strings.IndexByte(letters, signature[last])+1]) + "="
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"24 bytes", encode(24), true},
		{"64 bytes", encode(64), true},
		{"23 bytes", encode(23), false},
		{"65 bytes", encode(65), false},
		{"no prefix", strings.TrimPrefix(encode(32), "whsec_"), false},
		{"no padding", strings.TrimRight(encode(32), "="), false},
		{"white space", encode(32) + "\n", false},
		{"URL alphabet", "whsec_" + base64.URLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 24))), false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			secret, err := signature.ParseSecret(tt.text)
			if (err == nil) != tt.ok {
				t.Fatalf("err = %v, want ok %v", err, tt.ok)
			}
			if tt.ok && secret.Reveal() != tt.text {
				t.Error("Reveal does not give the text back")
			}
		})
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	secret := signature.NewSecret()
	raw := strings.TrimPrefix(secret.Reveal(), "whsec_")
	encoded, err := json.Marshal(map[string]any{"secret": secret})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("secret", "secret", secret)
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q %x %d", secret, secret, secret, secret, secret, secret, secret), string(encoded), log.String(),
	} {
		if strings.Contains(text, raw) || !strings.Contains(text, "whsec_***") {
			t.Errorf("printed as %s", text)
		}
	}
	if !secret.Equal(secret) || secret.Equal(signature.NewSecret()) {
		t.Error("Equal is wrong")
	}
}

func FuzzSignatureHeader(f *testing.F) {
	// The same secret in every process, or what one of them found would mean nothing to another.
	secret, err := signature.ParseSecret("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
	if err != nil {
		f.Fatal(err)
	}
	good := signature.Sign("evt_1", now, []byte("body"), secret)
	f.Add(good)
	f.Add("v1,AAAA v2," + good)
	f.Add("v1,AAAA\tv2, " + good + "\n")
	f.Add(good[:len(good)-2] + "5=")
	f.Add(strings.Repeat("v1,AAAA ", 101))
	f.Fuzz(func(t *testing.T, header string) {
		err := signature.Verify("evt_1", strconv.FormatInt(now.Unix(), 10), header, []byte("body"), now, time.Minute, secret)
		there := slices.Contains(strings.Fields(header), good) && len(strings.Fields(header)) <= 100
		if (err == nil) != there {
			t.Errorf("%q: %v, the signature is there: %v", header, err, there)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	secret, body := signature.NewSecret(), make([]byte, 600)
	b.ReportAllocs()
	for b.Loop() {
		signature.Sign("evt_1", now, body, secret)
	}
}
