package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The values of the state and the history are short binary: a version byte, then the
// fields in a fixed order. What the key already says is not repeated. A value has exactly
// one encoding, so decoding refuses long varints, other bytes than 0 and 1 for a truth,
// and anything left over.

// valueVersion is the first byte of every value.
const valueVersion = 1

var errValue = errors.New("damaged value")

// unixZero is the Unix time of the zero time.Time: times count from there, so that the
// zero time takes one byte.
const unixZero = -62135596800

// unsigned and signed turn one kind of number into the other and keep every bit.
func unsigned(v int64) uint64 { return uint64(v) } //nolint:gosec // the bits are what is kept
func signed(v uint64) int64   { return int64(v) }  //nolint:gosec // the bits are what is kept

// valueWriter builds one value.
type valueWriter struct{ b []byte }

func newValueWriter(size int) *valueWriter {
	return &valueWriter{b: append(make([]byte, 0, size+1), valueVersion)}
}

func (w *valueWriter) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

// natural writes a count, which is never below zero.
func (w *valueWriter) natural(v int) { w.uint(unsigned(int64(v))) }

func (w *valueWriter) int(v int64) { w.b = binary.AppendVarint(w.b, v) }

func (w *valueWriter) fixed(v []byte) { w.b = append(w.b, v...) }

func (w *valueWriter) fixed64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

func (w *valueWriter) float(v float64) { w.fixed64(math.Float64bits(v)) }

func (w *valueWriter) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *valueWriter) bytes(v []byte) {
	w.natural(len(v))
	w.fixed(v)
}

func (w *valueWriter) string(v string) {
	w.natural(len(v))
	w.b = append(w.b, v...)
}

// time keeps the instant to the nanosecond and drops the zone.
func (w *valueWriter) time(t time.Time) {
	w.uint(unsigned(t.Unix() - unixZero))
	w.natural(t.Nanosecond())
}

// valueReader takes one value apart. After the first mistake every method gives zero and
// err stays set.
type valueReader struct {
	b   []byte
	err error
	// shared, when set, makes equal strings share their memory (see sharedString).
	shared map[string]string
	// pieces, when set, is where strings are put.
	pieces *pieces
}

func newValueReader(value []byte) *valueReader {
	r := &valueReader{b: value}
	if version := r.byte(); r.err == nil && version != valueVersion {
		r.err = fmt.Errorf("%w: version %d, known is %d", errValue, version, valueVersion)
	}
	return r
}

// end is the error of the whole value: the first mistake, or bytes left over.
func (r *valueReader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("bytes left over")
	}
	return r.err
}

func (r *valueReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errValue, what)
	}
	r.b = nil
}

func (r *valueReader) fixed(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("cut short")
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *valueReader) byte() byte {
	if v := r.fixed(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *valueReader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail("neither true nor false")
	}
	return v == 1
}

func (r *valueReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skipVarint(n)
	return v
}

func (r *valueReader) natural() int {
	v := r.uint()
	if v > math.MaxInt {
		r.fail("count too large")
		return 0
	}
	return int(v)
}

func (r *valueReader) int() int64 {
	v, n := binary.Varint(r.b)
	r.skipVarint(n)
	return v
}

func (r *valueReader) skipVarint(n int) {
	switch {
	case n <= 0:
		r.fail("bad number")
	case n > 1 && r.b[n-1] == 0:
		r.fail("number longer than needed")
	default:
		r.b = r.b[n:]
	}
}

func (r *valueReader) fixed64() uint64 {
	if v := r.fixed(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *valueReader) float() float64 { return math.Float64frombits(r.fixed64()) }

// count reads the length of a list whose items take at least size bytes each, so that a
// damaged length cannot ask for more memory than the value could fill.
func (r *valueReader) count(size int) int {
	n := r.natural()
	if n > len(r.b)/size {
		r.fail("list longer than the value")
		return 0
	}
	return n
}

func (r *valueReader) raw() []byte { return r.fixed(r.count(1)) }

// bytes is a copy; nil when empty.
func (r *valueReader) bytes() []byte { return append([]byte(nil), r.raw()...) }

func (r *valueReader) string() string { return r.pieces.text(r.raw()) }

// sharedString is string for texts that many values repeat.
func (r *valueReader) sharedString() string {
	raw := r.raw()
	if r.shared == nil {
		return r.pieces.text(raw)
	}
	if known, ok := r.shared[string(raw)]; ok {
		return known
	}
	text := r.pieces.text(raw)
	if len(r.shared) < maxSharedStrings {
		r.shared[text] = text
	}
	return text
}

// maxSharedStrings bounds the texts that one load remembers for sharing.
const maxSharedStrings = 100_000

func (r *valueReader) digest() (digest [32]byte) {
	copy(digest[:], r.fixed(len(digest)))
	return digest
}

func (r *valueReader) time() time.Time {
	seconds, nanoseconds := signed(r.uint()), r.natural()
	if nanoseconds >= int(time.Second) {
		r.fail("bad time")
	}
	if r.err != nil {
		return time.Time{}
	}
	return time.Unix(seconds+unixZero, int64(nanoseconds)).UTC()
}
