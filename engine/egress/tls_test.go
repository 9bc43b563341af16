package egress_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/egress"
)

// newCertificate makes a self-signed certificate for hooks.test.
func newCertificate(t *testing.T, until time.Time) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hooks.test"},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		DNSNames: []string{"hooks.test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, host, want string
		until            time.Duration
		maxVersion       uint16
		trusted, http2   bool
	}{
		{name: "trusted by the extra authority", host: "hooks.test", until: time.Hour, trusted: true},
		{name: "HTTP/2", host: "hooks.test", until: time.Hour, trusted: true, http2: true},
		{name: "name with final dot", host: "hooks.test.", until: time.Hour, trusted: true},
		{name: "TLS 1.2", host: "hooks.test", until: time.Hour, trusted: true, maxVersion: tls.VersionTLS12},
		{name: "TLS 1.1", host: "hooks.test", want: "tls handshake failed", until: time.Hour, trusted: true, maxVersion: tls.VersionTLS11},
		{name: "expired", host: "hooks.test", want: "certificate not valid", until: -time.Hour, trusted: true},
		{name: "other name", host: "other.test", want: "certificate not valid", until: time.Hour, trusted: true},
		{name: "unknown authority", host: "hooks.test", want: "certificate not valid", until: time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			certificate, encoded := newCertificate(t, time.Now().Add(test.until))
			protocol := make(chan int, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				protocol <- r.ProtoMajor
				w.WriteHeader(http.StatusNoContent)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{
				Certificates: []tls.Certificate{certificate},
				MinVersion:   tls.VersionTLS10, MaxVersion: test.maxVersion,
			}
			server.EnableHTTP2 = test.http2
			server.StartTLS()
			t.Cleanup(server.Close)

			options := egress.SenderOptions{Resolver: newResolver(t, func(int) answer {
				return answer{addresses: []string{"127.0.0.1"}}
			})}
			if test.trusted {
				roots, err := egress.NewRoots(encoded)
				if err != nil {
					t.Fatal(err)
				}
				options.Roots = roots
			}
			number := server.Listener.Addr().(*net.TCPAddr).Port
			s := newSubscription("https://" + test.host + ":" + strconv.Itoa(number) + "/")
			sender := newSender(t, options)
			want := engine.Result{Outcome: engine.OutcomeSuccess, Status: 204, RetryAfter: -1}
			if test.want != "" {
				want = engine.Result{Outcome: engine.OutcomeFailure, Error: test.want, RetryAfter: -1}
			}
			for range 3 { // once the version of HTTP is known another client may take over
				if got := sender.Send(t.Context(), attempt(s)); got != want {
					t.Fatalf("got %+v, want %+v", got, want)
				}
				if test.want != "" {
					continue
				}
				if major := <-protocol; (major == 2) != test.http2 {
					t.Errorf("HTTP/%d", major)
				}
			}
		})
	}
}

// The client that takes over once HTTP/1.1 is known checks certificates as well.
func TestEveryConnectionIsVerified(t *testing.T) {
	t.Parallel()
	good, encoded := newCertificate(t, time.Now().Add(time.Hour))
	bad, _ := newCertificate(t, time.Now().Add(time.Hour))
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{SessionTicketsDisabled: true, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if connections.Add(1) == 1 {
			return &good, nil
		}
		return &bad, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots, err := egress.NewRoots(encoded)
	if err != nil {
		t.Fatal(err)
	}
	sender := newSender(t, egress.SenderOptions{Roots: roots, Resolver: newResolver(t, func(int) answer {
		return answer{addresses: []string{"127.0.0.1"}}
	})})
	s := newSubscription("https://hooks.test:" + strconv.Itoa(server.Listener.Addr().(*net.TCPAddr).Port) + "/")
	for i, want := range []string{"", "certificate not valid"} {
		if got := sender.Send(t.Context(), attempt(s)); got.Error != want {
			t.Errorf("attempt %d: got %+v, want %q", i+1, got, want)
		}
	}
}

func TestPlainAnswerToTLS(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-served
	})
	s := newSubscription("https://" + listener.Addr().String() + "/")
	got := newSender(t, egress.SenderOptions{}).Send(t.Context(), attempt(s))
	if got.Outcome != engine.OutcomeFailure || got.Error != "tls handshake failed" {
		t.Errorf("got %+v", got)
	}
}

func TestNewRoots(t *testing.T) {
	t.Parallel()
	if _, err := egress.NewRoots([]byte("no certificate")); err == nil || !strings.Contains(err.Error(), "no certificate found") {
		t.Errorf("got %v", err)
	}
}
