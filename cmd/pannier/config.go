package main

import (
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"pannier/engine"
)

// Config is how a server was asked to run. Each value is that of the flag, else of the
// environment variable, else of the YAML file, else the default; check has found it
// sound. A flag --some-name is PANNIER_SOME_NAME in the environment and some_name in the
// file.
type Config struct {
	File string `name:"config" env:"PANNIER_CONFIG" placeholder:"FILE" yaml:"-" help:"Read settings from a YAML file."`

	Data      string        `env:"PANNIER_DATA" placeholder:"DIR" yaml:"data" help:"Keep everything in this folder."`
	Listen    string        `env:"PANNIER_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" yaml:"listen" help:"Serve the API on this address (${default})."`
	OpsListen string        `env:"PANNIER_OPS_LISTEN" placeholder:"HOST:PORT" yaml:"ops_listen" help:"Serve health, metrics and documentation without a key on this address."`
	Pprof     bool          `env:"PANNIER_PPROF" yaml:"pprof" help:"Serve Go's profiles below /debug/pprof/ on --ops-listen."`
	Retention time.Duration `env:"PANNIER_RETENTION" default:"72h" placeholder:"DURATION" yaml:"retention" help:"Keep accepted events this long (${default})."`

	TLSCert string `name:"tls-cert" env:"PANNIER_TLS_CERT" placeholder:"FILE" yaml:"tls_cert" help:"Serve TLS with this certificate chain (PEM)."`
	TLSKey  string `name:"tls-key" env:"PANNIER_TLS_KEY" placeholder:"FILE" yaml:"tls_key" help:"The key of --tls-cert (PEM)."`

	AdminKeyFile string `env:"PANNIER_ADMIN_KEY_FILE" placeholder:"FILE" yaml:"admin_key_file" help:"Read the first admin key from this file; PANNIER_ADMIN_KEY may hold it instead."`

	EndpointCA             string         `name:"endpoint-ca" env:"PANNIER_ENDPOINT_CA" placeholder:"FILE" yaml:"endpoint_ca" help:"Trust these authorities (PEM) at endpoints, beside the system's."`
	AllowInsecureEndpoints bool           `env:"PANNIER_ALLOW_INSECURE_ENDPOINTS" yaml:"allow_insecure_endpoints" help:"Let subscriptions use http."`
	AllowPrivate           []netip.Prefix `env:"PANNIER_ALLOW_PRIVATE" placeholder:"CIDR" yaml:"allow_private" help:"Let endpoints have addresses in this private range; may be repeated."`

	AutoPromoteRate float64    `env:"PANNIER_AUTO_PROMOTE_RATE" default:"1000" placeholder:"N" yaml:"auto_promote_rate" help:"Give a topic a lane of its own at this many events a second; 0 is never (${default})."`
	LogLevel        slog.Level `env:"PANNIER_LOG_LEVEL" default:"info" placeholder:"LEVEL" yaml:"log_level" help:"Log debug, info, warn or error and above (${default})."`
	LogFormat       string     `env:"PANNIER_LOG_FORMAT" default:"text" enum:"text,json" placeholder:"FORMAT" yaml:"log_format" help:"Log text or json, one object a line (${default})."`

	clusterFlags `yaml:",inline"`

	// Lanes are those of the file: a lane has too many parts for a flag.
	Lanes []engine.LaneConfig `kong:"-" yaml:"-"`
	// AdminKey is the text of the first admin key; "" is development mode.
	AdminKey string `kong:"-" yaml:"-"`
}

// DevelopmentMode tells that no key is configured: nobody is asked for one.
func (c *Config) DevelopmentMode() bool { return c.AdminKey == "" }

// loadFile hands the values of the YAML file to kong, where neither a flag nor the
// environment has given one, and sets the lanes. It must run before kong resolves.
func (c *Config) loadFile(ctx *kong.Context) error {
	at := slices.IndexFunc(ctx.Flags(), func(f *kong.Flag) bool { return f.Name == "config" })
	path, _ := ctx.FlagValue(ctx.Flags()[at]).(string)
	if path == "" {
		return nil
	}
	settings, err := readConfigFile(path)
	if err != nil {
		return usageError{err}
	}
	c.Lanes = settings.lanes
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		value, found := settings.values[strings.ReplaceAll(flag.Name, "-", "_")]
		if !found || inEnvironment(flag.Envs) {
			return nil, nil //nolint:nilnil // kong's way to say that the file has no such key
		}
		return value, nil
	}))
	return nil
}

func inEnvironment(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, found := os.LookupEnv(name)
		return found
	})
}
