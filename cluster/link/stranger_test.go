package link

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
)

func TestOtherClustersAreRefused(t *testing.T) {
	t.Parallel()
	b := startEnd(t, "mbr_b", nil)
	for name, change := range map[string]func(*Options){
		"another key":          func(o *Options) { o.Key = bytes.Repeat([]byte{8}, KeyBytes) },
		"another cluster name": func(o *Options) { o.Cluster = "prod" },
	} {
		stranger := startEnd(t, "mbr_a", func(o *Options, _ *bounds) { change(o) })
		stranger.Send(b.Address(), numbered("mbr_a", 1))
		b.Send(stranger.Address(), numbered("mbr_b", 1))
		for from, to := range map[*end]*end{stranger: b, b: stranger} {
			if _, err := from.Call(t.Context(), to.Address(), "m", nil); engine.ErrorCode(err) != engine.CodeUnavailable {
				t.Errorf("%s: call = %v", name, err)
			}
			eventually(t, name, func() bool { return from.Dropped() > 0 && from.log.count("not of this cluster") > 0 })
		}
	}
	reaches(t, startEnd(t, "mbr_a", nil), b, b.Address(), "mbr_a")
}

// TestStrangersAreRefused: what is no member is cut off, also where it does not look at the
// certificate it is shown.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	b := startEnd(t, "mbr_b", nil)
	foreign, err := makeIdentity(bytes.Repeat([]byte{8}, KeyBytes), testCluster, "mbr_a")
	if err != nil {
		t.Fatal(err)
	}
	own, err := makeIdentity(testKey, testCluster, "mbr_a")
	if err != nil {
		t.Fatal(err)
	}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	hello := func(change func(*tls.Config)) func(net.Conn) net.Conn {
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		change(config)
		return func(c net.Conn) net.Conn { return tls.Client(c, config) }
	}
	plain := func(c net.Conn) net.Conn { return c }
	for name, stranger := range map[string]struct {
		wrap func(net.Conn) net.Conn
		says string
	}{
		"garbage":          {plain, string(bytes.Repeat([]byte{0xa5, 0}, 4096))},
		"an HTTP/1 client": {plain, "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
		"HTTP/2 in clear":  {plain, preface},
		"no certificate":   {hello(func(*tls.Config) {}), preface},
		"another authority": {hello(func(c *tls.Config) {
			c.Certificates = []tls.Certificate{foreign.certificate}
		}), preface},
		"TLS 1.2": {hello(func(c *tls.Config) {
			c.Certificates, c.MaxVersion = []tls.Certificate{own.certificate}, tls.VersionTLS12
		}), preface},
		"a member with garbage": {hello(func(c *tls.Config) {
			c.Certificates = []tls.Certificate{own.certificate}
		}), string(bytes.Repeat([]byte{0xa5, 0}, 4096))},
		"a member with HTTP/1": {hello(func(c *tls.Config) {
			c.Certificates, c.NextProtos = []tls.Certificate{own.certificate}, nil
		}), "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
	} {
		raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(handshakeTimeout / 2))
		c := stranger.wrap(raw)
		if _, err = io.WriteString(c, stranger.says); err == nil {
			// It may be told why; then the connection ends.
			_, err = io.Copy(io.Discard, c)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still connected", name)
		}
	}
	if len(b.received) > 0 {
		t.Error("a stranger was heard")
	}
	reaches(t, startEnd(t, "mbr_a", nil), b, b.Address(), "mbr_a")
}

func TestEnvelopeInAnothersNameIsRefused(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	for range 2 {
		dropped := a.Dropped()
		eventually(t, "refusing", func() bool {
			a.Send(b.Address(), numbered("mbr_c", 1))
			return a.Dropped() > dropped
		})
	}
	reaches(t, a, b, b.Address(), "mbr_a")
	if n := b.log.count("another member's name"); n != 1 {
		t.Errorf("the refusal was logged %d times", n)
	}
	for len(b.received) > 0 {
		if e := <-b.received; e.From != "mbr_a" {
			t.Errorf("%+v was let in", e)
		}
	}
}

func TestUnknownKindsAreRefused(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	queue := &a.peer(b.Address()).queue
	for range 3 {
		queue.push(withUnknownKind(protocol.Envelope{From: "mbr_a", Number: 1}, 255))
	}
	queue.push(Encode(numbered("mbr_a", 2)))
	if got := b.next(t); got.Number != 2 {
		t.Errorf("got %+v", got)
	}
	if n := b.log.count("unknown kind refused"); n != 1 {
		t.Errorf("the refusal was logged %d times", n)
	}
	if n := a.Dropped(); n != 0 {
		t.Errorf("the stream broke: %d envelopes were dropped", n)
	}
}

func TestDamagedEnvelopesEndTheStream(t *testing.T) {
	t.Parallel()
	a, b := startEnd(t, "mbr_a", nil), startEnd(t, "mbr_b", nil)
	queue := &a.peer(b.Address()).queue
	queue.push([]byte("garbage"))
	eventually(t, "refusing", func() bool { return b.log.count("damaged envelope refused") == 1 })
	eventually(t, "breaking", func() bool { return a.log.count("damaged envelope") == 1 })
	reaches(t, a, b, b.Address(), "mbr_a")
}
