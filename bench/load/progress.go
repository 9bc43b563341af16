package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"pannier/bench/load/tally"
)

// progressEvery is how often a long run says where it is.
const progressEvery = 10 * time.Second

// progress says from time to time how far a run is.
type progress struct {
	stop chan struct{}
	done sync.WaitGroup
}

func watchProgress(out io.Writer, book *tally.Book, partners *partners, topics []tally.Topic) *progress {
	p := &progress{stop: make(chan struct{})}
	start := time.Now()
	p.done.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case now := <-ticker.C:
				accepted := int64(0)
				for _, topic := range topics {
					accepted += book.Accepted(topic.Name)
				}
				_, _ = fmt.Fprintf(out, "%4.0f s: %d accepted, %d delivered, %d to come\n",
					now.Sub(start).Seconds(), accepted, partners.unique(), partners.missing())
			}
		}
	})
	return p
}

// close ends it.
func (p *progress) close() {
	close(p.stop)
	p.done.Wait()
}
