package egress_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"pannier/engine"
	"pannier/engine/egress"
)

// BenchmarkSend is one attempt on loopback with everything a real one does. "bare" is
// against a receiver that does next to nothing, so that the sender's own cost shows.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{700, 20 << 10} {
		b.Run(fmt.Sprintf("bare/%d", size), func(b *testing.B) {
			benchmarkSend(b, bareReceiver(b), size)
		})
		b.Run(fmt.Sprintf("nethttp/%d", size), func(b *testing.B) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusNoContent)
			})}
			go func() { _ = server.Serve(listener) }()
			b.Cleanup(func() { _ = server.Close() })
			benchmarkSend(b, listener.Addr().String(), size)
		})
	}
}

func benchmarkSend(b *testing.B, address string, size int) {
	b.Helper()
	sender := newSender(b, egress.SenderOptions{})
	s := newSubscription("http://" + address + "/hooks")
	event := newEvent()
	event.Data = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), size-2)...), '"')
	b.ReportAllocs()
	b.SetParallelism(32) // attempts in flight a processor
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		request := &engine.SendRequest{Event: event, Subscription: s, Number: 1, Lane: "shared"}
		for p.Next() {
			if got := sender.Send(b.Context(), request); got.Outcome != engine.OutcomeSuccess {
				b.Errorf("got %+v", got)
				return
			}
		}
	})
}

// bareReceiver answers a request of known length without looking into it.
func bareReceiver(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerBare(conn)
		}
	}()
	return listener.Addr().String()
}

func answerBare(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 64<<10)
	have := 0
	for {
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return
		}
		have += n
		head := bytes.Index(buffer[:have], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		var length int
		at := bytes.Index(buffer[:head], []byte("Content-Length: "))
		if _, err := fmt.Sscanf(string(buffer[at:head]), "Content-Length: %d", &length); err != nil {
			return
		}
		if have < head+4+length {
			continue
		}
		have = 0
		if _, err := io.WriteString(conn, noContent); err != nil {
			return
		}
	}
}
