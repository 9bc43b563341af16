package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"pannier/engine/api"
	"pannier/engine/egress"
	"pannier/engine/telemetry"
)

// stopTimeout is how long a graceful stop may take, requests and attempts included.
const stopTimeout = 20 * time.Second

// requestsTimeout is the part of it that the requests under way have to end.
const requestsTimeout = 2 * time.Second

// runServe serves until ctx ends, then stops gracefully.
func runServe(ctx context.Context, cfg Config, logs io.Writer) error {
	s, err := startServer(ctx, cfg, logs)
	if err != nil {
		return err
	}
	go limitMemory(ctx)
	select {
	case <-ctx.Done():
		s.logger.Info("pannier is stopping", "within", stopTimeout.String())
	case err = <-s.failed:
	}
	// ctx has ended already: the stop has its own time.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, s.Close(stop))
}

// server is a member with its API.
type server struct {
	member    *member
	telemetry *telemetry.Telemetry
	logger    *slog.Logger
	listeners []net.Listener
	servers   []*http.Server // none until it was ready
	url       string
	failed    chan error
}

// URL is where the API answers.
func (s *server) URL() string { return s.url }

// startServer opens the data folder, recovers, and serves. The context bounds the start
// only.
func startServer(ctx context.Context, cfg Config, logs io.Writer) (*server, error) {
	logger := telemetry.NewLogger(logs, cfg.LogLevel, telemetry.Format(cfg.LogFormat))
	s := &server{logger: logger, failed: make(chan error, 2)}
	tlsConfig, err := loadTLS(cfg)
	if err != nil {
		return nil, err
	}
	// The ports are taken first: a second process fails before it touches anything.
	if err := s.listen(ctx, cfg, tlsConfig != nil); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	s.telemetry, err = telemetry.Start(ctx, telemetry.Options{ServiceVersion: version(), Logger: logger})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start telemetry: %w", err), s.Close(ctx))
	}
	s.member, err = openMember(ctx, cfg, memberOptions{
		logger: logger, telemetry: s.telemetry, own: s.ownAddresses, address: s.listeners[0].Addr().String(),
	})
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	s.serve(cfg, tlsConfig)
	go debug.FreeOSMemory() // loading a million subscriptions takes half as much again as keeping them
	logger.Info("pannier is ready", "url", s.url, "docs", s.url+"/docs", "data", cfg.Data, "development_mode", s.member.engine.DevelopmentMode())
	return s, nil
}

func loadTLS(cfg Config) (*tls.Config, error) {
	if cfg.TLSCert == "" {
		return nil, nil //nolint:nilnil // no TLS was asked for
	}
	certificate, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

func (s *server) listen(ctx context.Context, cfg Config, secure bool) error {
	for n, name := range []string{"--listen", "--ops-listen"} {
		address := []string{cfg.Listen, cfg.OpsListen}[n]
		if address == "" {
			continue
		}
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.listeners = append(s.listeners, api.LimitListener(listener))
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	s.url = reachable(scheme, s.listeners[0].Addr())
	return nil
}

// ownAddresses are never dialled: an endpoint that names this server would feed itself.
func (s *server) ownAddresses() []netip.AddrPort {
	own := make([]netip.AddrPort, 0, len(s.listeners))
	for _, listener := range s.listeners {
		if address, err := netip.ParseAddrPort(listener.Addr().String()); err == nil {
			own = append(own, address)
		}
	}
	return own
}

func (s *server) serve(cfg Config, tlsConfig *tls.Config) {
	public := api.New(api.Options{
		Engine: s.member.engine, Metrics: s.telemetry.MetricsHandler(), Version: version(),
		Clock: time.Now, Logger: s.logger, Tracers: s.telemetry.TracerProvider,
	})
	handler := public.Handler()
	if c := s.member.cluster; c != nil {
		c.serve(handler)
		handler = c.withOwners(handler, public.Refuse)
	}
	operations := public.OpsHandler()
	if cfg.Pprof {
		operations = withProfiles(operations)
	}
	handlers := []http.Handler{handler, operations}
	for n, listener := range s.listeners {
		config := tlsConfig
		if n > 0 {
			config = nil // the operations listener is for the operator's own network
		}
		server := api.NewHTTPServer(handlers[n], config, s.logger)
		s.servers = append(s.servers, server)
		go func() {
			var err error
			if config != nil {
				err = server.ServeTLS(listener, "", "")
			} else {
				err = server.Serve(listener)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("serve: %w", err)
			}
		}()
	}
}

// Close stops the server: it is not ready any more, requests end, attempts under way end or become
// retry records, and the watermarks are written.
func (s *server) Close(ctx context.Context) error {
	var errs []error
	if len(s.servers) > 0 {
		s.member.announceStop(ctx)
	}
	if len(s.servers) == 0 {
		for _, listener := range s.listeners {
			errs = append(errs, listener.Close())
		}
	}
	errs = append(errs, s.endRequests(ctx))
	if s.member != nil {
		errs = append(errs, s.member.Close(ctx))
	}
	if s.telemetry != nil {
		errs = append(errs, s.telemetry.Shutdown(ctx))
	}
	if len(s.servers) > 0 {
		s.logger.Info("pannier has stopped")
	}
	return errors.Join(errs...)
}

// endRequests takes no more requests and lets those under way end within requestsTimeout.
func (s *server) endRequests(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestsTimeout)
	defer cancel()
	errs := make([]error, len(s.servers))
	var ending sync.WaitGroup
	for n, server := range s.servers {
		ending.Go(func() {
			if server.Shutdown(ctx) != nil {
				errs[n] = server.Close()
			}
		})
	}
	ending.Wait()
	return errors.Join(errs...)
}

// endpointRoots are the authorities that endpoints are checked with: nil, the system's,
// unless the operator names more.
func endpointRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // nothing was named
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the endpoint CA: %w", err)
	}
	roots, err := egress.NewRoots(pem)
	if err != nil {
		return nil, fmt.Errorf("read the endpoint CA: %w", err)
	}
	return roots, nil
}
