package storage

import (
	"pannier/engine"
)

// Values of what is known of single deliveries.

func encodeRetryRecord(r engine.RetryRecord) []byte {
	w := newValueWriter(32)
	w.natural(r.Attempts)
	w.natural(r.Used)
	w.time(r.Due)
	w.string(string(r.LastOutcome))
	w.natural(r.LastStatus)
	w.bool(r.Once)
	w.bool(r.Delivered)
	w.bool(r.Body != nil)
	if r.Body != nil {
		w.event(r.Body)
	}
	return w.b
}

func decodeRetryRecord(sub engine.SubscriptionID, key engine.DeliveryKey, value []byte) (engine.RetryRecord, error) {
	r := newValueReader(value)
	record := engine.RetryRecord{
		Subscription: sub,
		Key:          key,
		Attempts:     r.natural(),
		Used:         r.natural(),
		Due:          r.time(),
		LastOutcome:  engine.Outcome(r.string()),
		LastStatus:   r.natural(),
		Once:         r.bool(),
		Delivered:    r.bool(),
	}
	if r.bool() {
		record.Body = r.event()
	}
	return record, r.end()
}

// A dead letter is two values: what lists and counts need, and its event.

func encodeDeadLetter(d engine.DeadLetter) []byte {
	w := newValueWriter(32)
	w.string(string(d.Reason))
	w.natural(d.Attempts)
	w.string(string(d.LastOutcome))
	w.natural(d.LastStatus)
	w.time(d.DiedAt)
	w.bool(d.Event != nil)
	return w.b
}

// decodeDeadLetter reads all but the event; hasEvent tells whether there is one.
func decodeDeadLetter(sub engine.SubscriptionID, key engine.DeliveryKey, value []byte) (d engine.DeadLetter, hasEvent bool, err error) {
	r := newValueReader(value)
	d = engine.DeadLetter{
		Subscription: sub,
		Key:          key,
		Reason:       engine.Reason(r.string()),
		Attempts:     r.natural(),
		LastOutcome:  engine.Outcome(r.string()),
		LastStatus:   r.natural(),
		DiedAt:       r.time(),
	}
	hasEvent = r.bool()
	return d, hasEvent, r.end()
}

func encodeEventValue(e *engine.Event) []byte {
	w := newValueWriter(len(e.Data) + len(e.Extensions) + 160)
	w.event(e)
	return w.b
}

func decodeEventValue(value []byte) (*engine.Event, error) {
	r := newValueReader(value)
	e := r.event()
	return e, r.end()
}

func (w *valueWriter) event(e *engine.Event) {
	w.fixed64(uint64(e.Ref.Journal))
	w.uint(e.Ref.Sequence)
	w.string(e.ID)
	w.string(e.Topic)
	w.string(e.Tenant)
	w.time(e.Timestamp)
	w.time(e.AcceptedAt)
	w.bytes(e.Data)
	w.bytes(e.Extensions)
	w.string(e.TraceParent)
	w.string(e.TraceState)
	w.uint(e.Revision)
	w.string(string(e.Directed))
	w.uint(e.Batch.ID)
	w.uint(uint64(e.Batch.Index))
	w.uint(uint64(e.Batch.Count))
	w.bool(e.GivenID)
}

func (r *valueReader) event() *engine.Event {
	return &engine.Event{
		Ref:         engine.EventRef{Journal: engine.JournalID(r.fixed64()), Sequence: r.uint()},
		ID:          r.string(),
		Topic:       r.string(),
		Tenant:      r.string(),
		Timestamp:   r.time(),
		AcceptedAt:  r.time(),
		Data:        r.bytes(),
		Extensions:  r.bytes(),
		TraceParent: r.string(),
		TraceState:  r.string(),
		Revision:    r.uint(),
		Directed:    engine.SubscriptionID(r.string()),
		Batch:       engine.BatchPart{ID: r.uint(), Index: r.uint32(), Count: r.uint32()},
		GivenID:     r.bool(),
	}
}

func (r *valueReader) uint32() uint32 {
	v := r.uint()
	if v > 1<<32-1 {
		r.fail("number too large")
		return 0
	}
	return uint32(v)
}

func encodeIdentity(i engine.Identity) []byte {
	w := newValueWriter(64)
	w.fixed64(uint64(i.Event.Journal))
	w.uint(i.Event.Sequence)
	w.fixed(i.Digest[:])
	w.time(i.AcceptedAt)
	return w.b
}

func decodeIdentity(id string, value []byte) (engine.Identity, error) {
	r := newValueReader(value)
	identity := engine.Identity{
		ID:         id,
		Event:      engine.EventRef{Journal: engine.JournalID(r.fixed64()), Sequence: r.uint()},
		Digest:     r.digest(),
		AcceptedAt: r.time(),
	}
	return identity, r.end()
}

func encodeAnswer(a engine.Answer) []byte {
	w := newValueWriter(64 + 32*len(a.IDs))
	w.fixed(a.Digest[:])
	w.bool(a.Single)
	w.time(a.AcceptedAt)
	w.natural(len(a.IDs))
	for _, id := range a.IDs {
		w.string(id)
	}
	return w.b
}

func decodeAnswer(key string, value []byte) (engine.Answer, error) {
	r := newValueReader(value)
	answer := engine.Answer{Key: key, Digest: r.digest(), Single: r.bool(), AcceptedAt: r.time()}
	if n := r.count(1); n > 0 {
		answer.IDs = make([]string, n)
		for i := range answer.IDs {
			answer.IDs[i] = r.string()
		}
	}
	return answer, r.end()
}
