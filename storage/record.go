package storage

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"pannier/engine"
)

// The payload of a frame: version, kind, flags of an event, then the fields in a fixed
// order. What the frame and the segment already say (sequence, journal) is left out, and so
// are an id that only encodes them and the default tenant. A record has exactly one encoding.
const (
	recordVersion = 1

	recordEvent   = 1
	recordRequest = 2

	flagGivenID = 1 << 0 // Event.GivenID
	flagID      = 1 << 1 // the id is written out
	flagTrace   = 1 << 2 // the traceparent is packed
	flagDefault = 1 << 3 // the tenant is the default one, and left out
	knownFlags  = flagGivenID | flagID | flagTrace | flagDefault
)

// recordOverhead bounds what a payload holds beside the bytes of its texts.
const recordOverhead = 256

var errRecord = errors.New("a record is either an event or a request")

// recordBytes is an upper bound on the size of the encoded record.
func recordBytes(r engine.Record) int {
	if r.Event != nil {
		e := r.Event
		return recordOverhead + len(e.ID) + len(e.Topic) + len(e.Tenant) + len(e.Data) + len(e.Extensions) +
			len(e.TraceParent) + len(e.TraceState) + len(e.Directed)
	}
	n := recordOverhead + len(r.Request.Key)
	for _, id := range r.Request.Known {
		n += 2*5 + len(id) // position and length
	}
	return n
}

// acceptedMilli is the accept time of a record.
func acceptedMilli(r engine.Record) int64 {
	if r.Event != nil {
		return r.Event.AcceptedAt.UnixMilli()
	}
	return r.Request.AcceptedAt.UnixMilli()
}

// stamp writes into a record what its place in the journal decides.
func stamp(r engine.Record, ref engine.EventRef, milli int64) {
	at := time.UnixMilli(milli).UTC()
	if r.Request != nil {
		r.Request.AcceptedAt = at
		return
	}
	r.Event.Ref, r.Event.AcceptedAt = ref, at
	if r.Event.ID == "" {
		r.Event.ID = engine.EventID(ref)
	}
}

// appendRecord encodes a stamped record.
func appendRecord(b []byte, r engine.Record) []byte {
	w := valueWriter{b: append(b, recordVersion)}
	if r.Event != nil {
		appendEvent(&w, r.Event)
	} else {
		appendRequest(&w, r.Request)
	}
	return w.b
}

func appendEvent(w *valueWriter, e *engine.Event) {
	flags := byte(0)
	if e.GivenID {
		flags |= flagGivenID
	}
	if e.ID != engine.EventID(e.Ref) {
		flags |= flagID
	}
	if e.Tenant == engine.DefaultTenant {
		flags |= flagDefault
	}
	trace, packed := packTrace(e.TraceParent)
	if packed {
		flags |= flagTrace
	}
	w.b = append(w.b, recordEvent, flags)
	w.int(e.AcceptedAt.UnixMilli())
	if flags&flagID != 0 {
		w.string(e.ID)
	}
	w.string(e.Topic)
	if flags&flagDefault == 0 {
		w.string(e.Tenant)
	}
	w.time(e.Timestamp)
	if packed {
		w.fixed(trace[:])
	} else {
		w.string(e.TraceParent)
	}
	w.string(e.TraceState)
	w.uint(e.Revision)
	w.string(string(e.Directed))
	appendBatch(w, e.Batch)
	w.bytes(e.Extensions)
	w.bytes(e.Data)
}

func appendRequest(w *valueWriter, q *engine.Request) {
	w.b = append(w.b, recordRequest)
	w.int(q.AcceptedAt.UnixMilli())
	w.string(q.Key)
	w.fixed(q.Digest[:])
	appendBatch(w, q.Batch)
	positions := make([]uint32, 0, len(q.Known))
	for position := range q.Known {
		positions = append(positions, position)
	}
	slices.Sort(positions)
	w.natural(len(positions))
	for _, position := range positions {
		w.uint(uint64(position))
		w.string(q.Known[position])
	}
}

func appendBatch(w *valueWriter, b engine.BatchPart) {
	w.uint(b.ID)
	w.uint(uint64(b.Index))
	w.uint(uint64(b.Count))
}

// decodeRecord is the inverse of appendRecord. The record shares no memory with payload.
// An event's Data is never nil.
func decodeRecord(payload []byte, ref engine.EventRef) (engine.Record, error) {
	r := valueReader{b: payload}
	record := readRecord(&r, ref, nil)
	if err := r.end(); err != nil {
		return engine.Record{}, err
	}
	return record, nil
}

// readRecord reads a record; of an event only the head, into head, if that is set.
func readRecord(r *valueReader, ref engine.EventRef, head *engine.Event) (record engine.Record) {
	switch readKind(r) {
	case recordEvent:
		if record.Event = head; head == nil {
			record.Event = &engine.Event{}
		}
		readEvent(r, ref, record.Event, head != nil)
	case recordRequest:
		record.Request = readRequest(r)
	}
	return record
}

// readKind reads what a payload begins with and gives the kind of its record.
func readKind(r *valueReader) byte {
	if version := r.byte(); version != recordVersion {
		r.fail("unknown version of a record")
	}
	kind := r.byte()
	if kind != recordEvent && kind != recordRequest {
		r.fail("unknown kind of record")
	}
	return kind
}

// readEvent reads an event, or of a head only what the event is matched with: it has neither
// ID nor trace, and what follows is not read.
func readEvent(r *valueReader, ref engine.EventRef, e *engine.Event, head bool) {
	flags := r.byte()
	if flags&^knownFlags != 0 {
		r.fail("unknown flags of an event")
	}
	*e = engine.Event{Ref: ref, GivenID: flags&flagGivenID != 0}
	text := r.string
	if head {
		text = func() string {
			r.raw()
			return ""
		}
	} else {
		e.ID = engine.EventID(ref)
	}
	e.AcceptedAt = time.UnixMilli(r.int()).UTC()
	if flags&flagID != 0 {
		id := text()
		if !head && id == e.ID {
			r.fail("an id written out that need not be")
		}
		e.ID = id
	}
	e.Topic, e.Tenant = r.sharedString(), engine.DefaultTenant
	if flags&flagDefault == 0 {
		if e.Tenant = r.sharedString(); e.Tenant == engine.DefaultTenant {
			r.fail("a tenant written out that need not be")
		}
	}
	e.Timestamp = r.time()
	e.TraceParent = readTrace(r, flags, head, text)
	e.TraceState = text()
	e.Revision = r.uint()
	e.Directed = engine.SubscriptionID(r.sharedString())
	e.Batch = readBatch(r)
	if !head {
		e.Extensions = r.bytes()
		if e.Data = r.bytes(); e.Data == nil {
			e.Data = json.RawMessage{}
		}
	}
}

// readTrace reads a traceparent, of a head without keeping it; text reads one that is not packed.
func readTrace(r *valueReader, flags byte, head bool, text func() string) string {
	if flags&flagTrace == 0 {
		written := text()
		if _, packed := packTrace(written); packed {
			r.fail("a traceparent written out that need not be")
		}
		return written
	}
	packed := r.fixed(traceBytes)
	if head || r.err != nil {
		return ""
	}
	return unpackTrace(packed)
}

func readRequest(r *valueReader) *engine.Request {
	q := &engine.Request{AcceptedAt: time.UnixMilli(r.int()).UTC(), Key: r.string()}
	q.Digest = r.digest()
	q.Batch = readBatch(r)
	n := r.count(2) // a position and a length take at least a byte each
	if n > 0 {
		q.Known = make(map[uint32]string, n)
	}
	for i, before := 0, uint32(0); i < n && r.err == nil; i++ {
		position := r.uint32()
		if i > 0 && position <= before {
			r.fail("positions out of order")
		}
		before = position
		q.Known[position] = r.string()
	}
	return q
}

func readBatch(r *valueReader) engine.BatchPart {
	return engine.BatchPart{ID: r.uint(), Index: r.uint32(), Count: r.uint32()}
}
