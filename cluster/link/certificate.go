package link

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"pannier/cluster/placement"
)

// KeyBytes is the length of a cluster key.
const KeyBytes = 32

// authorityInfo keeps the authority's key apart from whatever else is derived from the cluster
// key; the cluster's name follows it.
const authorityInfo = "pannier link authority 1\x00"

// validFrom and validUntil have made certificates valid at any time: who has the cluster key
// can make one whenever he likes, so an end would keep nobody out, and a wrong clock must not
// take a member off the cluster.
var (
	validFrom  = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	validUntil = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // RFC 5280: no end
)

// makeIdentity makes a member's certificate from the cluster key. The authority's key follows
// from the cluster key and name alone, so every member makes the same authority for itself:
// what one signs all others accept, and a process with another key, or of another cluster,
// accepts nobody and is accepted by nobody.
func makeIdentity(key []byte, cluster string, id placement.MemberID) (identity, error) {
	if len(key) != KeyBytes {
		return identity{}, fmt.Errorf("the cluster key has %d bytes instead of %d", len(key), KeyBytes)
	}
	seed, err := hkdf.Key(sha256.New, key, nil, authorityInfo+cluster, ed25519.SeedSize)
	if err != nil {
		return identity{}, fmt.Errorf("derive the authority's key: %w", err)
	}
	authorityKey := ed25519.NewKeyFromSeed(seed)
	authority, err := sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pannier cluster"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, authorityKey.Public(), authorityKey)
	if err != nil {
		return identity{}, fmt.Errorf("make the authority: %w", err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("make a key: %w", err)
	}
	leaf, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: string(id)}, URIs: []*url.URL{memberURI(id)},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, authority, public, authorityKey)
	if err != nil {
		return identity{}, fmt.Errorf("make a certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	certificate := tls.Certificate{Certificate: [][]byte{leaf.Raw, authority.Raw}, PrivateKey: private, Leaf: leaf}
	return identity{certificate, roots}, nil
}

// sign makes a certificate; without an authority it signs itself.
func sign(template, authority *x509.Certificate, public any, key ed25519.PrivateKey) (*x509.Certificate, error) {
	template.NotBefore, template.NotAfter = validFrom, validUntil
	if authority == nil {
		authority = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse what was signed: %w", err)
	}
	return certificate, nil
}
