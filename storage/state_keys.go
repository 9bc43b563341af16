package storage

import (
	"encoding/binary"
	"time"

	"pannier/engine"
)

// The keys of the state. A kind is one letter and a slash; <sub> is a length byte and the
// subscription's id; numbers are big-endian, so that byte order is numeric order; a
// <delivery> is accept milliseconds, journal and sequence (engine.DeliveryKey.Compare).
//
//	r/<shard><sub><delivery>  retry record
//	p/<shard><sub><delivery>  dead letter without its event
//	e/<shard><sub><delivery>  event of a dead letter
//	t/<died at><sub><delivery> dead letters by time, those that expired too; may outlive them
//	q/<shard><sub>            queue: the durable timer
//	g/<shard><kind><sub><key> when a register of a cluster was written; its value is on r/, p/ and
//	                          e/, q/, a/ or x/ (register.go). A single member has none
//	d/<journal><sequence><sub> done mark; append-ordered, because it is short-lived
//	s/<revision><sub>         version of a subscription
//	k/<id>                    API key
//	c/<journal><sub>          cursor
//	w/<journal>               watermark
//	l/<name>                  lane
//	i/<id>                    identity
//	y/<key>                   answer
//	x/<shard><sub><delivery>  dead letters that expired, by the first of them
//	a/<id>                    replay
//	b/<batch>                 batch dropped by recovery
//	n/                        number of the last commit (state_mark.go)
const (
	prefixRetryRecord = "r/"
	prefixDeadLetter  = "p/"
	prefixDeadEvent   = "e/"
	prefixDeadTime    = "t/"
	prefixQueue       = "q/"
	prefixRegister    = "g/"
	prefixDoneMark    = "d/"
	prefixVersion     = "s/"
	prefixAPIKey      = "k/"
	prefixCursor      = "c/"
	prefixWatermark   = "w/"
	prefixLane        = "l/"
	prefixIdentity    = "i/"
	prefixAnswer      = "y/"
	prefixExpired     = "x/"
	prefixReplay      = "a/"
	prefixDropped     = "b/"
	prefixCommit      = "n/"
)

const (
	prefixBytes      = 2
	shardBytes       = 2
	deliveryKeyBytes = 24
	// MaxKeyBytes bounds a key of the state, and with it every name and id in it.
	MaxKeyBytes = 1024
	// MaxSubscriptionIDBytes bounds a subscription's id: its length takes one byte of a key.
	MaxSubscriptionIDBytes = 255
)

func textKey(prefix, text string) []byte { return append([]byte(prefix), text...) }

func numberKey(prefix string, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefix), number)
}

// subKey is the key of a subscription, or the prefix of the keys of its deliveries.
func subKey(prefix string, sub engine.SubscriptionID) []byte {
	key := make([]byte, 0, prefixBytes+shardBytes+1+len(sub)+deliveryKeyBytes)
	key = append(key, prefix...)
	key = binary.BigEndian.AppendUint16(key, uint16(engine.ShardOf(sub))) //nolint:gosec // there are 1024 shards
	return appendSub(key, sub)
}

func deliveryStateKey(prefix string, sub engine.SubscriptionID, key engine.DeliveryKey) []byte {
	return appendDeliveryKey(subKey(prefix, sub), key)
}

func doneMarkKey(d engine.DoneMark) []byte {
	key := numberKey(prefixDoneMark, uint64(d.Event.Journal))
	key = binary.BigEndian.AppendUint64(key, d.Event.Sequence)
	return appendSub(key, d.Subscription)
}

func versionKey(s *engine.Subscription) []byte {
	return appendSub(numberKey(prefixVersion, s.Revision), s.ID)
}

func cursorKey(journal engine.JournalID, sub engine.SubscriptionID) []byte {
	return appendSub(numberKey(prefixCursor, uint64(journal)), sub)
}

func deadTimeKey(d engine.DeadLetter) []byte { return diedKey(d.DiedAt, d.Subscription, d.Key) }

func expiredTimeKey(x engine.Expired) []byte { return diedKey(x.ExpiredAt, x.Subscription, x.Key) }

func diedKey(at time.Time, sub engine.SubscriptionID, delivery engine.DeliveryKey) []byte {
	key := binary.BigEndian.AppendUint64([]byte(prefixDeadTime), orderedMilli(at.UnixMilli()))
	return appendDeliveryKey(appendSub(key, sub), delivery)
}

func appendSub(key []byte, sub engine.SubscriptionID) []byte {
	// A longer id is refused before its keys are used (see checkKey).
	return append(append(key, byte(len(sub))), sub...) //nolint:gosec // see above
}

func appendDeliveryKey(key []byte, d engine.DeliveryKey) []byte {
	key = binary.BigEndian.AppendUint64(key, orderedMilli(d.AcceptedMilli))
	key = binary.BigEndian.AppendUint64(key, uint64(d.Event.Journal))
	return binary.BigEndian.AppendUint64(key, d.Event.Sequence)
}

// orderedMilli turns the sign bit, so that times before 1970 sort below later ones; milliOf is
// its inverse.
func orderedMilli(milli int64) uint64 { return unsigned(milli) ^ 1<<63 }

func milliOf(ordered uint64) int64 { return signed(ordered ^ 1<<63) }

func readDeliveryKey(raw []byte) engine.DeliveryKey {
	return engine.DeliveryKey{
		AcceptedMilli: milliOf(binary.BigEndian.Uint64(raw)),
		Event: engine.EventRef{
			Journal:  engine.JournalID(binary.BigEndian.Uint64(raw[8:])),
			Sequence: binary.BigEndian.Uint64(raw[16:]),
		},
	}
}

// keyReader takes a key apart, after its prefix. A key of another shape ends with ok false.
type keyReader struct{ valueReader }

func newKeyReader(key []byte) *keyReader {
	return &keyReader{valueReader{b: key[prefixBytes:]}}
}

func (r *keyReader) shard() int {
	if raw := r.fixed(shardBytes); raw != nil {
		return int(binary.BigEndian.Uint16(raw))
	}
	return 0
}

func (r *keyReader) number() uint64 { return r.fixed64() }

func (r *keyReader) sub() engine.SubscriptionID {
	return engine.SubscriptionID(r.pieces.text(r.fixed(int(r.byte()))))
}

func (r *keyReader) delivery() engine.DeliveryKey {
	if raw := r.fixed(deliveryKeyBytes); raw != nil {
		return readDeliveryKey(raw)
	}
	return engine.DeliveryKey{}
}

// rest is all that is left, as text.
func (r *keyReader) rest() string { return string(r.fixed(len(r.b))) }
