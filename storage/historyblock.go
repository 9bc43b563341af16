package storage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"pannier/engine"
)

// The history is written in blocks: what one flush has of the attempts of neighbouring
// events is one entry of Badger, because an entry costs far more than a row in one. A block
// is found again by where its events lie, and by the kind of subscription, so that an event
// with a thousand deliveries does not make one of them hard to find:
//
//	journal · sequence/64 · kind of subscription · flush  ──►  rows
//	row: its length · subscription · delivery · number · the rest of the attempt
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
type block struct{ key, rows []byte }

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
	var last blockPlace
	row := &valueWriter{}
	for _, p := range order {
		if n := len(blocks); n == 0 || p.place != last || len(blocks[n-1].rows) >= maxBlockBytes {
			key := make([]byte, 0, blockKeyBytes)
			key = append(key, p.place[:]...)
			key = binary.BigEndian.AppendUint64(key, unsigned(flush.UnixNano()))
			key = binary.BigEndian.AppendUint32(key, number+uint32(n)) //nolint:gosec // a flush is bounded
			blocks = append(blocks, block{key: key, rows: newValueWriter(blockEvents * 128).b})
			last = p.place
		}
		row.b = row.b[:0]
		writeAttempt(row, &attempts[p.index])
		b := &blocks[len(blocks)-1]
		b.rows = binary.AppendUvarint(b.rows, uint64(len(row.b)))
		b.rows = append(b.rows, row.b...)
	}
	return blocks
}

// maxBlockBytes is after how many bytes a block is full: excerpts may be long.
const maxBlockBytes = 64 << 10

// writeAttempt begins with what rowPrefix gives.
func writeAttempt(w *valueWriter, a *engine.Attempt) {
	w.b = appendDeliveryKey(appendSub(w.b, a.Subscription), a.Key)
	w.natural(a.Number)
	w.int(int64(a.Duration))
	w.time(a.StartedAt)
	w.string(string(a.Outcome))
	w.natural(a.Status)
	w.string(a.Error)
	w.string(a.Excerpt)
	w.string(a.TraceID)
}

func rowPrefix(sub engine.SubscriptionID, key engine.DeliveryKey) []byte {
	return appendDeliveryKey(appendSub(make([]byte, 0, 1+len(sub)+deliveryKeyBytes), sub), key)
}

// findAttempts gives the attempts of one delivery that are in a block.
func findAttempts(rows []byte, sub engine.SubscriptionID, key engine.DeliveryKey) ([]engine.Attempt, error) {
	var found []engine.Attempt
	prefix := rowPrefix(sub, key)
	r := newValueReader(rows)
	for len(r.b) > 0 {
		row := r.fixed(int(r.uint())) //nolint:gosec // fixed refuses what is negative
		if rest, own := bytes.CutPrefix(row, prefix); own {
			a, err := readAttempt(&valueReader{b: rest})
			if err != nil {
				return nil, err
			}
			a.Subscription, a.Key = sub, key
			found = append(found, a)
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("read a block: %w", r.err)
	}
	return found, nil
}

func readAttempt(r *valueReader) (engine.Attempt, error) {
	a := engine.Attempt{
		Number:    r.natural(),
		Duration:  time.Duration(r.int()),
		StartedAt: r.time(),
		Outcome:   engine.Outcome(r.string()),
		Status:    r.natural(),
		Error:     r.string(),
		Excerpt:   r.string(),
		TraceID:   r.string(),
	}
	return a, r.end()
}

// compareAttempts orders attempts of one delivery: by number, and by start, because an
// interrupted attempt uses no number up.
func compareAttempts(a, b engine.Attempt) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.StartedAt.UnixMilli(), b.StartedAt.UnixMilli()))
}
