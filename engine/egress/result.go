package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"pannier/engine"
	"pannier/engine/retry"
)

// The phrases of engine.Result.Error. They are shown to tenants and counted in metrics.
const (
	phraseAddress     = "address not allowed"
	phraseURL         = "url not allowed"
	phraseInterrupted = "interrupted"
	phraseTimeout     = "timeout"
	phraseUnknownHost = "host not found"
	phraseDNS         = "name resolution failed"
	phraseRefused     = "connection refused"
	phraseReset       = "connection reset"
	phraseClosed      = "connection closed"
	phraseUnreachable = "host unreachable"
	phraseCertificate = "certificate not valid"
	phraseTLS         = "tls handshake failed"
	phraseExhausted   = "out of local resources"
	phraseResponse    = "invalid response"
)

// noRetryAfter says that a response asked for no delay.
const noRetryAfter = -1

// answered classifies a response by its status alone.
func answered(rule engine.Success, status int, retryAfter string, now time.Time) engine.Result {
	result := engine.Result{Outcome: engine.OutcomeFailure, Status: status, RetryAfter: noRetryAfter}
	switch {
	case status < http.StatusOK: // 101 gives up HTTP: no response will follow
		result.Error = phraseResponse
	case status == http.StatusGone:
		result.Outcome = engine.OutcomeGone
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		result.Outcome = engine.OutcomeThrottled
		if delay, ok := retry.After(retryAfter, now); ok {
			result.RetryAfter = delay
		}
	case status < http.StatusMultipleChoices,
		status < http.StatusBadRequest && rule != engine.Success2xx:
		result.Outcome = engine.OutcomeSuccess
	}
	return result
}

// unanswered classifies the error of a request without response. ctx is that given to
// Send: only a shutdown ends it.
func unanswered(ctx context.Context, err error) engine.Result {
	result := engine.Result{Outcome: engine.OutcomeFailure, RetryAfter: noRetryAfter}
	switch {
	case ctx.Err() != nil:
		result.Outcome, result.Error = engine.OutcomeInterrupted, phraseInterrupted
	case errors.Is(err, errAddressRefused):
		result.Outcome, result.Error = engine.OutcomeBlocked, phraseAddress
	case errors.Is(err, errURLRefused):
		result.Outcome, result.Error = engine.OutcomeBlocked, phraseURL
	default:
		result.Error = phraseOf(err)
	}
	return result
}

// phraseOf names the cause of a failed exchange.
func phraseOf(err error) string {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		operation   *net.OpError
		timeout     net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return phraseTimeout
	case errors.As(err, &dns) && dns.IsNotFound:
		return phraseUnknownHost
	case errors.As(err, &dns):
		return phraseDNS
	case errors.As(err, &certificate):
		return phraseCertificate
	case errors.As(err, &timeout) && timeout.Timeout():
		return phraseTimeout
	case errors.As(err, &record),
		errors.As(err, &operation) && (operation.Op == "remote error" || operation.Op == "local error"):
		return phraseTLS // crypto/tls marks the alerts of either side by these operations
	}
	return phraseOfCall(err)
}

// phraseOfCall names the system call's error or the end of the stream behind err.
func phraseOfCall(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		switch number {
		case syscall.ECONNREFUSED:
			return phraseRefused
		case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
			return phraseReset
		case syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM:
			return phraseExhausted
		default:
			return phraseUnreachable // the kernel's verdict on the route
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return phraseClosed
	}
	return phraseResponse
}
