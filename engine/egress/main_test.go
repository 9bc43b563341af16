package egress_test

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

// proxied counts the connections to the proxy that the environment names.
var proxied atomic.Int64

// TestMain names a proxy in the environment of every test: net/http reads it once.
func TestMain(m *testing.M) {
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for {
			conn, err := proxy.Accept()
			if err != nil {
				return
			}
			proxied.Add(1)
			_ = conn.Close()
		}
	}()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		_ = os.Setenv(name, "http://"+proxy.Addr().String())
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
