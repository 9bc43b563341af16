package protocol

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
)

// TestStreamDeliversOnceAndInOrder: whatever a link loses, doubles and reorders, both sides
// take every message in once and in order.
func TestStreamDeliversOnceAndInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		ends := [2]*stream{{peer: "b", boot: 1}, {peer: "a", boot: 1}}
		ends[0].begin(1)
		ends[1].begin(1)
		var sent, got [2]int
		var flying [2][]Envelope // towards
		step := func(deliver bool) {
			side := rapid.IntRange(0, 1).Draw(t, "side")
			switch action := rapid.IntRange(0, 4).Draw(t, "action"); {
			case action == 0 && !deliver:
				ends[side].push(&Appended{Journal: engine.JournalID(side), Next: uint64(sent[side])})
				sent[side]++
			case action == 1 && !deliver && len(flying[side]) > 0:
				flying[side] = flying[side][1:] // lost
			case action == 2:
				now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, ResendAfter}).Draw(t, "passes"))
				ends[side].tick(now)
			case len(flying[side]) > 0:
				n := rapid.IntRange(0, len(flying[side])-1).Draw(t, "which")
				messages, _ := ends[side].receive(flying[side][n], now)
				for _, m := range messages {
					message, _ := m.(*Appended)
					if message.Next != uint64(got[side]) {
						t.Fatalf("got message %d, want %d", message.Next, got[side])
					}
					got[side]++
				}
				if rapid.Bool().Draw(t, "once") {
					flying[side] = append(flying[side][:n], flying[side][n+1:]...)
				}
			}
			for n, end := range ends {
				for e, more := end.flush(now); more; e, more = end.flush(now) {
					flying[1-n] = append(flying[1-n], e)
				}
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			step(false)
		}
		// A link that loses nothing brings the rest.
		for range 20 {
			now = now.Add(ResendAfter)
			for n, end := range ends {
				end.tick(now)
				for e, more := end.flush(now); more; e, more = end.flush(now) {
					messages, _ := ends[1-n].receive(e, now)
					got[1-n] += len(messages)
				}
			}
		}
		for side := range 2 {
			if got[1-side] != sent[side] || len(ends[side].out) != 0 || ends[side].bytes != 0 {
				t.Fatalf("side %d: %d of %d arrived, %d wait, %d bytes", side, got[1-side], sent[side], len(ends[side].out), ends[side].bytes)
			}
		}
	})
}

// TestStreamSendsAgainBesideFreshMessages: what was lost is sent again although new messages
// keep coming.
func TestStreamSendsAgainBesideFreshMessages(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	from, to := &stream{peer: "b", boot: 1}, &stream{peer: "a", boot: 1}
	from.begin(1)
	to.begin(1)
	from.push(&Appended{})
	from.flush(now) // lost
	got := 0
	for range 20 {
		now = now.Add(ResendAfter / 5)
		from.push(&Appended{})
		from.tick(now)
		for e, more := from.flush(now); more; e, more = from.flush(now) {
			messages, _ := to.receive(e, now)
			got += len(messages)
		}
	}
	if got != 21 {
		t.Errorf("%d of 21 messages arrived", got)
	}
}

// TestStreamThatBeginsAnew: a peer that was given up and seen again gets numbers from 1, and
// nothing of the earlier stream any more.
func TestStreamThatBeginsAnew(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	from, to := &stream{peer: "b", boot: 1}, &stream{peer: "a", boot: 1}
	from.begin(1)
	to.begin(1)
	from.push(&Appended{Next: 1})
	early, _ := from.flush(now)
	from.begin(2)
	from.push(&Appended{Next: 2})
	late, _ := from.flush(now)
	if got, anew := to.receive(late, now); len(got) != 1 || !anew {
		t.Fatalf("the new stream brought %d messages and anew %v, want 1 and true", len(got), anew)
	}
	if got, anew := to.receive(early, now); len(got) != 0 || anew {
		t.Errorf("the old stream brought %d messages and anew %v, want none and false", len(got), anew)
	}
}
