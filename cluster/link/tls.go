package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"pannier/cluster/placement"
)

// Both sides of a connection show a certificate, and both ask two things of the other's: that
// the cluster's authority signed it, and that it names a member. They do not compare it with
// the name that was dialled: addresses come and go, and any member may be asked.

// identity is what a member shows and whom it believes.
type identity struct {
	certificate tls.Certificate
	roots       *x509.CertPool
}

func newIdentity(o Options) (identity, error) {
	if o.CertFile == "" && o.KeyFile == "" && o.CAFile == "" {
		return makeIdentity(o.Key, o.Cluster, o.Self.ID)
	}
	return loadIdentity(o)
}

// loadIdentity reads the files. A certificate of another member is refused now: every peer
// would refuse what this member says.
func loadIdentity(o Options) (identity, error) {
	if o.CertFile == "" || o.KeyFile == "" || o.CAFile == "" {
		return identity{}, errors.New("a certificate, its key and an authority are needed, or none of them")
	}
	certificate, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return identity{}, fmt.Errorf("load certificate: %w", err)
	}
	authority, err := os.ReadFile(o.CAFile)
	if err != nil {
		return identity{}, fmt.Errorf("load authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return identity{}, errors.New("load authority: no certificate in the file")
	}
	id, err := memberOf(certificate.Leaf)
	if err != nil {
		return identity{}, fmt.Errorf("load certificate: %w", err)
	}
	if id != o.Self.ID {
		return identity{}, fmt.Errorf("load certificate: it names the member %q, this is %q", id, o.Self.ID)
	}
	return identity{certificate, roots}, nil
}

func (i identity) server() *tls.Config {
	config := i.config(x509.ExtKeyUsageClientAuth)
	config.ClientAuth = tls.RequireAnyClientCert
	config.SessionTicketsDisabled = true // connections last, and each shows its certificate
	return config
}

func (i identity) client() *tls.Config {
	config := i.config(x509.ExtKeyUsageServerAuth)
	config.InsecureSkipVerify = true // only of what config verifies itself, and of the host name
	return config
}

// config is what both sides have in common; usage is what the other's certificate is for.
func (i identity) config(usage x509.ExtKeyUsage) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{i.certificate},
		VerifyConnection: func(state tls.ConnectionState) error {
			return i.verify(state.PeerCertificates, usage)
		},
	}
}

func (i identity) verify(chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if len(chain) == 0 {
		return errors.New("the peer shows no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	options := x509.VerifyOptions{Roots: i.roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}}
	if _, err := chain[0].Verify(options); err != nil {
		return fmt.Errorf("the peer is not of this cluster: %w", err)
	}
	if _, err := memberOf(chain[0]); err != nil {
		return fmt.Errorf("the peer is not of this cluster: %w", err)
	}
	return nil
}

// A member's certificate has the URI pannier:member:<id>, the id escaped as in a path.
const (
	memberScheme = "pannier"
	memberPrefix = "member:"
)

func memberURI(id placement.MemberID) *url.URL {
	return &url.URL{Scheme: memberScheme, Opaque: memberPrefix + url.PathEscape(string(id))}
}

// memberOf is the member that a certificate names: by its URI or, where it has none, by the
// common name.
func memberOf(certificate *x509.Certificate) (placement.MemberID, error) {
	name := certificate.Subject.CommonName
	for _, uri := range certificate.URIs {
		escaped, found := strings.CutPrefix(uri.Opaque, memberPrefix)
		if uri.Scheme != memberScheme || !found {
			continue
		}
		id, err := url.PathUnescape(escaped)
		if err != nil {
			return "", fmt.Errorf("the certificate's member id: %w", err)
		}
		name = id
		break
	}
	if name == "" {
		return "", errors.New("the certificate names no member")
	}
	return placement.MemberID(name), nil
}
