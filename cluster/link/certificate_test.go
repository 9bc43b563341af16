package link

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"pannier/cluster/placement"
	"pannier/engine"
)

// authority signs certificates as an operator's own does.
type authority struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey
	file        string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "operator"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, private, writePEM(t, "CERTIFICATE", certificate.Raw)}
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// member changes options to use files of a new certificate.
func (a authority) member(t *testing.T, template *x509.Certificate) func(*Options, *bounds) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := sign(template, a.certificate, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options, _ *bounds) {
		o.Key = nil
		o.CertFile, o.KeyFile, o.CAFile = writePEM(t, "CERTIFICATE", certificate.Raw), writePEM(t, "PRIVATE KEY", key), a.file
	}
}

func byURI(id placement.MemberID) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: "machine 7"},
		URIs:    []*url.URL{{Scheme: "https", Host: "example.org"}, memberURI(id)},
	}
}

func TestCertificatesFromFiles(t *testing.T) {
	t.Parallel()
	operator := newAuthority(t)
	a := startEnd(t, "mbr_a", operator.member(t, byURI("mbr_a")))
	b := startEnd(t, "mbr b", operator.member(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mbr b"}}))
	reaches(t, a, b, b.Address(), "mbr_a")
	reaches(t, b, a, a.Address(), "mbr b")

	strangers := map[string]*end{
		"another authority": startEnd(t, "mbr_a", newAuthority(t).member(t, byURI("mbr_a"))),
		"the cluster key":   startEnd(t, "mbr_a", nil),
	}
	forServing := byURI("mbr_a")
	forServing.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	strangers["a certificate that is not for clients"] = startEnd(t, "mbr_a", operator.member(t, forServing))
	for name, stranger := range strangers {
		if _, err := stranger.Call(t.Context(), b.Address(), "m", nil); engine.ErrorCode(err) != engine.CodeUnavailable {
			t.Errorf("%s: call = %v", name, err)
		}
	}
}

func TestCertificateOfAnotherMemberIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	operator := newAuthority(t)
	for name, template := range map[string]*x509.Certificate{
		"another member": byURI("mbr_b"),
		"no member":      {},
		"a bad id":       {URIs: []*url.URL{{Scheme: memberScheme, Opaque: memberPrefix + "%zz"}}},
	} {
		o := Options{Self: placement.Member{ID: "mbr_a"}}
		operator.member(t, template)(&o, nil)
		if _, err := newIdentity(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	o := Options{Self: placement.Member{ID: "mbr_a"}}
	operator.member(t, byURI("mbr_a"))(&o, nil)
	o.CAFile = writePEM(t, "NOTHING", nil)
	if _, err := newIdentity(o); err == nil {
		t.Error("an authority without certificates: accepted")
	}
}

func TestIdsOfAnySpelling(t *testing.T) {
	t.Parallel()
	for _, id := range []placement.MemberID{"mbr_0123456789abcdefghij", "a b", "a/b?c#d%e", "ä", "a:b"} {
		made, err := makeIdentity(testKey, testCluster, id)
		if err != nil {
			t.Errorf("%q: %v", id, err)
			continue
		}
		if got, err := memberOf(made.certificate.Leaf); err != nil || got != id {
			t.Errorf("%q came back as %q, %v", id, got, err)
		}
	}
}

func TestAuthorityFollowsFromKeyAndName(t *testing.T) {
	t.Parallel()
	authorityOf := func(key []byte, cluster string, id placement.MemberID) []byte {
		made, err := makeIdentity(key, cluster, id)
		if err != nil {
			t.Fatal(err)
		}
		return made.certificate.Certificate[1]
	}
	first := authorityOf(testKey, testCluster, "mbr_a")
	if !bytes.Equal(first, authorityOf(testKey, testCluster, "mbr_b")) {
		t.Error("two members have different authorities")
	}
	if bytes.Equal(first, authorityOf(testKey, "other", "mbr_a")) ||
		bytes.Equal(first, authorityOf(bytes.Repeat([]byte{8}, KeyBytes), testCluster, "mbr_a")) {
		t.Error("two clusters have the same authority")
	}
}
