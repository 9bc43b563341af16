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
				for _, m := range ends[side].receive(flying[side][n], now) {
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
					got[1-n] += len(ends[1-n].receive(e, now))
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
	meet(from, to, now)
	from.push(&Appended{})
	from.flush(now) // lost
	got := 0
	for range 20 {
		now = now.Add(ResendAfter / 5)
		from.push(&Appended{})
		from.tick(now)
		for e, more := from.flush(now); more; e, more = from.flush(now) {
			got += len(to.receive(e, now))
		}
	}
	if got != 21 {
		t.Errorf("%d of 21 messages arrived", got)
	}
}

// meet has two ends learn of each other's streams.
func meet(a, b *stream, now time.Time) {
	a.owesAck = true
	for range 2 {
		for e, more := a.flush(now); more; e, more = a.flush(now) {
			b.receive(e, now)
		}
		for e, more := b.flush(now); more; e, more = b.flush(now) {
			a.receive(e, now)
		}
	}
}

// TestStreamThatBeginsAnew: whoever gave its peer up takes nothing in that the peer said before
// it learned of that, and the peer is told to begin anew too.
func TestStreamThatBeginsAnew(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	a, b := &stream{peer: "b", boot: 1}, &stream{peer: "a", boot: 1}
	a.begin(1)
	b.begin(1)
	meet(a, b, now)
	a.push(&Appended{Next: 1})
	question, _ := a.flush(now)
	b.receive(question, now)
	b.push(&Appended{Next: 2})
	answer, _ := b.flush(now)

	a.begin(0)
	a.begin(2)
	if got := len(a.receive(answer, now)); got != 0 {
		t.Errorf("%d answers came to a question that was given up, want none", got)
	}
	notice, _ := a.flush(now)
	if !b.forgottenBy(notice) {
		t.Fatal("the peer does not notice that it was given up")
	}
	b.begin(2)
	b.receive(notice, now)
	b.push(&Appended{Next: 3})
	fresh, _ := b.flush(now)
	if a.forgottenBy(fresh) {
		t.Error("the one who gave up takes the peer's new beginning for another loss")
	}
	if got := a.receive(fresh, now); len(got) != 1 {
		t.Fatalf("the new stream brought %d messages, want 1", len(got))
	}
	a.push(&Appended{Next: 4})
	back, _ := a.flush(now)
	if got := len(b.receive(back, now)); got != 1 || b.forgottenBy(back) {
		t.Errorf("the other direction brought %d messages, want 1", got)
	}
}
