package link

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"time"

	"pannier/cluster/protocol"
)

// An envelope is short binary: a version byte, its fields in a fixed order, then each message
// as a kind byte, the length of what follows in four bytes, and its fields. The length lets a
// member pass over a kind that it does not know. An envelope has exactly one encoding.

// MaxEnvelopeBytes bounds one encoded envelope. The protocol fills envelopes to 1 MiB; only a
// single message that is larger by itself, such as the records of one group commit, goes above.
const MaxEnvelopeBytes = 16 << 20

// wireVersion is the first byte of all that is encoded here.
const wireVersion = 2

// unixZero is the Unix time of the zero time.Time: times count from there, so that the zero
// time takes one byte.
const unixZero = -62135596800

// unsigned and signed turn one kind of number into the other and keep every bit.
func unsigned(v int64) uint64 { return uint64(v) } //nolint:gosec // the bits are what is sent
func signed(v uint64) int64   { return int64(v) }  //nolint:gosec // the bits are what is sent

// Encode gives the encoding of an envelope, which shares no memory with it. A message of a
// kind that has no encoding becomes one of kind 0, which every member refuses. Safe for
// concurrent use.
func Encode(e protocol.Envelope) []byte {
	const fixed = 128 // the fields of the envelope itself
	size := fixed
	for _, m := range e.Messages {
		size += m.Bytes()
	}
	w := newWriter(size)
	w.string(string(e.From))
	w.string(string(e.To))
	w.uint(e.FromBoot)
	w.uint(e.ToBoot)
	w.uint(e.Stream)
	w.uint(e.Number)
	w.uint(e.AckStream)
	w.uint(e.Ack)
	w.natural(len(e.Messages))
	for _, m := range e.Messages {
		w.message(m)
	}
	return w.b
}

// UnknownKindError tells that an envelope is well formed, but carries a message of a kind that
// this version does not know.
type UnknownKindError struct{ Kind byte }

// Error implements error.
func (e UnknownKindError) Error() string { return fmt.Sprintf("message of unknown kind %d", e.Kind) }

// writer builds one value.
type writer struct{ b []byte }

func newWriter(size int) *writer { return &writer{b: append(make([]byte, 0, size+1), wireVersion)} }

const lengthBytes = 4

func (w *writer) message(m protocol.Message) {
	number := numbers[reflect.TypeOf(m)]
	w.byte(number)
	begin := len(w.b) + lengthBytes
	w.b = binary.BigEndian.AppendUint32(w.b, 0)
	if number != 0 {
		kinds[number].write(w, m)
	}
	length := uint32(len(w.b) - begin) //nolint:gosec // an envelope that long is refused
	binary.BigEndian.PutUint32(w.b[begin-lengthBytes:], length)
}

func (w *writer) byte(v byte) { w.b = append(w.b, v) }

func (w *writer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

// natural writes what is never below zero.
func (w *writer) natural(v int) { w.uint(unsigned(int64(v))) }

func (w *writer) int(v int64) { w.b = binary.AppendVarint(w.b, v) }

// fixed64 writes numbers that use all their bits: hashes, random ids.
func (w *writer) fixed64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

func (w *writer) float(v float64) { w.fixed64(math.Float64bits(v)) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func (w *writer) bytes(v []byte) {
	w.natural(len(v))
	w.b = append(w.b, v...)
}

func (w *writer) string(v string) {
	w.natural(len(v))
	w.b = append(w.b, v...)
}

// time keeps the instant to the nanosecond and drops the zone.
func (w *writer) time(t time.Time) {
	w.uint(unsigned(t.Unix() - unixZero))
	w.natural(t.Nanosecond())
}

func writeList[T any](w *writer, list []T, write func(*writer, T)) {
	w.natural(len(list))
	for _, v := range list {
		write(w, v)
	}
}
