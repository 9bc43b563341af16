package members

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/cluster/placement"

	"github.com/hashicorp/memberlist"
)

const (
	testProbe = 300 * time.Millisecond
	// patience is how long a test waits for a fact: far longer than it takes.
	patience = 20 * time.Second
	poll     = 10 * time.Millisecond
)

// testOptions are those of a member that goes to no seeds.
func testOptions(id placement.MemberID) Options {
	return Options{
		Self: placement.Member{
			ID: id, Boot: 1, State: placement.Joining, Address: "192.0.2.1:7947", API: "192.0.2.1:8080",
			StartedAt: time.Now(),
		},
		Cluster: "test", Key: bytes.Repeat([]byte{7}, keyBytes), Bind: "127.0.0.1:0",
		Format: 1, Shards: 1024, Probe: testProbe, Logger: slog.New(slog.DiscardHandler),
	}
}

func begin(t *testing.T, o Options) *Members {
	t.Helper()
	m, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// beginThree starts the members a, b and c.
func beginThree(t *testing.T, change func(*Options)) []*Members {
	t.Helper()
	var all []*Members
	for _, id := range []placement.MemberID{"a", "b", "c"} {
		o := testOptions(id)
		if change != nil {
			change(&o)
		}
		if len(all) > 0 {
			o.Seeds = []string{all[0].address}
		}
		all = append(all, begin(t, o))
	}
	for _, m := range all {
		sees(t, m, "a1 joining", "b1 joining", "c1 joining")
	}
	return all
}

// sees waits until a member's list is this.
func sees(t *testing.T, m *Members, want ...string) {
	t.Helper()
	eventually(t, func() error {
		if got := words(m.List()); !slices.Equal(got, want) {
			return fmt.Errorf("%s sees %q, want %q", m.options.Self.ID, got, want)
		}
		return nil
	})
}

func words(list []placement.Member) []string {
	got := make([]string, len(list))
	for n, m := range list {
		got[n] = fmt.Sprintf("%s%d %v", m.ID, m.Boot, m.State)
	}
	return got
}

// eventually waits until a fact holds.
func eventually(t *testing.T, fact func() error) {
	t.Helper()
	ticks := time.NewTicker(poll)
	defer ticks.Stop()
	deadline := time.After(patience)
	for {
		err := fact()
		if err == nil {
			return
		}
		select {
		case <-ticks.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// network is what the members' sockets are on: it can be cut in two.
type network struct {
	mu    sync.Mutex
	apart map[string]bool // by address: the smaller side
}

// cut parts these addresses from the others; heal ends that.
func (n *network) cut(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.apart = make(map[string]bool)
	for _, address := range addresses {
		n.apart[address] = true
	}
}

func (n *network) heal() { n.cut() }

func (n *network) reaches(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.apart[from] == n.apart[to]
}

// link is one member's sockets.
type link struct {
	*memberlist.NetTransport

	network *network
	address string
}

// join puts a member on the network.
func (n *network) join(o *Options) {
	var err error
	for range 10 { // the UDP port that goes with a free TCP port may be in use
		var inner *memberlist.NetTransport
		inner, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{"127.0.0.1"}, Logger: log.New(io.Discard, "", 0),
		})
		if err == nil {
			address := fmt.Sprintf("127.0.0.1:%d", inner.GetAutoBindPort())
			o.transport = &link{NetTransport: inner, network: n, address: address}
			return
		}
	}
	panic(err)
}

func (l *link) WriteToAddress(packet []byte, to memberlist.Address) (time.Time, error) {
	if !l.network.reaches(l.address, to.Addr) {
		return time.Now(), nil
	}
	return l.NetTransport.WriteToAddress(packet, to)
}

func (l *link) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if !l.network.reaches(l.address, to.Addr) {
		return nil, errors.New("the link is cut")
	}
	return l.NetTransport.DialAddressTimeout(to, timeout)
}

// logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logbook) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
