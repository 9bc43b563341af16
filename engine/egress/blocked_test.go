package egress_test

import (
	"net/netip"
	"strings"
	"testing"

	"pannier/engine"
	"pannier/engine/egress"
)

func TestBlockedSendsNothing(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, answering(noContent, true))
	own := netip.MustParseAddrPort(to.listener.Addr().String())
	loopback := prefixes("127.0.0.0/8")
	tests := []struct {
		name, url, phrase string
		guard             egress.GuardOptions
	}{
		{"address not allowed any more", to.url(), "url not allowed", egress.GuardOptions{AllowInsecure: true}},
		{"http not allowed any more", to.url(), "url not allowed", egress.GuardOptions{AllowPrivate: loopback}},
		{"name of this host", "http://localhost:" + port(to) + "/", "address not allowed", egress.GuardOptions{
			// The name passes, because some loopback address is allowed; the dial does not.
			AllowInsecure: true, AllowPrivate: prefixes("127.0.0.9/32"),
		}},
		{"own listener", "http://localhost:" + port(to) + "/", "address not allowed", egress.GuardOptions{
			AllowInsecure: true, AllowPrivate: prefixes("127.0.0.0/8", "::1/128"),
			Own: func() []netip.AddrPort {
				return []netip.AddrPort{own, netip.AddrPortFrom(netip.IPv6Loopback(), own.Port())}
			},
		}},
	}
	for _, test := range tests {
		for by, attempt := range clients {
			t.Run(test.name+by, func(t *testing.T) {
				t.Parallel()
				sender := newSender(t, egress.SenderOptions{Guard: egress.NewGuard(test.guard)})
				want := engine.Result{Outcome: engine.OutcomeBlocked, Error: test.phrase, RetryAfter: -1}
				if got := sender.Send(t.Context(), attempt(newSubscription(test.url))); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				if n := to.connections.Load(); n != 0 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}

func port(r *receiver) string {
	address := r.listener.Addr().String()
	return address[strings.LastIndexByte(address, ':')+1:]
}
