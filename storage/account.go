package storage

import (
	"fmt"

	"pannier/engine"
)

// EncodeAccount writes the account of a journal down as it goes to other members: the
// watermark and the cursors of all subscriptions that lag.
func EncodeAccount(mark engine.Watermark, cursors []engine.Cursor) []byte {
	w := newValueWriter(256 + 64*len(cursors))
	w.fixed64(uint64(mark.Journal))
	w.bytes(encodeWatermark(mark))
	w.natural(len(cursors))
	for _, c := range cursors {
		w.string(string(c.Subscription))
		w.bytes(encodeCursor(c))
	}
	return w.b
}

// DecodeAccount is the inverse of EncodeAccount. Errors: the bytes are not an account.
func DecodeAccount(b []byte) (mark engine.Watermark, cursors []engine.Cursor, err error) {
	r := newValueReader(b)
	journal := engine.JournalID(r.fixed64())
	if mark, err = decodeWatermark(journal, r.bytes()); err != nil {
		return mark, nil, fmt.Errorf("read account: %w", err)
	}
	for range r.count(2) {
		sub := engine.SubscriptionID(r.string())
		c, err := decodeCursor(sub, journal, r.bytes())
		if err != nil {
			return mark, nil, fmt.Errorf("read account: %w", err)
		}
		cursors = append(cursors, c)
	}
	if err := r.end(); err != nil {
		return mark, nil, fmt.Errorf("read account: %w", err)
	}
	return mark, cursors, nil
}

// EncodeEvent writes an event down as it goes to the member that delivers it.
func EncodeEvent(e *engine.Event) []byte { return encodeEventValue(e) }

// DecodeEvent is the inverse of EncodeEvent. Errors: the bytes are not that event.
func DecodeEvent(ref engine.EventRef, b []byte) (*engine.Event, error) {
	event, err := decodeEventValue(b)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if event.Ref != ref {
		return nil, fmt.Errorf("read event: %w: another event", errValue)
	}
	return event, nil
}
