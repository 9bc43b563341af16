package storage

import (
	"time"

	"pannier/engine"
)

// search is what a walk picks events by.
type search struct {
	wanted func(head *engine.Event) bool
	head   engine.Event      // the one that wanted looks at
	texts  map[string]string // topics and tenants, so that a head costs no memory
}

// Search visits synced events that are wanted; see engine.Journal. Errors: as Read.
func (j *Journal) Search(
	from uint64, limit int, wanted func(head *engine.Event) bool, visit func(event *engine.Event) bool,
) (next uint64, err error) {
	return j.run(j.segments.find, &walk{
		next: max(from, 1), left: limit,
		visit:  func(_ uint64, record engine.Record) bool { return visit(record.Event) },
		search: &search{wanted: wanted, texts: make(map[string]string)},
	})
}

// wants tells whether a frame holds an event that the walk wants. It counts the one that it
// does not want; a damaged one is reported and not counted, as by decode.
func (j *Journal) wants(w *walk, f frame) bool {
	s := w.search
	r := valueReader{b: f.payload, shared: s.texts}
	isEvent := readHead(&r, engine.EventRef{Journal: j.id, Sequence: f.sequence}, &s.head)
	if r.err != nil {
		j.lose(f.sequence, f.sequence)
		return false
	}
	if isEvent && s.wanted(&s.head) {
		return true
	}
	w.left--
	return false
}

// readHead reads what an event is matched with, in the order of appendEvent; false: the
// record is none.
func readHead(r *valueReader, ref engine.EventRef, head *engine.Event) bool {
	if version := r.byte(); version != recordVersion {
		r.fail("unknown version of a record")
	}
	if r.byte() != recordEvent {
		return false
	}
	flags := r.byte()
	*head = engine.Event{Ref: ref, GivenID: flags&flagGivenID != 0}
	head.AcceptedAt = time.UnixMilli(r.int()).UTC()
	if flags&flagID != 0 {
		r.raw()
	}
	head.Topic, head.Tenant = r.sharedString(), r.sharedString()
	head.Timestamp = r.time()
	r.raw() // the trace's parent
	r.raw() // and state
	head.Revision = r.uint()
	head.Directed = engine.SubscriptionID(r.sharedString())
	head.Batch = readBatch(r)
	return true
}
