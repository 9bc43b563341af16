package egress

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"pannier/engine"
)

// internationalNames accepts a name in its final form only. Nothing is mapped (no
// fullwidth digits, ideographic dots, soft hyphens), so that what was registered is what
// is resolved. The length limits are those of DNS.
var internationalNames = idna.New(
	idna.ValidateForRegistration(),
	idna.VerifyDNSLength(true),
	idna.StrictDomainName(false), // underscores; the ASCII set is checked in checkName
	idna.CheckHyphens(false),     // "r3---edge" is a common form of host name
	idna.BidiRule(),
)

// CheckURL checks a subscription's URL at registration. Errors: invalid, at /url. A name
// is not resolved: where it leads is judged when it is dialled.
func (g *Guard) CheckURL(raw string) error {
	if _, reason := g.parse(raw); reason != "" {
		return engine.Invalid("/url", "%s", reason)
	}
	return nil
}

// parse gives the URL with its host in ASCII, or the reason why it is refused.
func (g *Guard) parse(raw string) (*url.URL, string) {
	if raw == "" {
		return nil, "must not be empty"
	}
	if len(raw) > engine.MaxURLBytes {
		return nil, "must not be longer than " + strconv.Itoa(engine.MaxURLBytes) + " bytes"
	}
	if reason := checkCharacters(raw); reason != "" {
		return nil, reason
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "is not a valid URL" // the parser's text would repeat credentials
	}
	switch insecure := g.options.AllowInsecure; {
	case u.Scheme == "https" || (u.Scheme == "http" && insecure):
	case insecure:
		return nil, "must use https or http"
	default:
		return nil, "must use https"
	}
	if u.User != nil {
		return nil, "must not hold credentials"
	}
	if u.Opaque != "" || u.Hostname() == "" {
		return nil, "must name a host"
	}
	port, ok := portOf(u)
	if !ok {
		return nil, "must use a port from 1 to 65535"
	}
	host, reason := g.checkHost(u, port)
	if reason != "" {
		return nil, reason
	}
	if u.Port() != "" {
		host += ":" + u.Port()
	}
	u.Host = host
	return u, ""
}

// checkCharacters refuses what parsers disagree about or what can be hidden in a display.
func checkCharacters(raw string) string {
	if !utf8.ValidString(raw) {
		return "must be valid UTF-8"
	}
	for _, r := range raw {
		switch {
		case r == '\\' || unicode.IsSpace(r) || !unicode.IsPrint(r):
			return "must not hold spaces, backslashes or control characters"
		case r == '#':
			return "must not have a fragment"
		}
	}
	return ""
}

func portOf(u *url.URL) (uint16, bool) {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return 0, false
		}
		if u.Scheme == "http" {
			return 80, true
		}
		return 443, true
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), err == nil && port > 0
}

// checkHost gives the host as it stands in a URL, in ASCII.
func (g *Guard) checkHost(u *url.URL, port uint16) (string, string) {
	name := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		addr, err := netip.ParseAddr(name)
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "is not a valid URL"
		}
		if g.judge(netip.AddrPortFrom(addr, port)) != nil {
			return "", "must be a public address"
		}
		return "[" + name + "]", ""
	}
	name, ok := checkName(name)
	if !ok {
		return "", "must have a valid host name"
	}
	plain := strings.TrimSuffix(name, ".")
	if endsInNumber(plain) {
		// Resolvers of the C library read many more forms as addresses (0x7f.1, 127.1).
		addr, err := netip.ParseAddr(name)
		if err != nil {
			return "", "must have a host name or an IP address in its usual form"
		}
		if g.judge(netip.AddrPortFrom(addr, port)) != nil {
			return "", "must be a public address"
		}
	}
	if isLoopbackName(plain) && !g.allowLoopback {
		return "", "must be a public address"
	}
	return name, ""
}

// checkName gives a host name in lower case and ASCII.
func checkName(name string) (string, bool) {
	name = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, name)
	relative, rooted := strings.CutSuffix(name, ".")
	ascii, err := internationalNames.ToASCII(relative)
	if err != nil {
		return "", false
	}
	for _, r := range ascii {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' {
			return "", false
		}
	}
	if rooted {
		ascii += "."
	}
	return ascii, true
}

// endsInNumber is the rule of the WHATWG URL standard, section 3.5, for what has to be an
// IPv4 address.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	digits, hexadecimal := strings.CutPrefix(last, "0x")
	return hexadecimal && strings.Trim(digits, "0123456789abcdef") == ""
}

// isLoopbackName knows the names of RFC 6761, section 6.3, and those usual in hosts files.
func isLoopbackName(name string) bool {
	switch name {
	case "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback":
		return true
	}
	return strings.HasSuffix(name, ".localhost")
}
