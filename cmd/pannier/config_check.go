package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pannier/engine"
)

// check completes the config with the admin key and judges every value. What it returns
// is a usageError that names the flag.
func (c *Config) check(environment func(string) string) error {
	if c.Data == "" {
		return usagef("--data: no folder given, name one with --data, PANNIER_DATA or data in the file")
	}
	if err := checkRetention("--retention", c.Retention); err != nil {
		return err
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return usagef("--tls-cert and --tls-key belong together, only one is given")
	}
	if c.AutoPromoteRate < 0 || math.IsNaN(c.AutoPromoteRate) || math.IsInf(c.AutoPromoteRate, 0) {
		return usagef("--auto-promote-rate: must be 0 or more, got %v", c.AutoPromoteRate)
	}
	if err := c.clusterFlags.check(); err != nil {
		return err
	}
	c.AllowPrivate = masked(c.AllowPrivate)
	key, err := adminKey(c.AdminKeyFile, environment("PANNIER_ADMIN_KEY"))
	if err != nil {
		return err
	}
	c.AdminKey = key
	return c.checkAddresses()
}

func (c *Config) checkAddresses() error {
	if err := checkAddress("--listen", c.Listen); err != nil {
		return err
	}
	if c.Pprof && c.OpsListen == "" {
		return usagef("--pprof: needs --ops-listen, where the profiles are served")
	}
	if c.OpsListen != "" {
		if err := checkAddress("--ops-listen", c.OpsListen); err != nil {
			return err
		}
	}
	if !c.DevelopmentMode() {
		return nil
	}
	for n, address := range []string{c.Listen, c.OpsListen} {
		if address != "" && !loopback(address) {
			return usagef("%s: %s is not a loopback address, and without an admin key anybody could use the server: "+
				"give a key (--admin-key-file or PANNIER_ADMIN_KEY) or listen on 127.0.0.1",
				[]string{"--listen", "--ops-listen"}[n], address)
		}
	}
	return nil
}

func checkRetention(name string, retention time.Duration) error {
	if retention < engine.MinRetention {
		return usagef("%s: must be at least %v, got %v", name, engine.MinRetention, retention)
	}
	return nil
}

func checkAddress(name, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		if malformed, ok := errors.AsType[*net.AddrError](err); ok {
			err = errors.New(malformed.Err)
		}
		return usageError{fmt.Errorf("%s: %q is not HOST:PORT: %w", name, address, err)}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usagef("%s: %q has no port between 0 and 65535", name, address)
	}
	return nil
}

// loopback tells whether only this machine can reach address. A name other than localhost
// is not trusted to stay what it resolves to.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// masked drops the bits below each prefix's length, and the empty entry that an empty
// environment variable makes.
func masked(prefixes []netip.Prefix) []netip.Prefix {
	var kept []netip.Prefix
	for _, prefix := range prefixes {
		if prefix.IsValid() {
			kept = append(kept, prefix.Masked())
		}
	}
	return kept
}
