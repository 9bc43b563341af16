package protocol

import (
	"slices"
	"time"

	"pannier/cluster/placement"
)

const (
	// ResendAfter is how long a message goes unacknowledged before it is sent again. On a
	// connection that itself loses nothing this happens only after the connection broke.
	ResendAfter = 500 * time.Millisecond
	// MaxEnvelopeBytes bounds what one envelope carries; a single message may be larger.
	MaxEnvelopeBytes = 1 << 20
	// MaxOutboxBytes bounds what waits for one peer's acknowledgement before optional messages
	// (copies, deliveries) wait in the journal instead: a slow peer costs lag, not memory.
	MaxOutboxBytes = 8 << 20
)

// Envelope carries messages of one life of a member to one life of another, over a link that
// may lose, double, delay and reorder envelopes.
type Envelope struct {
	From, To         placement.MemberID
	FromBoot, ToBoot uint64
	// Stream numbers the beginnings of this direction: after the sender gave its peer up it
	// begins anew, with message number 1.
	Stream   uint64
	Number   uint64 // of the first message
	Messages []Message
	// AckStream is the latest stream of the other direction that the sender knows of, and Ack
	// acknowledges its messages.
	AckStream, Ack uint64
}

// stream is both directions between two lives: messages out in order until they are
// acknowledged, messages in, each once and in order. Not safe for concurrent use.
//
// A side that gave the other up, and sees it again, begins anew, and so does the other when it
// learns of that, unless it had nothing to forget. Nothing is taken in from an envelope whose
// sender does not know of the receiver's latest stream. So no answer ever comes to a question
// that was given up.
//
//	out:  acknowledged │ sent │ waiting
//	                 first  sent
type stream struct {
	peer placement.MemberID
	boot uint64

	number   uint64 // of the outgoing stream
	begunAt  time.Time
	out      []Message
	first    uint64    // number of out[0]
	sent     int       // of out, were sent
	bytes    int       // of out
	resendAt time.Time // unless something is acknowledged before

	inStream uint64
	inLast   uint64 // number of the last message taken in
	owesAck  bool
	heard    bool // something was taken in since the outgoing stream began
}

// begin starts the outgoing direction anew: what was not acknowledged is forgotten.
func (s *stream) begin(number uint64) {
	s.number, s.out, s.first, s.sent, s.bytes, s.heard = number, nil, 1, 0, 0, false
}

func (s *stream) push(m Message) {
	s.out = append(s.out, m)
	s.bytes += m.Bytes()
}

// hasRoom tells whether optional messages may be pushed.
func (s *stream) hasRoom() bool { return s.bytes < MaxOutboxBytes }

// owesAnswer tells whether the peer has yet to learn what became of pairs that it handed out.
func (s *stream) owesAnswer() bool {
	return slices.ContainsFunc(s.out, func(m Message) bool {
		switch m.(type) {
		case *Done, *Back:
			return true
		}
		return false
	})
}

// flush gives the next envelope, if there is something to say.
func (s *stream) flush(now time.Time) (e Envelope, more bool) {
	if s.sent == len(s.out) && !s.owesAck {
		return Envelope{}, false
	}
	e = Envelope{
		To: s.peer, ToBoot: s.boot, Stream: s.number, Number: s.first + uint64(s.sent), //nolint:gosec // not negative
		AckStream: s.inStream, Ack: s.inLast,
	}
	s.owesAck = false
	if s.sent == 0 {
		s.resendAt = now.Add(ResendAfter)
	}
	for size := 0; s.sent < len(s.out); s.sent++ {
		size += s.out[s.sent].Bytes()
		if len(e.Messages) > 0 && size > MaxEnvelopeBytes {
			break
		}
		e.Messages = append(e.Messages, s.out[s.sent])
	}
	return e, true
}

// tick sends everything again that was not acknowledged in time.
func (s *stream) tick(now time.Time) {
	if s.sent > 0 && !now.Before(s.resendAt) {
		s.sent = 0
	}
}

// acknowledge forgets what the peer has taken in.
func (s *stream) acknowledge(number, through uint64, now time.Time) {
	if number != s.number || through < s.first {
		return
	}
	n := min(int(through-s.first)+1, len(s.out)) //nolint:gosec // bounded by the outbox
	for _, m := range s.out[:n] {
		s.bytes -= m.Bytes()
	}
	clear(s.out[:n])
	s.out = s.out[n:]
	s.first += uint64(n)
	s.sent = max(0, s.sent-n)
	s.resendAt = now.Add(ResendAfter)
}

// forgottenBy tells whether the peer has begun anew since it was last heard: it gave this
// member up, and with it what it owed.
func (s *stream) forgottenBy(e Envelope) bool { return e.Stream > s.inStream && s.heard }

// receive gives the messages of an envelope that come next, in order.
func (s *stream) receive(e Envelope, now time.Time) []Message {
	if e.Stream < s.inStream {
		return nil
	}
	if e.Stream > s.inStream {
		s.inStream, s.inLast = e.Stream, 0
		s.sent = 0 // what was said before this was known was not taken in
	}
	if e.AckStream != s.number {
		s.owesAck = true // so that the peer learns of the stream
		return nil
	}
	s.acknowledge(e.AckStream, e.Ack, now)
	s.heard = s.heard || e.Ack > 0 // what it took in it owes an answer to
	if len(e.Messages) == 0 {
		return nil
	}
	s.owesAck = true
	if e.Number > s.inLast+1 {
		return nil // one before it was lost
	}
	known := s.inLast + 1 - e.Number
	if known >= uint64(len(e.Messages)) {
		return nil
	}
	s.heard = true
	fresh := e.Messages[known:]
	s.inLast += uint64(len(fresh))
	return fresh
}
