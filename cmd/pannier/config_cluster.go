package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"pannier/cluster/placement"
)

// clusterFlags make a server a member of a cluster. Without any of them it runs alone.
type clusterFlags struct {
	Advertise      string   `env:"PANNIER_ADVERTISE" placeholder:"HOST" yaml:"advertise" group:"cluster" help:"The host at which other members reach this one; as bound when not given."`
	Bind           string   `env:"PANNIER_BIND" placeholder:"HOST:PORT" yaml:"bind" group:"cluster" help:"Where members find each other, TCP and UDP (0.0.0.0:7946)."`
	RPC            string   `name:"rpc" env:"PANNIER_RPC" placeholder:"HOST:PORT" yaml:"rpc" group:"cluster" help:"Where members exchange events and state (0.0.0.0:7947)."`
	Join           []string `env:"PANNIER_JOIN" placeholder:"HOST:PORT" yaml:"join" group:"cluster" help:"The --bind addresses of other members; any that runs is enough."`
	Replication    int      `env:"PANNIER_REPLICATION" default:"0" placeholder:"N" yaml:"replication" group:"cluster" help:"On how many members an event is before it is answered (2 in a cluster, 1 alone)."`
	ClusterKey     string   `env:"PANNIER_CLUSTER_KEY" placeholder:"FILE" yaml:"cluster_key" group:"cluster" help:"The file with the cluster's key, made by 'pannier cluster keygen'."`
	ClusterCert    string   `env:"PANNIER_CLUSTER_CERT" placeholder:"FILE" yaml:"cluster_cert" group:"cluster" help:"This member's certificate for other members, PEM, in the place of one made from the cluster's key."`
	ClusterCertKey string   `env:"PANNIER_CLUSTER_CERT_KEY" placeholder:"FILE" yaml:"cluster_cert_key" group:"cluster" help:"The private key of --cluster-cert."`
	ClusterCA      string   `name:"cluster-ca" env:"PANNIER_CLUSTER_CA" placeholder:"FILE" yaml:"cluster_ca" group:"cluster" help:"The authority that signed every member's --cluster-cert."`
	AllowDegraded  bool     `env:"PANNIER_ALLOW_DEGRADED" yaml:"allow_degraded" group:"cluster" help:"Answer events with fewer copies while fewer members are there."`
}

const (
	defaultBind        = "0.0.0.0:7946"
	defaultRPC         = "0.0.0.0:7947"
	defaultReplication = 2
)

// clustered tells whether the server is a member of a cluster.
func (f *clusterFlags) clustered() bool {
	return f.Bind != "" || f.RPC != "" || len(f.Join) > 0 || f.ClusterKey != "" || f.Advertise != "" || f.certificates() > 0
}

// certificates counts the files of the member's own certificate that are named.
func (f *clusterFlags) certificates() (named int) {
	for _, file := range []string{f.ClusterCert, f.ClusterCertKey, f.ClusterCA} {
		if file != "" {
			named++
		}
	}
	return named
}

// check judges what was asked for and fills in what was not.
func (f *clusterFlags) check() error {
	if f.Replication < 0 || f.Replication > placement.MaxReplication {
		return usagef("--replication: must be 1 to %d, got %d", placement.MaxReplication, f.Replication)
	}
	if !f.clustered() {
		if f.Replication > 1 {
			return usagef("--replication: a server alone keeps one copy; --cluster-key and --join make it a member of a cluster")
		}
		f.Replication = 1
		return nil
	}
	if f.ClusterKey == "" {
		return usagef("--cluster-key: a member of a cluster needs the cluster's key; 'pannier cluster keygen' makes one")
	}
	if named := f.certificates(); named != 0 && named != 3 {
		return usagef("--cluster-cert, --cluster-cert-key and --cluster-ca: all of them are needed, or none")
	}
	if f.Bind == "" {
		f.Bind = defaultBind
	}
	if f.RPC == "" {
		f.RPC = defaultRPC
	}
	if f.Replication == 0 {
		f.Replication = defaultReplication
	}
	for _, address := range append([]string{f.Bind, f.RPC}, f.Join...) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return usagef("%q is not HOST:PORT", address)
		}
	}
	if f.Advertise == "" && (unspecified(f.Bind) || unspecified(f.RPC)) {
		return usagef("--advertise: --bind and --rpc at every address do not say where others reach this member; name the host")
	}
	return nil
}

// unspecified tells whether an address stands for every one of this machine.
func unspecified(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || (err == nil && ip.IsUnspecified())
}

// readClusterKey reads the file that keygen's output was put in.
func readClusterKey(file string) ([]byte, error) {
	content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the cluster key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(key) != clusterKeyBytes {
		return nil, fmt.Errorf("the cluster key in %s is not the base64 of %d bytes", file, clusterKeyBytes)
	}
	return key, nil
}
