package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestWhatAReceiverGets verifies requests with the library of Standard Webhooks, which
// shares no code with the signer, and finds the data as it was posted, byte for byte.
func TestWhatAReceiverGets(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	receiver := newTestReceiver(t, nil)
	subscription, secret := s.subscribe(receiver.URL, subscriptionBody{Headers: map[string]string{"X-City": "nantes"}}, "trip.created")
	posted := map[string]string{
		"whitespace":  "{ \"a\" :\t1,\n\n  \"b\":[ ] , \"c\":{  }}",
		"escapes":     `{"\u00e9":"\u00E9\u2028\ud83d\ude80","slash":"\/","html":"<b>&amp;</b>"}`,
		"characters":  "{\"é\":\"\u2028🚲\u007f\"}",
		"big-numbers": `[12345678901234567890123456789,1e400,-0,1.10,4.60E+02,0.1e-7]`,
		"order":       `{"z":1,"a":{"y":2,"b":3}}`,
		"null":        `null`,
		"text":        `"\"}{\""`,
		"long":        `"` + string(bytes.Repeat([]byte("x"), 100_000)) + `"`,
	}
	for id, data := range posted {
		body, err := eventBody{ID: id, Topic: "trip.created", data: []byte(data)}.encode()
		if err != nil {
			t.Fatal(err)
		}
		s.call(call{method: http.MethodPost, path: pathOf("events"), body: body}, nil)
	}
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range receiver.await(len(posted)) {
		id := request.header.Get("webhook-id")
		if err := webhook.Verify(request.body, request.header); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		var event struct {
			ID, Topic, Timestamp string
			Data                 json.RawMessage
		}
		if err := json.Unmarshal(request.body, &event); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if event.ID != id || event.Topic != "trip.created" || event.Timestamp == "" {
			t.Errorf("%s: the envelope is %+v", id, event)
		}
		if string(event.Data) != posted[id] {
			t.Errorf("%s: the data is %.200s, want %.200s", id, event.Data, posted[id])
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "Pannier/" + version(), "Webhook-Topic": "trip.created",
			"Webhook-Attempt": "1", "Webhook-Subscription": subscription, "X-City": "nantes",
		} {
			if got := request.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", id, name, got, want)
			}
		}
	}
}

// TestSignaturesDuringARotation are two, until the grace is over.
func TestSignaturesDuringARotation(t *testing.T) {
	t.Parallel()
	s := startTestServer(t, nil)
	receiver := newTestReceiver(t, nil)
	subscription, before := s.subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	rotate := func(grace string) string {
		var rotated struct{ Secret string }
		s.call(call{
			method: http.MethodPost, path: pathOf("subscriptions", subscription, "secret", "rotate"), body: []byte(`{"grace":"` + grace + `"}`),
		}, &rotated)
		return rotated.Secret
	}
	after := rotate("1h")
	s.send("trip.created", "{}")
	last := rotate("0h")
	s.restart()
	s.send("trip.created", "{}")
	requests := receiver.await(2)
	tests := []struct {
		name    string
		request testRequest
		valid   []string
		invalid []string
	}{
		{"during the grace", requests[0], []string{before, after}, []string{last}},
		{"after a rotation without grace", requests[1], []string{last}, []string{after}},
	}
	for _, tt := range tests {
		for _, secret := range slices.Concat(tt.valid, tt.invalid) {
			webhook, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			err = webhook.Verify(tt.request.body, tt.request.header)
			if valid := slices.Contains(tt.valid, secret); (err == nil) != valid {
				t.Errorf("%s: verified with error %v, want it valid: %v", tt.name, err, valid)
			}
		}
	}
}
