package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parseServe reads what a server is asked for as the command line does.
func parseServe(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var g grammar
	parser := newParser(t.Context(), &g, console{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		return Config{}, err
	}
	err := g.Serve.check(os.Getenv)
	return g.Serve.Config, err
}

// serveFlags are the flags of a server.
func serveFlags() []*kong.Flag {
	parser := newParser(nil, new(grammar), console{out: io.Discard, err: io.Discard}) //nolint:staticcheck // nothing runs
	serve := slices.IndexFunc(parser.Model.Children, func(n *kong.Node) bool { return n.Name == "serve" })
	return parser.Model.Children[serve].Flags
}

// writeFile makes a file that only its owner can read.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryFlagHasItsTwins(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for field := range reflect.TypeFor[Config]().Fields() {
		keys[yamlKey(field)] = true
	}
	for field := range reflect.TypeFor[clusterFlags]().Fields() {
		keys[yamlKey(field)] = true
	}
	for _, flag := range serveFlags() {
		stem := strings.ReplaceAll(flag.Name, "-", "_")
		if want := "PANNIER_" + strings.ToUpper(stem); len(flag.Envs) != 1 || flag.Envs[0] != want {
			t.Errorf("--%s has the variables %v, want %s", flag.Name, flag.Envs, want)
		}
		if flag.Name == "config" {
			continue // a file cannot name itself
		}
		if !keys[stem] {
			t.Errorf("--%s has no key %s in the file", flag.Name, stem)
		}
		if _, err := parseConfigFile([]byte(stem + ":\n")); err != nil {
			t.Errorf("the file may not have the key %s: %v", stem, err)
		}
		delete(keys, stem)
	}
	delete(keys, "")
	for key := range keys {
		t.Errorf("the key %s of the file has no flag", key)
	}
}

func yamlKey(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	return strings.TrimPrefix(name, "-")
}

// TestPrecedence cannot run beside others: it sets variables of the process.
func TestPrecedence(t *testing.T) {
	key := strings.Repeat("k", minAdminKeyChars)
	keyFile := func(name string) string { return writeFile(t, name, key) }
	tests := []struct {
		flag string
		// unset is the default; the others are given in the file, the environment and a flag.
		unset, file, environment, argument string
		get                                func(Config) any
	}{
		{"data", "", "a", "b", "c", func(c Config) any { return c.Data }},
		{"listen", "127.0.0.1:8080", "127.0.0.1:1", "[::1]:2", "localhost:3", func(c Config) any { return c.Listen }},
		{"ops-listen", "", "127.0.0.1:1", "[::1]:2", "localhost:3", func(c Config) any { return c.OpsListen }},
		{"pprof", "false", "true", "false", "true", func(c Config) any { return c.Pprof }},
		{"retention", "72h0m0s", "1m0s", "2h0m0s", "72h0m1s", func(c Config) any { return c.Retention }},
		{"admin-key-file", "", keyFile("1"), keyFile("2"), keyFile("3"), func(c Config) any { return c.AdminKeyFile }},
		{"endpoint-ca", "", "a", "b", "c", func(c Config) any { return c.EndpointCA }},
		{"allow-insecure-endpoints", "false", "true", "false", "true", func(c Config) any { return c.AllowInsecureEndpoints }},
		{"allow-private", "", "[10.0.0.0/8]", "10.1.0.0/16", "fd00::/8", func(c Config) any { return c.AllowPrivate }},
		{"auto-promote-rate", "1000", "0", "2.5", "1e+06", func(c Config) any { return c.AutoPromoteRate }},
		{"log-level", "INFO", "DEBUG", "WARN", "ERROR", func(c Config) any { return c.LogLevel }},
		{"log-format", "text", "json", "text", "json", func(c Config) any { return c.LogFormat }},
		{"tls-cert", "", "a", "b", "c", func(c Config) any { return c.TLSCert }},
		{"tls-key", "", "a", "b", "c", func(c Config) any { return c.TLSKey }},
	}
	// What a setting may not be without.
	with := map[string]string{"tls-cert": "--tls-key=k", "tls-key": "--tls-cert=c", "pprof": "--ops-listen=127.0.0.1:1"}
	covered := map[string]bool{"config": true} // see TestConfigFromTheEnvironment
	for _, tt := range tests {
		covered[tt.flag] = true
		t.Run(tt.flag, func(t *testing.T) {
			stem := strings.ReplaceAll(tt.flag, "-", "_")
			file := writeFile(t, "pannier.yaml", stem+": "+tt.file+"\n")
			check := func(want string, args ...string) {
				t.Helper()
				if tt.flag != "data" {
					args = append(args, "--data=d")
				}
				cfg, err := parseServe(t, args...)
				if err != nil {
					t.Fatal(err)
				}
				// Lists are compared without the brackets around them.
				if got := fmt.Sprint(tt.get(cfg)); strings.Trim(got, "[]") != strings.Trim(want, "[]") {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if tt.flag != "data" { // it has no default, see TestBadConfig
				check(tt.unset)
			}
			args := []string{"--config=" + file}
			if needed := with[tt.flag]; needed != "" {
				args = append(args, needed)
			}
			check(tt.file, args...)
			t.Setenv("PANNIER_"+strings.ToUpper(stem), tt.environment)
			check(tt.environment, args...)
			check(tt.argument, append(args, "--"+tt.flag+"="+tt.argument)...)
		})
	}
	for _, flag := range serveFlags() {
		if !covered[flag.Name] && flag.Group == nil {
			t.Errorf("--%s is not covered", flag.Name)
		}
	}
}

func TestConfigFromTheEnvironment(t *testing.T) {
	t.Setenv("PANNIER_CONFIG", writeFile(t, "pannier.yaml", "data: from-the-file\n"))
	cfg, err := parseServe(t)
	if err != nil || cfg.Data != "from-the-file" {
		t.Errorf("got %q, %v", cfg.Data, err)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", minAdminKeyChars)
	open := writeFile(t, "open", key)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no data", nil, "--data: no folder given"},
		{"retention below a minute", []string{"--data=d", "--retention=59s"}, "--retention: must be at least 1m0s, got 59s"},
		{"retention without a unit", []string{"--data=d", "--retention=72"}, "--retention: expected duration"},
		{"certificate without key", []string{"--data=d", "--tls-cert=c"}, "--tls-cert and --tls-key belong together"},
		{"key without certificate", []string{"--data=d", "--tls-key=k"}, "--tls-cert and --tls-key belong together"},
		{"negative rate", []string{"--data=d", "--auto-promote-rate=-1"}, "--auto-promote-rate: must be 0 or more"},
		{"rate that is none", []string{"--data=d", "--auto-promote-rate=NaN"}, "--auto-promote-rate: must be 0 or more"},
		{"level", []string{"--data=d", "--log-level=loud"}, "--log-level"},
		{"log format", []string{"--data=d", "--log-format=xml"}, "--log-format"},
		{"range", []string{"--data=d", "--allow-private=10.0.0.1"}, "--allow-private"},
		{"address without port", []string{"--data=d", "--listen=127.0.0.1"}, `--listen: "127.0.0.1" is not HOST:PORT`},
		{"port beyond the last", []string{"--data=d", "--listen=127.0.0.1:65536"}, "--listen: "},
		{"all addresses", []string{"--data=d", "--listen=:8080"}, "--listen: :8080 is not a loopback address"},
		{"a public address", []string{"--data=d", "--listen=203.0.113.1:80"}, "is not a loopback address"},
		{"a name", []string{"--data=d", "--listen=bikes.example:80"}, "is not a loopback address"},
		{"operations on all addresses", []string{"--data=d", "--ops-listen=[::]:8081"}, "--ops-listen: [::]:8081 is not a loopback address"},
		{"no key file", []string{"--data=d", "--admin-key-file=" + filepath.Join(t.TempDir(), "none")}, "--admin-key-file: "},
		{"key that everybody can read", []string{"--data=d", "--admin-key-file=" + open}, "chmod o-r"},
		{"short key", []string{"--data=d", "--admin-key-file=" + writeFile(t, "k", key[1:])}, "it must have at least 24"},
		{"key with a space", []string{"--data=d", "--admin-key-file=" + writeFile(t, "k", key+" "+key)}, "only printable ASCII"},
		{"long key file", []string{"--data=d", "--admin-key-file=" + writeFile(t, "k", strings.Repeat("k", maxAdminKeyBytes+1))}, "is over 4096 bytes"},
		{"advertise", []string{"--data=d", "--advertise=h"}, "--cluster-key: a member of a cluster needs"},
		{"bind", []string{"--data=d", "--bind=:7946"}, "--cluster-key: a member of a cluster needs"},
		{"rpc", []string{"--data=d", "--rpc=:7947"}, "--cluster-key: a member of a cluster needs"},
		{"join", []string{"--data=d", "--join=h:7946"}, "--cluster-key: a member of a cluster needs"},
		{"certificate alone", []string{"--data=d", "--cluster-key=f", "--cluster-cert=c"}, "all of them are needed, or none"},
		{"certificate without the cluster's key", []string{"--data=d", "--cluster-cert=c", "--cluster-cert-key=k", "--cluster-ca=a"}, "--cluster-key: a member of a cluster needs"},
		{"join without port", []string{"--data=d", "--cluster-key=f", "--join=h"}, `"h" is not HOST:PORT`},
		{"replication alone", []string{"--data=d", "--replication=3"}, "--replication: a server alone keeps one copy"},
		{"too many copies", []string{"--data=d", "--cluster-key=f", "--replication=6"}, "--replication: must be 1 to 5, got 6"},
		{"copies below zero", []string{"--data=d", "--replication=-1"}, "--replication: must be 1 to 5, got -1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseServe(t, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestListensBeyondLoopbackWithAKey(t *testing.T) {
	t.Parallel()
	key := writeFile(t, "key", "  "+strings.Repeat("k", minAdminKeyChars)+"\n")
	cfg, err := parseServe(t, "--data=d", "--listen=:8080", "--ops-listen=0.0.0.0:8081", "--admin-key-file="+key)
	if err != nil || cfg.DevelopmentMode() || cfg.AdminKey != strings.Repeat("k", minAdminKeyChars) {
		t.Errorf("got key %q, %v", cfg.AdminKey, err)
	}
}

func TestAdminKeyFromTwoSources(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", minAdminKeyChars)
	if got, err := adminKey("", key); err != nil || got != key {
		t.Errorf("from the environment: got %q, %v", got, err)
	}
	if _, err := adminKey(writeFile(t, "key", key), key); err == nil {
		t.Error("a key from both is not refused")
	}
}

func TestPrivateRangesAreMasked(t *testing.T) {
	t.Parallel()
	cfg, err := parseServe(t, "--data=d", "--allow-private=10.1.2.3/8", "--allow-private=fd00::1/8,192.168.0.9/16")
	if got, want := fmt.Sprint(cfg.AllowPrivate), "[10.0.0.0/8 fd00::/8 192.168.0.0/16]"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
