package main

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
	"strings"
	"testing"
	"time"
)

// authority signs certificates for 127.0.0.1, and is trusted by nobody who was not told.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.newKey()
	a.certificate = a.sign(template, template, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return certificate
}

// files writes a certificate for 127.0.0.1 and its key.
func (a *authority) files() (certificate, key string) {
	a.t.Helper()
	private := a.newKey()
	leaf := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, private)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return writeFile(a.t, "tls.crt", pemText("CERTIFICATE", leaf.Raw)), writeFile(a.t, "tls.key", pemText("PRIVATE KEY", raw))
}

// file writes the authority's own certificate.
func (a *authority) file() string {
	a.t.Helper()
	return writeFile(a.t, "ca.crt", pemText("CERTIFICATE", a.certificate.Raw))
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func pemText(kind string, raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
}

// secureReceiver is an endpoint with a certificate of the authority.
func secureReceiver(t *testing.T, a *authority) *testReceiver {
	t.Helper()
	certificate, key := a.files()
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	r := &testReceiver{t: t}
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it is distrusted on purpose
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// TestTLS serves the API with a certificate and delivers to an endpoint whose authority the
// operator names; one of another authority gets nothing.
func TestTLS(t *testing.T) {
	t.Parallel()
	known, unknown := newAuthority(t, "known"), newAuthority(t, "unknown")
	s := startTestServer(t, func(c *Config) {
		c.TLSCert, c.TLSKey = known.files()
		c.EndpointCA = known.file()
		c.AllowInsecureEndpoints = false
	})
	if !strings.HasPrefix(s.server.URL(), "https://") {
		t.Fatalf("the API is at %s, want https", s.server.URL())
	}
	s.api.http.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: known.pool(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}
	trusted, stranger := secureReceiver(t, known), secureReceiver(t, unknown)
	subscription, _ := s.subscribe(trusted.URL, subscriptionBody{}, "trip.created")
	retries := 0
	other, _ := s.subscribe(stranger.URL, subscriptionBody{Retry: &retryBody{MaxRetries: &retries}}, "trip.created")
	event := s.send("trip.created", "{}")
	s.awaitState(subscription, event, "delivered")
	dead := s.awaitState(other, event, "dead")
	attempt := s.awaitAttempts(dead.ID, 1)[0]
	if attempt.Outcome != "failure" || !strings.Contains(attempt.Error, "certificate") {
		t.Errorf("the attempt at a stranger is %+v, want a failure that names the certificate", attempt)
	}
	if len(trusted.got()) != 1 || len(stranger.got()) != 0 {
		t.Errorf("the receivers got %d and %d requests, want 1 and 0", len(trusted.got()), len(stranger.got()))
	}
}

// TestTLSOfTheListener looks at the connection: HTTP/2 where the client can, and nothing
// below TLS 1.2.
func TestTLSOfTheListener(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "known")
	s := startTestServer(t, func(c *Config) { c.TLSCert, c.TLSKey = a.files() })
	address := strings.TrimPrefix(s.server.URL(), "https://")
	dial := func(config *tls.Config) (*tls.Conn, error) {
		connection, err := tls.Dial("tcp", address, config)
		if err == nil {
			t.Cleanup(func() { connection.Close() })
		}
		return connection, err
	}
	connection, err := dial(&tls.Config{RootCAs: a.pool(), NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if state := connection.ConnectionState(); state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
		t.Errorf("got %q over %s, want h2 over TLS 1.3", state.NegotiatedProtocol, tls.VersionName(state.Version))
	}
	if _, err := dial(&tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := dial(&tls.Config{}); err == nil {
		t.Error("a client that was not told trusts the authority")
	}
	if status, _, err := fetch("http://"+address+"/healthz", ""); err == nil && status != http.StatusBadRequest {
		t.Errorf("without TLS the answer is %d", status)
	}
}
