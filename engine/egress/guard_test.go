package egress_test

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"pannier/engine"
	"pannier/engine/egress"
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func policies() map[string]*egress.Guard {
	return map[string]*egress.Guard{
		"default": egress.NewGuard(egress.GuardOptions{}),
		"laptop": egress.NewGuard(egress.GuardOptions{
			AllowInsecure: true, AllowPrivate: prefixes("127.0.0.0/8", "::1/128"),
		}),
		"lan": egress.NewGuard(egress.GuardOptions{AllowPrivate: prefixes("10.1.0.0/16",
			"169.254.0.0/16", "fe80::/10", "fd00::/8", "100.64.0.0/10", "64:ff9b::/96")}),
		"exact": egress.NewGuard(egress.GuardOptions{
			AllowInsecure: true,
			AllowPrivate:  prefixes("169.254.169.254/32", "fd00:ec2::254/128", "fe80::a9fe:a9fe/128"),
		}),
	}
}

type vector struct {
	line                        int
	kind, policy, outcome, text string
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	file, err := os.Open("testdata/ssrf.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var vectors []vector
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		v := vector{line: number}
		fields := []*string{&v.kind, &v.policy, &v.outcome}
		for _, field := range fields {
			*field, line, _ = strings.Cut(line, " ")
			line = strings.TrimLeft(line, " ")
		}
		if v.text = line; strings.HasPrefix(line, `"`) {
			if v.text, err = strconv.Unquote(line); err != nil {
				t.Fatalf("line %d: %v", number, err)
			}
		}
		vectors = append(vectors, v)
	}
	if err := lines.Err(); err != nil || len(vectors) < 200 {
		t.Fatalf("read %d vectors: %v", len(vectors), err)
	}
	return vectors
}

func TestVectors(t *testing.T) {
	t.Parallel()
	guards := policies()
	for _, v := range readVectors(t) {
		guard := guards[v.policy]
		if guard == nil || (v.outcome != "allow" && v.outcome != "refuse") {
			t.Fatalf("line %d: bad vector %+v", v.line, v)
		}
		want := v.outcome == "allow"
		url := v.text
		if v.kind == "literal" {
			url = "https://" + v.text + "/"
			dial := net.JoinHostPort(strings.Trim(v.text, "[]"), "443")
			network := "tcp4"
			if v.text[0] == '[' {
				network = "tcp6"
			}
			if got := guard.Control(t.Context(), network, dial, nil) == nil; got != want {
				t.Errorf("line %d: %s: dial of %s: allowed %t, want %t", v.line, v.policy, dial, got, want)
			}
		}
		err := guard.CheckURL(url)
		if got := err == nil; got != want {
			t.Errorf("line %d: %s: CheckURL(%q) = %v, want allowed %t", v.line, v.policy, url, err, want)
		}
		if err != nil && pointerOf(err) != "/url" {
			t.Errorf("line %d: error %v does not point at /url", v.line, err)
		}
	}
}

// pointerOf is the pointer of an invalid error with one field, else "".
func pointerOf(err error) string {
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.CodeInvalid || len(e.Fields) != 1 {
		return ""
	}
	return e.Fields[0].Pointer
}

func TestURLLength(t *testing.T) {
	t.Parallel()
	guard := egress.NewGuard(egress.GuardOptions{})
	longest := "https://public.test/" + strings.Repeat("a", engine.MaxURLBytes-len("https://public.test/"))
	if err := guard.CheckURL(longest); err != nil {
		t.Errorf("URL of %d bytes refused: %v", len(longest), err)
	}
	if err := guard.CheckURL(longest + "a"); err == nil {
		t.Errorf("URL of %d bytes allowed", len(longest)+1)
	}
}

func TestURLErrorsRepeatNothing(t *testing.T) {
	t.Parallel()
	guard := egress.NewGuard(egress.GuardOptions{})
	for _, url := range []string{
		"https://user:canary@public.test/", "https://public.test:canary/", "canary://public.test/",
		"https://public.test/%zz?token=canary", "http://public.test/?token=canary", "https://canary!/",
	} {
		if err := guard.CheckURL(url); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("CheckURL(%q) = %v", url, err)
		}
	}
}

func TestOwnListeners(t *testing.T) {
	t.Parallel()
	everything := prefixes("0.0.0.0/0", "::/0")
	tests := []struct {
		name, own, dial string
		want            bool
	}{
		{"same address and port", "127.0.0.1:8080", "127.0.0.1:8080", false},
		{"mapped form", "127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", false},
		{"other port", "127.0.0.1:8080", "127.0.0.1:8081", true},
		{"other address", "127.0.0.1:8080", "127.0.0.2:8080", true},
		{"wildcard, loopback", "0.0.0.0:8080", "127.0.0.9:8080", false},
		{"wildcard of IPv6, loopback of IPv4", "[::]:8080", "127.0.0.1:8080", false},
		{"wildcard, unspecified", "[::]:8080", "0.0.0.0:8080", false},
		{"loopback, unspecified", "127.0.0.1:8080", "0.0.0.0:8080", false},
		{"wildcard, elsewhere", "0.0.0.0:8080", "8.8.8.8:8080", true},
		{"public address of this host", "8.8.8.8:8080", "8.8.8.8:8080", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			guard := egress.NewGuard(egress.GuardOptions{
				AllowPrivate: everything,
				Own:          func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(test.own)} },
			})
			network := "tcp4"
			if test.dial[0] == '[' {
				network = "tcp6"
			}
			if got := guard.Control(t.Context(), network, test.dial, nil) == nil; got != test.want {
				t.Errorf("allowed %t, want %t", got, test.want)
			}
		})
	}
}

func TestOwnInterfaceAddresses(t *testing.T) {
	t.Parallel()
	guard := egress.NewGuard(egress.GuardOptions{
		AllowPrivate: prefixes("0.0.0.0/0", "::/0"),
		Own:          func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("[::]:8080")} },
	})
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		host, _, _ := strings.Cut(address.String(), "/")
		if guard.Control(t.Context(), "tcp4", net.JoinHostPort(host, "8080"), nil) == nil {
			t.Errorf("own address %s allowed", host)
		}
	}
}

func TestControlRefusesOtherNetworks(t *testing.T) {
	t.Parallel()
	guard := policies()["default"]
	for _, dial := range [][2]string{
		{"udp4", "8.8.8.8:53"},
		{"unix", "/run/x.sock"},
		{"tcp", "8.8.8.8:443"},
		{"tcp4", "public.test:443"},
		{"tcp4", ""},
		{"tcp6", "[fe80::1%lo]:443"},
	} {
		if guard.Control(t.Context(), dial[0], dial[1], nil) == nil {
			t.Errorf("dial of %v allowed", dial)
		}
	}
}

// TestSchemeIsNamed: who may use http is told so.
func TestSchemeIsNamed(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{"default": "must use https", "laptop": "must use https or http"} {
		err := policies()[policy].CheckURL("ftp://city.example/hooks")
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: CheckURL = %v, want %q", policy, err, want)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://public.test/", "https://[::ffff:7f00:1]:1/", "https://0x7f.1", "http://a@b", "https://bücher.test./?#",
	} {
		f.Add(seed)
	}
	guard := egress.NewGuard(egress.GuardOptions{})
	f.Fuzz(func(t *testing.T, raw string) {
		if guard.CheckURL(raw) != nil {
			return
		}
		if len(raw) > engine.MaxURLBytes || !strings.EqualFold(raw[:len("https://")], "https://") {
			t.Fatalf("allowed %q", raw)
		}
		authority, _, _ := strings.Cut(raw[len("https://"):], "/")
		authority, _, _ = strings.Cut(authority, "?")
		if strings.ContainsAny(authority, "@\\ %") {
			t.Fatalf("allowed authority %q", authority)
		}
		if target, err := netip.ParseAddrPort(authority); err == nil &&
			guard.Control(t.Context(), "tcp6", target.String(), nil) != nil {
			t.Fatalf("allowed at registration, refused at the dial: %q", raw)
		}
	})
}
