// Package receiver is the endpoint of one subscription on loopback: it checks the
// signature of what arrives with a library that is not ours, writes it down in a receipt,
// and can be down.
package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pannier/bench/load/tally"
)

const (
	// maxBodyBytes bounds a delivery: the largest event and its envelope.
	maxBodyBytes = 1 << 20
	// headerTimeout bounds how long a request's header may take.
	headerTimeout = 10 * time.Second
)

// Receiver takes deliveries. Safe for concurrent use.
type Receiver struct {
	URL     string
	Receipt *tally.Receipt

	secret  atomic.Pointer[standardwebhooks.Webhook]
	gate    *gate
	server  *http.Server
	buffers sync.Pool
	done    sync.WaitGroup
}

// Start listens on a free port of loopback.
func Start(ctx context.Context, receipt *tally.Receipt) (*Receiver, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a receiver: %w", err)
	}
	r := &Receiver{URL: "http://" + listener.Addr().String() + "/hook", Receipt: receipt}
	r.gate = &gate{TCPListener: listener.(*net.TCPListener), open: make(map[*connection]bool)} //nolint:forcetypeassert // network tcp
	r.buffers.New = func() any { return new(bytes.Buffer) }
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: headerTimeout}
	r.done.Go(func() { _ = r.server.Serve(r.gate) }) // ends by Close only
	return r, nil
}

// Expect tells the secret of the subscription. Before that every signature is wrong.
func (r *Receiver) Expect(secret string) error {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("the secret of the subscription: %w", err)
	}
	r.secret.Store(verifier)
	return nil
}

// SetDown takes the receiver down or brings it back.
func (r *Receiver) SetDown(down bool) { r.gate.set(down) }

// Close stops the receiver at once.
func (r *Receiver) Close() error {
	err := r.server.Close()
	r.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// ServeHTTP takes one delivery.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	now := time.Now()
	buffer := r.buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	defer r.buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(io.LimitReader(request.Body, maxBodyBytes)); err != nil {
		return // cut off while it was sent: it has not arrived
	}
	r.take(request.Header, buffer.Bytes(), now)
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) take(header http.Header, body []byte, now time.Time) {
	id, topic := header.Get("Webhook-Id"), header.Get("Webhook-Topic")
	if secret := r.secret.Load(); secret == nil || secret.Verify(body, header) != nil {
		r.Receipt.Odd(tally.Unsigned)
	}
	data, ok := dataOf(body, id, topic)
	if !ok {
		r.Receipt.Odd(tally.Malformed)
		return
	}
	r.Receipt.Arrived(topic, id, data, now)
}

// dataOf gives the data of a delivery whose envelope says the same as its headers.
func dataOf(body []byte, id, topic string) ([]byte, bool) {
	// The usual order of members is read without a decoder, which would cost the machine
	// under test more than the rest of the receiver; the receipt checks the data.
	if rest, found := bytes.CutPrefix(body, []byte(`{"id":"`+id+`","topic":"`+topic+`","timestamp":"`)); found {
		_, data, found := bytes.Cut(rest, []byte(`","data":`))
		if end := bytes.LastIndexByte(data, '}'); found && end > 0 {
			return data[:end], true
		}
	}
	var envelope struct {
		ID    string          `json:"id"`
		Topic string          `json:"topic"`
		Data  json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.ID != id || envelope.Topic != topic {
		return nil, false
	}
	return envelope.Data, len(envelope.Data) > 0
}
