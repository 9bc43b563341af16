package egress_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pannier/engine"
	"pannier/engine/egress"
)

// A refused stream was not processed (RFC 9113, section 8.7), so the transport may send
// the request once more within the same attempt, with its whole body.
func TestRefusedStreamIsSentAgain(t *testing.T) {
	t.Parallel()
	certificate, encoded := newCertificate(t, time.Now().Add(time.Hour))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	bodies := make(chan string, 1)
	served := make(chan struct{})
	ended, end := context.WithCancel(context.Background())
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer context.AfterFunc(ended, func() { _ = conn.Close() })()
		refuseFirstStream(conn, bodies)
	}()
	t.Cleanup(func() {
		end()
		_ = listener.Close()
		<-served
	})
	roots, err := egress.NewRoots(encoded)
	if err != nil {
		t.Fatal(err)
	}
	sender := newSender(t, egress.SenderOptions{Roots: roots, Resolver: newResolver(t, func(int) answer {
		return answer{addresses: []string{"127.0.0.1"}}
	})})
	number := listener.Addr().(*net.TCPAddr).Port
	request := attempt(newSubscription("https://hooks.test:" + strconv.Itoa(number) + "/"))
	if got := sender.Send(t.Context(), request); got.Outcome != engine.OutcomeSuccess || got.Status != 204 {
		t.Fatalf("got %+v", got)
	}
	if got, want := <-bodies, string(request.Event.AppendBody(nil)); got != want {
		t.Errorf("body %q, want %q", got, want)
	}
}

// refuseFirstStream is a server of HTTP/2 that refuses the first stream after its body and
// answers the second with 204.
func refuseFirstStream(conn net.Conn, bodies chan<- string) {
	defer conn.Close()
	if _, err := io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	if framer.WriteSettings() != nil {
		return
	}
	var body bytes.Buffer
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			err = framer.WriteSettingsAck()
		}
		data, ok := frame.(*http2.DataFrame)
		if ok {
			body.Write(data.Data())
		}
		switch {
		case !ok || !data.StreamEnded():
		case data.StreamID == 1:
			body.Reset()
			err = framer.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		default:
			bodies <- body.String()
			var block bytes.Buffer
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "204"})
			err = framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: data.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true,
			})
		}
		if err != nil {
			return
		}
	}
}
