package storage

import "pannier/engine"

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
	return j.run(&walk{
		next: max(from, 1), left: limit,
		visit:  func(_ uint64, record engine.Record) bool { return visit(record.Event) },
		search: &search{wanted: wanted, texts: make(map[string]string)},
	})
}

// wants tells whether a frame holds an event that the walk wants. It counts the one that it
// does not want; a damaged one is reported and not counted, as by decode.
func (j *Journal) wants(w *walk, f frame) bool {
	s := w.search
	r := valueReader{b: f.payload(), shared: s.texts}
	isEvent := readKind(&r) == recordEvent
	if isEvent {
		readEvent(&r, engine.EventRef{Journal: j.id, Sequence: f.sequence}, &s.head, true)
	}
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
