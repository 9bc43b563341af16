package storage

import (
	"time"

	"pannier/engine"
)

// Values of how far journals and subscriptions are.

func encodeQueue(q engine.Queue) []byte {
	w := newValueWriter(40)
	w.time(q.NextDue)
	w.natural(q.Records)
	w.int(q.OldestMilli)
	c := q.Circuit
	w.bool(c.Open)
	w.natural(c.Failures)
	w.time(c.FirstFailure)
	w.time(c.OpenedAt)
	w.time(c.ProbeAt)
	w.int(int64(c.ProbeInterval))
	w.int(int64(c.Frozen))
	return w.b
}

func decodeQueue(sub engine.SubscriptionID, value []byte) (engine.Queue, error) {
	r := newValueReader(value)
	q := engine.Queue{
		Subscription: sub,
		NextDue:      r.time(),
		Records:      r.natural(),
		OldestMilli:  r.int(),
		Circuit: engine.CircuitState{
			Open:          r.bool(),
			Failures:      r.natural(),
			FirstFailure:  r.time(),
			OpenedAt:      r.time(),
			ProbeAt:       r.time(),
			ProbeInterval: time.Duration(r.int()),
			Frozen:        time.Duration(r.int()),
		},
	}
	return q, r.end()
}

func encodeCursor(c engine.Cursor) []byte {
	w := newValueWriter(24 + 8*len(c.Ranges))
	w.uint(c.Waiting)
	w.int(c.OldestMilli)
	w.ranges(c.Ranges)
	return w.b
}

func decodeCursor(sub engine.SubscriptionID, journal engine.JournalID, value []byte) (engine.Cursor, error) {
	r := newValueReader(value)
	c := engine.Cursor{
		Subscription: sub,
		Journal:      journal,
		Waiting:      r.uint(),
		OldestMilli:  r.int(),
		Ranges:       r.ranges(),
	}
	return c, r.end()
}

func encodeWatermark(m engine.Watermark) []byte {
	w := newValueWriter(64 + 40*len(m.Open) + 10*len(m.Released))
	w.uint(m.Sequence)
	w.uint(m.Routed)
	w.uint(m.Synced)
	w.uint(m.OpenThrough)
	w.natural(len(m.Open))
	for _, open := range m.Open {
		w.string(string(open.Subscription))
		w.sequences(open.Sequences)
	}
	w.natural(len(m.Released))
	for _, batch := range m.Released {
		w.uint(batch)
	}
	w.uint(m.Totals.Accepted)
	w.uint(m.Totals.Matched)
	w.uint(m.Totals.Retried)
	w.uint(unsigned(m.Totals.Dead))
	w.uint(unsigned(m.Totals.Discarded))
	return w.b
}

func decodeWatermark(journal engine.JournalID, value []byte) (engine.Watermark, error) {
	r := newValueReader(value)
	m := engine.Watermark{
		Journal:     journal,
		Sequence:    r.uint(),
		Routed:      r.uint(),
		Synced:      r.uint(),
		OpenThrough: r.uint(),
	}
	if n := r.count(2); n > 0 {
		m.Open = make([]engine.OpenPairs, n)
		for i := range m.Open {
			m.Open[i] = engine.OpenPairs{Subscription: engine.SubscriptionID(r.string()), Sequences: r.sequences()}
		}
	}
	if n := r.count(1); n > 0 {
		m.Released = make([]uint64, n)
		for i := range m.Released {
			m.Released[i] = r.uint()
		}
	}
	m.Totals = engine.Totals{
		Accepted:  r.uint(),
		Matched:   r.uint(),
		Retried:   r.uint(),
		Dead:      signed(r.uint()),
		Discarded: signed(r.uint()),
	}
	return m, r.end()
}

// ranges writes each bound as the distance from the one before it; the arithmetic wraps,
// so any bounds come back as they were.
func (w *valueWriter) ranges(ranges []engine.Range) {
	w.natural(len(ranges))
	last := uint64(0)
	for _, r := range ranges {
		w.int(signed(r.From - last))
		w.int(signed(r.Through - r.From))
		last = r.Through
	}
}

func (r *valueReader) ranges() []engine.Range {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	ranges := make([]engine.Range, n)
	last := uint64(0)
	for i := range ranges {
		ranges[i].From = last + unsigned(r.int())
		ranges[i].Through = ranges[i].From + unsigned(r.int())
		last = ranges[i].Through
	}
	return ranges
}

// sequences writes each as the distance from the one before it; the arithmetic wraps, so any
// numbers come back as they were.
func (w *valueWriter) sequences(sequences []uint64) {
	w.natural(len(sequences))
	last := uint64(0)
	for _, sequence := range sequences {
		w.uint(sequence - last)
		last = sequence
	}
}

func (r *valueReader) sequences() []uint64 {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	sequences := make([]uint64, n)
	last := uint64(0)
	for i := range sequences {
		last += r.uint()
		sequences[i] = last
	}
	return sequences
}
