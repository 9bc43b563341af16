package egress_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"pannier/engine"
	"pannier/engine/egress"
)

// answer is what the name server of a test says to one question.
type answer struct {
	addresses []string
	alias     string // a CNAME in front of the addresses
	code      dnsmessage.RCode
	silent    bool
}

// newResolver starts a name server; respond is called with the number of earlier
// questions of the same type.
func newResolver(t *testing.T, respond func(question int) answer) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var asked [2]int
		buffer := make([]byte, 4096)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(buffer[:n]) != nil || len(query.Questions) != 1 {
				continue
			}
			family := 0
			if query.Questions[0].Type == dnsmessage.TypeAAAA {
				family = 1
			}
			a := respond(asked[family])
			asked[family]++
			if packed, err := reply(query, a); err == nil && !a.silent {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	// A lookup that nobody waits for any more goes on to its own timeout of 5 s, unless its
	// connections end.
	asking, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		_ = server.Close()
		<-stopped
	})
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(asking, "udp", server.LocalAddr().String())
		if err == nil {
			context.AfterFunc(asking, func() { _ = conn.Close() })
		}
		return conn, err
	}}
}

func reply(query dnsmessage.Message, a answer) ([]byte, error) {
	question := query.Questions[0]
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: query.ID, Response: true, Authoritative: true, RecursionAvailable: true, RCode: a.code,
		},
		Questions: query.Questions,
	}
	name := question.Name
	if a.alias != "" {
		alias := dnsmessage.MustNewName(a.alias)
		message.Answers = append(message.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.CNAMEResource{CNAME: alias},
		})
		name = alias
	}
	for _, text := range a.addresses {
		addr := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: name, Type: question.Type, Class: dnsmessage.ClassINET}
		switch {
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: header, Body: &dnsmessage.AResource{A: addr.As4()},
			})
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()},
			})
		}
	}
	return message.Pack()
}

func TestNames(t *testing.T) {
	t.Parallel()
	private := make([]string, 60)
	for i := range private {
		private[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String()
	}
	tests := []struct {
		name    string
		answer  answer
		outcome engine.Outcome
		phrase  string
	}{
		{"allowed", answer{addresses: []string{"127.0.0.1"}}, engine.OutcomeSuccess, ""},
		{"alias of allowed", answer{alias: "edge.test.", addresses: []string{"127.0.0.1"}}, engine.OutcomeSuccess, ""},
		{"loopback", answer{addresses: []string{"127.0.0.2"}}, engine.OutcomeBlocked, "address not allowed"},
		{"private", answer{addresses: []string{"10.0.0.1"}}, engine.OutcomeBlocked, "address not allowed"},
		{"metadata", answer{addresses: []string{"169.254.169.254"}}, engine.OutcomeBlocked, "address not allowed"},
		{"unspecified", answer{addresses: []string{"0.0.0.0"}}, engine.OutcomeBlocked, "address not allowed"},
		{"loopback of IPv6", answer{addresses: []string{"::1"}}, engine.OutcomeBlocked, "address not allowed"},
		{"mapped", answer{addresses: []string{"::ffff:127.0.0.2"}}, engine.OutcomeBlocked, "address not allowed"},
		{"NAT64", answer{addresses: []string{"64:ff9b::7f00:1"}}, engine.OutcomeBlocked, "address not allowed"},
		{"alias of private", answer{alias: "db.internal.", addresses: []string{"10.0.0.1"}}, engine.OutcomeBlocked, "address not allowed"},
		{"many private", answer{addresses: private}, engine.OutcomeBlocked, "address not allowed"},
		{"none", answer{}, engine.OutcomeFailure, "host not found"},
		{"no such name", answer{code: dnsmessage.RCodeNameError}, engine.OutcomeFailure, "host not found"},
		{"server failure", answer{code: dnsmessage.RCodeServerFailure}, engine.OutcomeFailure, "name resolution failed"},
		{"no answer", answer{silent: true}, engine.OutcomeFailure, "timeout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			to := newReceiver(t, answering(noContent, true))
			resolver := newResolver(t, func(int) answer { return test.answer })
			s := newSubscription("http://hooks.test:" + port(to) + "/")
			if test.answer.silent {
				s.Timeout = short
			}
			got := newSender(t, egress.SenderOptions{Resolver: resolver}).Send(t.Context(), attempt(s))
			if got.Outcome != test.outcome || got.Error != test.phrase {
				t.Errorf("got %+v, want %s %q", got, test.outcome, test.phrase)
			}
			if n := to.connections.Load(); (n == 1) != (test.outcome == engine.OutcomeSuccess) {
				t.Errorf("%d connections", n)
			}
		})
	}
	t.Run("through no proxy", func(t *testing.T) {
		if n := proxied.Load(); n != 0 {
			t.Errorf("%d connections to the proxy of the environment", n)
		}
	})
}

func TestRebinding(t *testing.T) {
	t.Parallel()
	allowed := newReceiver(t, answering(noContent, true))
	inside := newReceiverAt(t, "127.0.0.2:"+port(allowed), answering(noContent, true))
	var moved atomic.Bool
	resolver := newResolver(t, func(int) answer {
		if moved.Load() {
			return answer{addresses: []string{"127.0.0.2"}}
		}
		return answer{addresses: []string{"127.0.0.1"}}
	})
	sender := newSender(t, egress.SenderOptions{Resolver: resolver})
	s := newSubscription("http://hooks.test:" + port(allowed) + "/")
	for i, want := range []engine.Outcome{engine.OutcomeSuccess, engine.OutcomeBlocked, engine.OutcomeSuccess} {
		moved.Store(i == 1)
		if got := sender.Send(t.Context(), attempt(s)); got.Outcome != want {
			t.Errorf("attempt %d: got %+v, want %s", i, got, want)
		}
		sender.CloseIdle()
	}
	if n := inside.connections.Load(); n != 0 {
		t.Errorf("%d connections inside", n)
	}
}

func TestMixedAnswerNeverFallsOver(t *testing.T) {
	t.Parallel()
	// Nobody listens on the allowed address; somebody does on the one that is not.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, number, _ := strings.Cut(address, ":")
	inside := newReceiverAt(t, "127.0.0.2:"+number, answering(noContent, true))
	_ = free.Close()
	resolver := newResolver(t, func(question int) answer {
		if question%2 == 0 {
			return answer{addresses: []string{"127.0.0.1", "127.0.0.2", "::1"}}
		}
		return answer{addresses: []string{"127.0.0.2", "127.0.0.1"}}
	})
	sender, s := newSender(t, egress.SenderOptions{Resolver: resolver}), newSubscription("http://hooks.test:"+number+"/")
	for range 4 {
		if got := sender.Send(t.Context(), attempt(s)); got.Outcome != engine.OutcomeBlocked && got.Outcome != engine.OutcomeFailure {
			t.Errorf("got %+v", got)
		}
	}
	if n := inside.connections.Load(); n != 0 {
		t.Errorf("%d connections inside", n)
	}
}
