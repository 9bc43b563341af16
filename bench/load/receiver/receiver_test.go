package receiver_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pannier/bench/load/receiver"
	"pannier/bench/load/tally"
	"pannier/engine/signature"
)

// bench is a receiver and a book with 10 events.
type bench struct {
	book     *tally.Book
	receiver *receiver.Receiver
	secret   signature.Secret
	client   *http.Client
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{secret: signature.NewSecret(), client: &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}}
	b.book = tally.NewBook(1, time.Now(), []tally.Topic{{Name: "a", Member: "id"}})
	for n := range uint64(10) {
		b.book.Plan("a", n, data(n), time.Now())
		b.book.Accept("a", n, fmt.Sprint("evt_", n))
	}
	var err error
	b.receiver, err = receiver.Start(t.Context(), tally.NewReceipt("city", b.book, func(string) bool { return true }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.client.CloseIdleConnections()
		if err := b.receiver.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.receiver.Expect(b.secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	return b
}

func data(n uint64) []byte { return fmt.Appendf(nil, `{"id":"%s"}`, tally.Mark{Run: 1, Number: n}) }

// send posts a delivery with a signature by a secret.
func (b *bench) send(t *testing.T, id, body string, secret signature.Secret) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.receiver.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Topic", "a")
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	request.Header.Set("Webhook-Signature", signature.Sign(id, now, []byte(body), secret))
	response, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("status %d", response.StatusCode)
	}
	return nil
}

func envelope(n uint64) string {
	return fmt.Sprintf(`{"id":"evt_%d","topic":"a","timestamp":"2026-01-01T00:00:00Z","data":%s}`, n, data(n))
}

func (b *bench) mismatches() []string {
	return tally.Compare(b.book, []tally.Evidence{{Receipt: b.receiver.Receipt, Undelivered: tally.NewFeed(b.book)}}).Mismatches
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body, want string
		other            bool // signed by another secret
		unique           int64
	}{
		{name: "OK", body: envelope(3), unique: 1},
		{name: "OtherOrderOfMembers", body: `{"data":` + string(data(3)) + `, "topic":"a","id":"evt_3"}`, unique: 1},
		{name: "ErrSignature", body: envelope(3), other: true, want: "with a wrong signature", unique: 1},
		{name: "ErrOtherID", body: envelope(4), want: "arrived malformed"},
		{name: "ErrNoData", body: `{"id":"evt_3","topic":"a"}`, want: "arrived malformed"},
		{name: "ErrNotJSON", body: `data`, want: "arrived malformed"},
		{name: "ErrDataAltered", body: strings.Replace(envelope(3), `"}}`, `" }}`, 1), want: "arrived altered", unique: 1},
		{name: "ErrExtraMember", body: strings.Replace(envelope(3), `"}}`, `"},"more":1}`, 1), want: "arrived altered", unique: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			secret := b.secret
			if test.other {
				secret = signature.NewSecret()
			}
			if err := b.send(t, "evt_3", test.body, secret); err != nil {
				t.Fatal(err)
			}
			if got := b.receiver.Receipt.Unique(); got != test.unique {
				t.Errorf("%d arrived, want %d", got, test.unique)
			}
			got := strings.Join(b.mismatches(), "\n")
			if test.want != "" && !strings.Contains(got, test.want) {
				t.Errorf("got %q, want one with %q", got, test.want)
			}
			if test.want == "" && strings.Count(got, "\n")+1 != 1 { // the other nine are lost
				t.Errorf("got %q", got)
			}
		})
	}
}

// A receiver that is down cuts off the connections there are and new ones, and comes back
// at the same address.
func TestReceiverDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.send(t, "evt_1", envelope(1), b.secret); err != nil {
		t.Fatal(err)
	}
	b.receiver.SetDown(true)
	for range 2 {
		if err := b.send(t, "evt_2", envelope(2), b.secret); err == nil {
			t.Fatal("a receiver that is down answers")
		}
	}
	b.receiver.SetDown(false)
	if err := b.send(t, "evt_2", envelope(2), b.secret); err != nil {
		t.Fatal(err)
	}
	if got := b.receiver.Receipt.Unique(); got != 2 {
		t.Errorf("%d arrived, want 2", got)
	}
}

func TestExpectErrSecret(t *testing.T) {
	t.Parallel()
	if err := newBench(t).receiver.Expect("whsec_x"); err == nil {
		t.Error("a broken secret is taken")
	}
}
