package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own binary stand in for the server: a child process that is
// asked to serve does, as far as the harness can see.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(standIn())
	}
	os.Exit(m.Run())
}

// standIn becomes ready at its second look and ends by itself when asked to.
func standIn() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	looks := 0
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if looks++; looks < 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "fatal error: as asked")
		os.Exit(2)
	})
	fmt.Fprintf(os.Stderr, "time=now level=INFO msg=\"pannier is ready\" url=http://%s docs=x\n", listener.Addr())
	_ = http.Serve(listener, nil)
	return 0
}

func startStandIn(t *testing.T) *member {
	t.Helper()
	m, err := newMember(os.Args[0], t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.close() })
	if _, err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemberIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	m := startStandIn(t)
	first, err := m.address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone := m.exited()
	if err := m.kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	default:
		t.Error("kill returned before the process was gone")
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := m.address(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("address of a killed server: %v, want a wait", err)
	}
	if _, err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := m.address(t.Context())
	if err != nil || second == "" || second == first {
		t.Errorf("address = %q, %v; want a new one after %q", second, err, first)
	}
}

func TestServerThatEndsByItselfIsNoticed(t *testing.T) {
	t.Parallel()
	m := startStandIn(t)
	url, err := m.address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &run{member: m}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/crash", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = (&http.Transport{}).RoundTrip(request)
	err = r.live(t.Context(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "as asked") {
		t.Errorf("live = %v, want the last words of the server", err)
	}
}
