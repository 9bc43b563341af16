package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"pannier/engine/signature"
)

const (
	// maxReceivedBytes bounds the body of one request to a local receiver.
	maxReceivedBytes = 1 << 20
	// maxReceivedHeaderBytes bounds its header.
	maxReceivedHeaderBytes = 64 << 10
	// signatureTolerance is how far webhook-timestamp may be from now (Standard Webhooks).
	signatureTolerance = 5 * time.Minute
	// closeTimeout bounds the wait for requests under way at the end.
	closeTimeout = 2 * time.Second
)

// listenCommand runs a local receiver.
type listenCommand struct {
	Listen string        `default:":9000" placeholder:"HOST:PORT" help:"Receive on this address (${default})."`
	Secret string        `env:"PANNIER_SECRET" placeholder:"whsec_…" help:"Verify signatures with this secret."`
	Fail   int           `placeholder:"STATUS" help:"Answer every request with this status, as 500."`
	Delay  time.Duration `placeholder:"DURATION" help:"Answer this late."`
	Body   bool          `help:"Print bodies too."`
}

// Run receives until ctx ends.
func (l *listenCommand) Run(ctx context.Context, c console) error {
	receiver, err := l.receiver(c)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	c.note(fmt.Sprintf("receiving on %s, ctrl-c ends it", reachable("http", listener.Addr())))
	return serveUntil(ctx, listener, receiver)
}

// reachable is the URL of a listener, from this machine where it is on every address.
func reachable(scheme string, listening net.Addr) string {
	at, err := netip.ParseAddrPort(listening.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return scheme + "://" + listening.String()
	}
	return fmt.Sprintf("%s://localhost:%d", scheme, at.Port())
}

func (l *listenCommand) receiver(c console) (*receiver, error) {
	if l.Fail != 0 && (l.Fail < 200 || l.Fail > 599) {
		return nil, usagef("--fail: must be a status between 200 and 599, got %d", l.Fail)
	}
	if l.Delay < 0 {
		return nil, usagef("--delay: must not be negative")
	}
	r := &receiver{console: c, status: l.Fail, delay: l.Delay, body: l.Body, now: time.Now}
	if l.Secret != "" {
		secret, err := signature.ParseSecret(l.Secret)
		if err != nil {
			return nil, usageError{fmt.Errorf("--secret: %w", err)}
		}
		r.secrets = []signature.Secret{secret}
	}
	return r, nil
}

// serveUntil serves handler on listener until ctx ends, then lets the requests under way
// end within closeTimeout.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxReceivedHeaderBytes,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("receive: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-ended //nolint:errcheck // http.ErrServerClosed
	return err
}

// receiver prints a line for each request, and answers it. Safe for concurrent use.
type receiver struct {
	secrets []signature.Secret // none: nothing is verified
	status  int                // 0: 200, or 401 for a wrong signature
	delay   time.Duration
	body    bool
	now     func() time.Time

	mu      sync.Mutex // keeps the lines of two requests apart
	console console
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	at := r.now()
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxReceivedBytes))
	if err != nil {
		r.print(at, request, fmt.Sprintf("refused: no body of at most %d bytes", maxReceivedBytes), nil)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	verdict, genuine := r.verify(request, body, at)
	r.print(at, request, fmt.Sprintf("%s  %d B", verdict, len(body)), body)
	if !pause(request.Context(), r.delay) {
		return
	}
	switch {
	case r.status != 0:
		w.WriteHeader(r.status)
	case !genuine:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func (r *receiver) verify(request *http.Request, body []byte, at time.Time) (verdict string, genuine bool) {
	if len(r.secrets) == 0 {
		return "unverified", true
	}
	header := request.Header
	err := signature.Verify(
		header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature"),
		body, at, signatureTolerance, r.secrets...,
	)
	if err != nil {
		return "verified ✗ (" + err.Error() + ")", false
	}
	return "verified ✓", true
}

func (r *receiver) print(at time.Time, request *http.Request, rest string, body []byte) {
	header := request.Header
	line := fmt.Sprintf(
		"%s  attempt %s  %s  %s  %s", at.Format("15:04:05.000"), text(header.Get("webhook-attempt")),
		text(header.Get("webhook-topic")), text(header.Get("webhook-id")), rest,
	)
	line = printable(line) + "\n"
	if r.body && len(body) > 0 {
		line += "  " + printable(strings.TrimSpace(string(body))) + "\n"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.console.print(line)
}

// pause waits for delay; it is false when ctx ended first.
func pause(ctx context.Context, delay time.Duration) bool {
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
