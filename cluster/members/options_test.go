package members

import (
	"net"
	"strconv"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, bind, advertise, wantBind, wantAdvertise string
	}{
		{"Bind", "192.0.2.1:7946", "", "192.0.2.1:7946", ":7946"},
		{"EveryAddress", ":7946", "", "0.0.0.0:7946", ":7946"},
		{"EveryAddressIPv6", "[::]:7946", "", "0.0.0.0:7946", ":7946"},
		{"Host", ":7946", "192.0.2.1", "0.0.0.0:7946", "192.0.2.1:7946"},
		{"HostPort", ":7946", "192.0.2.1:9", "0.0.0.0:7946", "192.0.2.1:9"},
		{"HostIPv6", ":7946", "2001:db8::1", "0.0.0.0:7946", "[2001:db8::1]:7946"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions("a")
			o.Bind, o.Advertise = test.bind, test.advertise
			c, err := o.config(t.Context(), t.Context(), "a#1")
			if err != nil {
				t.Fatal(err)
			}
			if got := net.JoinHostPort(c.BindAddr, strconv.Itoa(c.BindPort)); got != test.wantBind {
				t.Errorf("binds %s, want %s", got, test.wantBind)
			}
			if got := net.JoinHostPort(c.AdvertiseAddr, strconv.Itoa(c.AdvertisePort)); got != test.wantAdvertise {
				t.Errorf("advertises %s, want %s", got, test.wantAdvertise)
			}
		})
	}
}
