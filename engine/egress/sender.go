package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
	"pannier/engine/egress/http1"
)

// The bounds of the connections and of what is read from them.
const (
	// MaxIdleConns bounds the idle connections of the process, and their descriptors.
	MaxIdleConns = 8192
	// MaxIdleConnsPerHost is as large as a subscription's window can be: below it a burst
	// would close the connections that the next one needs.
	MaxIdleConnsPerHost = engine.MaxInFlight
	// MaxResponseHeaderBytes bounds the headers of a response, the 1xx ones before it included.
	MaxResponseHeaderBytes = 32 << 10

	idleConnTimeout = 90 * time.Second
	tcpKeepAlive    = 30 * time.Second
	// A silent HTTP/2 connection is probed, or a dead one would take every attempt of its
	// endpoint into the timeout.
	pingAfter      = 15 * time.Second
	pingTimeout    = 10 * time.Second
	tlsSessions    = 1024
	maxTargets     = 8192
	tracerName     = "pannier/engine/egress"
	minTLSVersion  = tls.VersionTLS12
	userAgentToken = "Pannier/"
)

// SenderOptions is what a Sender is built from.
type SenderOptions struct {
	// Guard is required.
	Guard *Guard
	// Version is that of the program, for user-agent.
	Version string
	// Roots are the certificate authorities endpoints are checked with (NewRoots); nil:
	// those of the system.
	Roots *x509.CertPool
	// Resolver resolves endpoint names; nil: Go's own, never the C library's, which reads
	// "0x7f000001" as an address.
	Resolver *net.Resolver
	// Clock dates the signatures; nil: time.Now.
	Clock engine.Clock
	// TracerProvider makes the spans `attempt`; nil: the global one.
	TracerProvider trace.TracerProvider
}

// Sender makes attempts. It implements engine.Sender and is safe for concurrent use.
type Sender struct {
	transport *http.Transport // for HTTP/2, and to find out which version an endpoint speaks
	http1     *http1.Client
	targets   *targets
	clock     engine.Clock
	tracer    trace.Tracer
}

var _ engine.Sender = (*Sender)(nil)

// NewSender builds a Sender with its own connections.
func NewSender(options SenderOptions) *Sender {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Resolver == nil {
		options.Resolver = &net.Resolver{PreferGo: true}
	}
	if options.TracerProvider == nil {
		options.TracerProvider = otel.GetTracerProvider()
	}
	transport := newTransport(options)
	return &Sender{
		transport: transport,
		http1: http1.New(http1.Options{
			Dial: transport.DialContext, TLS: transport.TLSClientConfig, MaxIdle: MaxIdleConns,
			MaxIdlePerServer: MaxIdleConnsPerHost, IdleTimeout: idleConnTimeout,
			MaxHeaderBytes: MaxResponseHeaderBytes, MaxBody: drainBytes, BodyPatience: bodyPatience,
		}),
		targets: newTargets(options.Guard, userAgentToken+options.Version),
		clock:   options.Clock,
		tracer:  options.TracerProvider.Tracer(tracerName, trace.WithInstrumentationVersion(options.Version)),
	}
}

// NewRoots gives the system's certificate authorities and those in extra (PEM).
func NewRoots(extra []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read system certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(extra) {
		return nil, errors.New("read extra certificates: no certificate found")
	}
	return pool, nil
}

// CloseIdle closes the connections that carry no request.
func (s *Sender) CloseIdle() {
	s.transport.CloseIdleConnections()
	s.http1.CloseIdle()
}

// Close is CloseIdle: the requests in flight end with the context given to Send.
func (s *Sender) Close() { s.CloseIdle() }

// newTransport has no timeouts of its own for the parts of a request: a subscription's
// timeout covers them all. Those it has are for what outlives the request that began it.
func newTransport(options SenderOptions) *http.Transport {
	dialer := &net.Dialer{
		Timeout:        engine.MaxTimeout,
		KeepAlive:      tcpKeepAlive,
		Resolver:       options.Resolver,
		ControlContext: options.Guard.Control,
	}
	return &http.Transport{
		Proxy:       nil, // HTTP_PROXY and the like would hide the address from the guard
		DialContext: dialer.DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion:         minTLSVersion,
			RootCAs:            options.Roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
		},
		TLSHandshakeTimeout:    engine.MaxTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true, // a compressed excerpt may stay one; a bomb must
		MaxIdleConns:           MaxIdleConns,
		MaxIdleConnsPerHost:    MaxIdleConnsPerHost,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: MaxResponseHeaderBytes,
	}
}
