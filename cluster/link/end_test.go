package link

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
)

const testCluster = "test"

var testKey = bytes.Repeat([]byte{7}, KeyBytes)

// record is a log that can be searched while it is written.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) count(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.buf.String(), text)
}

// end is a link with what it has received.
type end struct {
	*Link
	received chan protocol.Envelope
	log      *record
}

func echo(_ context.Context, from placement.MemberID, method string, request []byte) ([]byte, error) {
	return append([]byte(string(from)+" "+method+" "), request...), nil
}

// startEnd starts a link that takes everything in; change alters its options.
func startEnd(tb testing.TB, id placement.MemberID, change func(*Options, *bounds)) *end {
	tb.Helper()
	e := &end{received: make(chan protocol.Envelope, 4096), log: &record{}}
	o := Options{
		Self: placement.Member{ID: id}, Cluster: testCluster, Key: testKey, Listen: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(e.log, nil)), Handle: echo,
		Receive: func(envelope protocol.Envelope) { e.received <- envelope },
	}
	b := defaultBounds
	if change != nil {
		change(&o, &b)
	}
	var err error
	if e.Link, err = start(tb.Context(), o, b); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	return e
}

const patience = 20 * time.Second

// next waits for the next envelope.
func (e *end) next(tb testing.TB) protocol.Envelope {
	tb.Helper()
	select {
	case envelope := <-e.received:
		return envelope
	case <-time.After(patience):
		tb.Fatal("no envelope came")
	}
	return protocol.Envelope{}
}

// eventually waits for a fact.
func eventually(tb testing.TB, what string, fact func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !fact(); <-ticker.C {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: did not happen", what)
		}
	}
}

// reaches sends until an envelope of its own has arrived, as the protocol does.
func reaches(tb testing.TB, from, to *end, address string, self placement.MemberID) {
	tb.Helper()
	const mark = 1 << 40
	eventually(tb, "reaching "+address, func() bool {
		from.Send(address, protocol.Envelope{From: self, Number: mark})
		for {
			select {
			case e := <-to.received:
				if e.Number == mark {
					return true
				}
			default:
				return false
			}
		}
	})
}

func numbered(from placement.MemberID, number uint64) protocol.Envelope {
	return protocol.Envelope{From: from, Number: number, Messages: []protocol.Message{&protocol.GroupStored{Token: number}}}
}
