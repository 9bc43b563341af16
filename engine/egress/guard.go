package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// errAddressRefused marks a dial that the guard stopped before the first packet.
var errAddressRefused = errors.New("address refused")

// exactOnly are addresses behind which clouds keep credentials, and link-local space as a
// whole: an allowed prefix that merely covers them is taken for an oversight.
var exactOnly = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure; outside every special registry
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
	// translated are the NAT64 prefixes (RFC 6052, RFC 8215).
	translated = []netip.Prefix{
		netip.MustParsePrefix("64:ff9b::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
	}
)

// GuardOptions is the operator's part of the address policy.
type GuardOptions struct {
	// AllowInsecure lets subscriptions use http.
	AllowInsecure bool
	// AllowPrivate are prefixes outside the public address space that may be dialled.
	// Link-local and metadata addresses need their own /32 or /128 here.
	AllowPrivate []netip.Prefix
	// Own lists the addresses this process listens on; they are never dialled, whatever
	// AllowPrivate says. An unspecified address stands for every address of this host. It
	// is called on each dial and must be safe for concurrent use. May be nil. An own
	// public address that a router translates is unknown here: that is a firewall's work.
	Own func() []netip.AddrPort
}

// Guard is the policy of where a request may go. Safe for concurrent use.
type Guard struct {
	options       GuardOptions
	public        *ssrf.Guardian
	allowLoopback bool
}

// NewGuard builds the policy.
func NewGuard(options GuardOptions) *Guard {
	allowLoopback := slices.ContainsFunc(options.AllowPrivate, func(p netip.Prefix) bool {
		return p.Overlaps(loopback4) || p.Overlaps(loopback6)
	})
	return &Guard{options: options, public: ssrf.New(), allowLoopback: allowLoopback}
}

// Control judges the numeric address of a dial; it has the form of
// net.Dialer.ControlContext, which calls it after name resolution and before connect.
func (g *Guard) Control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return errAddressRefused
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddressRefused
	}
	return g.judge(target)
}

// judge refuses what is neither public nor allowed by the operator. All ports are allowed.
func (g *Guard) judge(target netip.AddrPort) error {
	addr := target.Addr().Unmap().WithZone("")
	if g.isOwn(netip.AddrPortFrom(addr, target.Port())) || !g.allows(addr) {
		return errAddressRefused
	}
	return nil
}

func (g *Guard) allows(addr netip.Addr) bool {
	sensitive := containedIn(exactOnly, addr)
	for _, p := range g.options.AllowPrivate {
		if !p.Contains(addr) || sensitive && !p.IsSingleIP() {
			continue
		}
		// A NAT64 gateway forwards to the embedded address: that is the one to judge.
		return !containedIn(translated, addr) || g.allows(embedded(addr))
	}
	return !sensitive && g.public.SafeAddr(addr) == nil
}

// isOwn tells whether a dial would reach a listener of this process.
func (g *Guard) isOwn(target netip.AddrPort) bool {
	if g.options.Own == nil {
		return false
	}
	for _, own := range g.options.Own() {
		if own.Port() != target.Port() {
			continue
		}
		listening := own.Addr().Unmap().WithZone("")
		switch {
		case listening == target.Addr():
			return true
		case listening.IsUnspecified() && isLocal(target.Addr()):
			return true
		case listening.IsLoopback() && target.Addr().IsUnspecified():
			return true // a dial to 0.0.0.0 reaches loopback
		}
	}
	return false
}

// isLocal tells whether addr belongs to this host.
func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return true // unknown: refuse rather than call ourselves
	}
	return slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == addr
	})
}

// embedded is the IPv4 address in the last four bytes of a NAT64 address (RFC 6052,
// section 2.2, prefix length 96; shorter prefixes leave zeros there, which are refused).
func embedded(addr netip.Addr) netip.Addr {
	raw := addr.As16()
	return netip.AddrFrom4([4]byte(raw[12:]))
}

func containedIn(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
