package api

import (
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// The bounds of a connection.
const (
	// HeaderTimeout is how long the headers of a request may take.
	HeaderTimeout = 10 * time.Second
	// ReadTimeout is how long a whole request may take to come in: 8 MiB at 2 Mbit/s.
	ReadTimeout = 40 * time.Second
	// WriteTimeout is how long a request and its answer may take: an answer of a thousand
	// events over a slow link.
	WriteTimeout = 2 * time.Minute
	// IdleTimeout is how long a connection may wait for its next request.
	IdleTimeout = time.Minute
	// MaxHeaderBytes bounds the headers of a request; net/http adds 4 KiB of slack.
	MaxHeaderBytes = 32 << 10
	// MaxStreams bounds the requests under way on one HTTP/2 connection.
	MaxStreams = 128
	// MaxConnections bounds the open connections of a listener; further ones wait in the
	// kernel's queue.
	MaxConnections = 8192
)

// NewHTTPServer makes a server with every bound set. With a certificate in config it
// speaks HTTP/2 and HTTP/1.1 over TLS 1.2 or later (start it with ServeTLS and empty file
// names); with a nil config HTTP/1.1 in the clear.
func NewHTTPServer(handler http.Handler, config *tls.Config, logger *slog.Logger) *http.Server {
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	return &http.Server{
		Handler:           handler,
		TLSConfig:         config,
		ReadHeaderTimeout: HeaderTimeout,
		ReadTimeout:       ReadTimeout,
		WriteTimeout:      WriteTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: MaxStreams},
		ErrorLog:          log.New(connectionLog{logger}, "", 0),
	}
}

// LimitListener holds a listener to MaxConnections.
func LimitListener(l net.Listener) net.Listener { return netutil.LimitListener(l, MaxConnections) }

// connectionLog passes on what net/http says of broken connections: of interest only when
// one looks for it.
type connectionLog struct{ logger *slog.Logger }

// Write implements io.Writer for log.Logger.
func (c connectionLog) Write(line []byte) (int, error) {
	c.logger.Debug("connection", "detail", strings.TrimSpace(string(line)))
	return len(line), nil
}
