package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
)

var errDamaged = errors.New("damaged encoding")

// Decode is the inverse of Encode; the envelope shares no memory with b. Empty lists become
// nil. It accepts only what Encode makes. Errors: UnknownKindError when all else is well
// formed; any other error means that b is no envelope of this version. Safe for concurrent use.
func Decode(b []byte) (protocol.Envelope, error) {
	if len(b) > MaxEnvelopeBytes {
		return protocol.Envelope{}, fmt.Errorf("decode envelope: %w: longer than %d bytes", errDamaged, MaxEnvelopeBytes)
	}
	r := newReader(b)
	e := protocol.Envelope{
		From:      placement.MemberID(r.string()),
		To:        placement.MemberID(r.string()),
		FromBoot:  r.uint(),
		ToBoot:    r.uint(),
		Stream:    r.uint(),
		Number:    r.uint(),
		AckStream: r.uint(),
		Ack:       r.uint(),
	}
	e.Messages = readList(r, 1+lengthBytes, (*reader).message)
	if err := r.end(); err != nil {
		return protocol.Envelope{}, fmt.Errorf("decode envelope: %w", err)
	}
	if r.unknown != nil {
		return protocol.Envelope{}, fmt.Errorf("decode envelope: %w", r.unknown)
	}
	return e, nil
}

// reader takes one value apart. After the first mistake every method gives zero and err stays
// set.
type reader struct {
	b       []byte
	err     error
	unknown error // the first message that was passed over
}

func newReader(b []byte) *reader {
	r := &reader{b: b}
	if version := r.byte(); r.err == nil && version != wireVersion {
		r.fail(fmt.Sprintf("version %d, known is %d", version, wireVersion))
	}
	return r
}

// message passes over one of an unknown kind, and remembers that it did.
func (r *reader) message() protocol.Message {
	number := r.byte()
	body := r.fixed(int(r.fixed32()))
	if int(number) >= len(kinds) || kinds[number].read == nil {
		if r.unknown == nil {
			r.unknown = UnknownKindError{number}
		}
		return nil
	}
	rest := r.b
	r.b = body
	m := kinds[number].read(r)
	if r.end() == nil {
		r.b = rest
	}
	return m
}

// end is the error of the whole value: the first mistake, or bytes left over.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("bytes left over")
	}
	return r.err
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errDamaged, what)
	}
	r.b = nil
}

func (r *reader) fixed(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("cut short")
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.fixed(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail("neither true nor false")
	}
	return v == 1
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skipVarint(n)
	return v
}

func (r *reader) natural() int {
	v := r.uint()
	if v > math.MaxInt {
		r.fail("count too large")
		return 0
	}
	return int(v)
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	r.skipVarint(n)
	return v
}

func (r *reader) skipVarint(n int) {
	switch {
	case n <= 0:
		r.fail("bad number")
	case n > 1 && r.b[n-1] == 0:
		r.fail("number longer than needed")
	default:
		r.b = r.b[n:]
	}
}

func (r *reader) fixed32() uint32 {
	if v := r.fixed(lengthBytes); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) fixed64() uint64 {
	if v := r.fixed(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) float() float64 { return math.Float64frombits(r.fixed64()) }

// count reads the length of a list whose items take at least size bytes each, so that a
// damaged length cannot ask for more memory than the value could fill.
func (r *reader) count(size int) int {
	n := r.natural()
	if n > len(r.b)/size {
		r.fail("list longer than the value")
		return 0
	}
	return n
}

func (r *reader) raw() []byte { return r.fixed(r.count(1)) }

// bytes is a copy; nil when empty.
func (r *reader) bytes() []byte {
	if raw := r.raw(); len(raw) > 0 {
		return bytes.Clone(raw)
	}
	return nil
}

func (r *reader) string() string { return string(r.raw()) }

func (r *reader) time() time.Time {
	seconds, nanoseconds := signed(r.uint()), r.natural()
	if nanoseconds >= int(time.Second) {
		r.fail("bad time")
	}
	if r.err != nil {
		return time.Time{}
	}
	return time.Unix(seconds+unixZero, int64(nanoseconds)).UTC()
}

// readList gives nil for an empty list; size is the least that an item takes.
func readList[T any](r *reader, size int, read func(*reader) T) []T {
	n := r.count(size)
	if n == 0 {
		return nil
	}
	list := make([]T, n)
	for i := range list {
		if r.err != nil {
			return nil
		}
		list[i] = read(r)
	}
	return list
}
