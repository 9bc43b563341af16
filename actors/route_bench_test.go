package actors_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// BenchmarkRoute takes events from the ingress actor through the mailboxes of their
// subscriptions to a sender that succeeds at once, and their discharge back: everything
// but disk and network. One operation is one delivery.
func BenchmarkRoute(b *testing.B) {
	// outstanding bounds the deliveries under way, so that nobody lags.
	const outstanding, producers = 1024, 16
	for _, fanOut := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("fan-out=%d", fanOut), func(b *testing.B) {
			room := make(chan struct{}, max(1, outstanding/fanOut))
			var delivered atomic.Int64
			m := newMember(b, &engine.Snapshot{}, storage.NewMemoryState(time.Now), sinkSender{func(*engine.SendRequest) {
				if delivered.Add(1)%int64(fanOut) == 0 {
					<-room
				}
			}})
			m.subscribe(b, fanOut, "*")
			events := (b.N + fanOut - 1) / fanOut
			b.ReportAllocs()
			b.ResetTimer()
			var accepting sync.WaitGroup
			for p := range producers {
				accepting.Go(func() {
					for i := p; i < events; i += producers {
						room <- struct{}{}
						if err := m.accept("trip.created", 1); err != nil {
							b.Error(err)
							<-room
							return
						}
					}
				})
			}
			accepting.Wait()
			for range cap(room) { // all of it is free again
				room <- struct{}{}
			}
			b.StopTimer()
			b.ReportMetric(float64(events*fanOut)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}
