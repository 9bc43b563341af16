package storage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"pannier/engine"
)

// The history is written in blocks: what one flush has of the attempts of neighbouring
// events is one entry of Badger, because an entry costs far more than a row in one. A block
// is found again by where its events lie, and by the kind of subscription, so that an event
// with a thousand deliveries does not make one of them hard to find:
//
//	journal · sequence/64 · kind of subscription · flush  ──►  texts · rows
//
// What rows have in common is written once: a text (a subscription's id, an outcome, an
// excerpt) stands in the block's table and a row has its place there; a time is the distance
// to another one. So a row takes about 30 bytes, most of them the trace id.
const (
	blockPrefix = 'b'
	// blockEvents is how many neighbouring events share their blocks, and blockKinds how many
	// kinds of subscriptions there are: whatever the fan-out, a full flush makes blocks of some
	// 64 rows.
	blockEvents, blockKinds = 64, 16
	// placeBytes is the part of a block's key that says what is in it.
	placeBytes = 1 + 8 + 8 + 1
	// blockKeyBytes is a place and what is unlike in any other flush: its time and a number.
	blockKeyBytes = placeBytes + 8 + 4
)

// blockPlace is what the attempts of a delivery are found by.
type blockPlace [placeBytes]byte

func placeOf(sub engine.SubscriptionID, key engine.DeliveryKey) (p blockPlace) {
	p[0] = blockPrefix
	binary.BigEndian.PutUint64(p[1:], uint64(key.Event.Journal))
	binary.BigEndian.PutUint64(p[9:], key.Event.Sequence/blockEvents)
	p[17] = byte(engine.ShardOf(sub) % blockKinds) //nolint:gosec // there are 16
	return p
}

// block is what one flush has of a place.
type block struct{ key, value []byte }

// makeBlocks writes attempts as blocks; flush is the time of it and number counts those of
// this process.
func makeBlocks(attempts []engine.Attempt, flush time.Time, number uint32) []block {
	type placed struct {
		place blockPlace
		index int
	}
	order := make([]placed, len(attempts))
	for i := range attempts {
		order[i] = placed{placeOf(attempts[i].Subscription, attempts[i].Key), i}
	}
	slices.SortStableFunc(order, func(a, b placed) int { return bytes.Compare(a.place[:], b.place[:]) })
	var blocks []block
	w := newBlockWriter()
	for i, p := range order {
		w.write(&attempts[p.index])
		if i+1 < len(order) && order[i+1].place == p.place && w.size() < maxBlockBytes {
			continue
		}
		key := append(make([]byte, 0, blockKeyBytes), p.place[:]...)
		key = binary.BigEndian.AppendUint64(key, unsigned(flush.UnixNano()))
		key = binary.BigEndian.AppendUint32(key, number+uint32(len(blocks))) //nolint:gosec // a flush is bounded
		blocks = append(blocks, block{key: key, value: w.finish()})
	}
	return blocks
}

// maxBlockBytes is after how many bytes a block is full: excerpts may be long.
const maxBlockBytes = 64 << 10

// blockWriter collects the rows of one block after the other.
type blockWriter struct {
	texts     valueWriter
	places    map[string]int // of a text in texts
	rows      valueWriter
	count     int   // of the rows
	lastMilli int64 // when the event of the row before was accepted
}

func newBlockWriter() *blockWriter { return &blockWriter{places: make(map[string]int)} }

func (w *blockWriter) size() int { return len(w.texts.b) + len(w.rows.b) }

func (w *blockWriter) write(a *engine.Attempt) {
	w.count++
	r := &w.rows
	r.natural(w.text(string(a.Subscription)))
	r.int(a.Key.AcceptedMilli - w.lastMilli)
	w.lastMilli = a.Key.AcceptedMilli
	r.uint(uint64(a.Key.Event.Journal))
	r.uint(a.Key.Event.Sequence)
	r.natural(a.Number)
	r.int(a.StartedAt.Unix() - a.Key.AcceptedMilli/1000)
	r.natural(a.StartedAt.Nanosecond())
	r.int(int64(a.Duration))
	r.natural(w.text(string(a.Outcome)))
	r.natural(a.Status)
	r.natural(w.text(a.Error))
	r.natural(w.text(a.Excerpt))
	trace, isTrace := rawTrace(a.TraceID)
	if r.bool(isTrace); isTrace {
		r.fixed(trace[:])
	} else {
		r.natural(w.text(a.TraceID))
	}
}

// text gives the place of a text, which is written when it is new.
func (w *blockWriter) text(text string) int {
	at, known := w.places[text]
	if !known {
		at = len(w.places)
		w.places[text] = at
		w.texts.string(text)
	}
	return at
}

// finish gives the block and begins another one.
func (w *blockWriter) finish() []byte {
	value := newValueWriter(len(w.texts.b) + len(w.rows.b) + 2*binary.MaxVarintLen32)
	value.natural(len(w.places))
	value.fixed(w.texts.b)
	value.natural(w.count)
	value.fixed(w.rows.b)
	w.texts.b, w.rows.b, w.count, w.lastMilli = w.texts.b[:0], w.rows.b[:0], 0, 0
	clear(w.places)
	return value.b
}

// rawTrace is the id that a text writes in hexadecimal digits, as traces have it.
func rawTrace(text string) (id [16]byte, ok bool) {
	if len(text) != 2*len(id) || strings.ContainsAny(text, "ABCDEF") {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(text))
	return id, err == nil
}

// findAttempts gives the attempts of one delivery that are in a block.
func findAttempts(value []byte, sub engine.SubscriptionID, key engine.DeliveryKey) ([]engine.Attempt, error) {
	r := newBlockReader(value)
	if !slices.Contains(r.texts, string(sub)) {
		return nil, r.err
	}
	var found []engine.Attempt
	for range r.count {
		a := r.read()
		if r.err != nil {
			return nil, r.err
		}
		if a.Subscription == sub && a.Key == key {
			found = append(found, a)
		}
	}
	return found, r.end()
}

// blockReader reads the rows of a block.
type blockReader struct {
	*valueReader

	texts     []string
	count     int // of the rows
	lastMilli int64
}

func newBlockReader(value []byte) *blockReader {
	r := &blockReader{valueReader: newValueReader(value)}
	for n := r.natural(); n > 0 && r.err == nil; n-- {
		r.texts = append(r.texts, r.string())
	}
	r.count = r.natural()
	return r
}

// read gives the next row; its error is the reader's.
func (r *blockReader) read() (a engine.Attempt) {
	a.Subscription = engine.SubscriptionID(r.text())
	r.lastMilli += r.int()
	a.Key.AcceptedMilli = r.lastMilli
	a.Key.Event = engine.EventRef{Journal: engine.JournalID(r.uint()), Sequence: r.uint()}
	a.Number = r.natural()
	a.StartedAt = r.started()
	a.Duration = time.Duration(r.int())
	a.Outcome = engine.Outcome(r.text())
	a.Status = r.natural()
	a.Error, a.Excerpt = r.text(), r.text()
	if r.bool() {
		a.TraceID = hex.EncodeToString(r.fixed(16))
	} else {
		a.TraceID = r.text()
	}
	return a
}

// started reads a time, as a distance to when the event was accepted.
func (r *blockReader) started() time.Time {
	seconds, nanoseconds := r.int()+r.lastMilli/1000, r.natural()
	if nanoseconds >= int(time.Second) {
		r.fail("bad time")
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}

// text reads a place in the table.
func (r *blockReader) text() string {
	at := r.natural()
	if at >= len(r.texts) {
		r.fail("a text that is not there")
		return ""
	}
	return r.texts[at]
}

// compareAttempts orders attempts of one delivery: by number, and by start, because an
// interrupted attempt uses no number up.
func compareAttempts(a, b engine.Attempt) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.StartedAt.UnixMilli(), b.StartedAt.UnixMilli()))
}
