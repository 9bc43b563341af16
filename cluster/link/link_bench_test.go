package link

import (
	"fmt"
	"testing"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// benchmarked are the two envelopes that a busy cluster is full of.
func benchmarked() map[string]protocol.Envelope {
	routes := protocol.Envelope{From: "mbr_a", To: "mbr_b"}
	for i := range uint64(100) {
		routes.Messages = append(routes.Messages, &protocol.Route{
			Journal: 0x123456789abcdef0, Sequence: 1_000_000 + i, Event: make([]byte, 600),
			Subscriptions: []engine.SubscriptionID{"sub_0123456789abcdefghij"},
		})
	}
	return map[string]protocol.Envelope{
		"append=512KiB": {From: "mbr_a", To: "mbr_b", Messages: []protocol.Message{
			&protocol.Append{Journal: protocol.JournalRef{ID: 1, Origin: "mbr_a", Boot: 3, Lane: "main"}, Frames: make([]byte, 512<<10)},
		}},
		"routes=100": routes,
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, e := range benchmarked() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(Encode(e))))
			b.ReportAllocs()
			for b.Loop() {
				Encode(e)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, e := range benchmarked() {
		b.Run(name, func(b *testing.B) {
			encoded := Encode(e)
			b.SetBytes(int64(len(encoded)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSend carries envelopes over loopback, as many on the way as the protocol leaves
// without acknowledgement.
func BenchmarkSend(b *testing.B) {
	for name, e := range benchmarked() {
		b.Run(name, func(b *testing.B) {
			size := len(Encode(e))
			from, to := startEnd(b, "mbr_a", nil), startEnd(b, "mbr_b", nil)
			from.Send(to.Address(), e)
			to.next(b) // connected
			b.SetBytes(int64(size))
			b.ReportAllocs()
			onTheWay := 0
			for b.Loop() {
				for onTheWay += size; onTheWay > protocol.MaxOutboxBytes; onTheWay -= size {
					<-to.received
				}
				from.Send(to.Address(), e)
			}
			for ; onTheWay > 0; onTheWay -= size {
				<-to.received
			}
			if n := from.Dropped(); n > 0 {
				b.Errorf("%d envelopes were dropped", n)
			}
		})
	}
}

// BenchmarkRoundTrip is the least time between an envelope and one that answers it.
func BenchmarkRoundTrip(b *testing.B) {
	from, to := startEnd(b, "mbr_a", nil), startEnd(b, "mbr_b", nil)
	for b.Loop() {
		from.Send(to.Address(), numbered("mbr_a", 1))
		to.next(b)
		to.Send(from.Address(), numbered("mbr_b", 1))
		from.next(b)
	}
}

// BenchmarkCall asks for answers of some sizes, one after the other.
func BenchmarkCall(b *testing.B) {
	from, to := startEnd(b, "mbr_a", nil), startEnd(b, "mbr_b", nil)
	for _, size := range []int{100, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			request := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := from.Call(b.Context(), to.Address(), "m", request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
