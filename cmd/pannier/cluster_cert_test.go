package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"pannier/storage"
)

// TestClusterCertificates: members with certificates of the operator's own authority are one
// cluster; one whose certificate names another member does not start.
func TestClusterCertificates(t *testing.T) {
	t.Parallel()
	key := writeFile(t, "key", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", clusterKeyBytes))))
	authority := newClusterAuthority(t)
	binds := []string{freePort(t), freePort(t)}
	c := &testCluster{t: t}
	member := func(n int, names string) func(*Config) {
		return func(cfg *Config) {
			if names == "" {
				names = memberIn(t, cfg.Data)
			}
			cfg.clusterFlags = clusterFlags{Bind: binds[n], RPC: "127.0.0.1:0", Join: binds, Replication: 2, ClusterKey: key}
			cfg.ClusterCA = authority.file
			cfg.ClusterCert, cfg.ClusterCertKey = authority.sign(t, names)
		}
	}
	for n := range binds {
		c.members = append(c.members, startTestServer(t, member(n, "")))
	}
	c.awaitActive(2)
	receiver := newTestReceiver(t, nil)
	c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	c.members[1].send("trip.created", "1")
	receiver.await(1)

	config := c.members[0].config
	config.Data = t.TempDir()
	member(0, "mem_another")(&config)
	s, err := startServer(t.Context(), config, t.Output())
	if err == nil {
		t.Error("a member with the certificate of another one starts")
		_ = s.Close(context.Background())
	} else if !strings.Contains(err.Error(), `it names the member "mem_another"`) {
		t.Errorf("got %v, want that it names another member", err)
	}
}

// memberIn makes a data folder, and gives the id of its member.
func memberIn(t *testing.T, data string) string {
	t.Helper()
	folder, err := storage.OpenFolder(data)
	if err != nil {
		t.Fatal(err)
	}
	id := folder.Member()
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}

// clusterAuthority signs the certificates of members.
type clusterAuthority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newClusterAuthority(t *testing.T) *clusterAuthority {
	t.Helper()
	a := &clusterAuthority{certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	a.file, _ = a.sign(t, "authority")
	return a
}

// sign gives the files of a certificate that names a member, and of its key; the first one is the
// authority's own.
func (a *clusterAuthority) sign(t *testing.T, name string) (certificateFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := a.certificate
	if a.key == nil {
		a.key = key
	} else {
		template = &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind string, raw []byte) string {
		return writeFile(t, strings.ToLower(kind)+name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})))
	}
	return write("CERTIFICATE", raw), write("PRIVATE KEY", rawKey)
}
