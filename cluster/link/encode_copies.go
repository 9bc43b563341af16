package link

import (
	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

// Messages about copies of journals.

// The least that these take in a list.
const (
	leastHoldingBytes = 8 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1
	leastEndingBytes  = 8 + 1 + 1
)

func (w *writer) journal(id engine.JournalID) { w.fixed64(uint64(id)) }
func (r *reader) journal() engine.JournalID   { return engine.JournalID(r.fixed64()) }

func (w *writer) journalRef(ref protocol.JournalRef) {
	w.journal(ref.ID)
	w.string(string(ref.Origin))
	w.uint(ref.Boot)
	w.string(ref.Lane)
}

func (r *reader) journalRef() protocol.JournalRef {
	return protocol.JournalRef{
		ID: r.journal(), Origin: placement.MemberID(r.string()), Boot: r.uint(), Lane: r.string(),
	}
}

func writeAppend(w *writer, m *protocol.Append) {
	w.journalRef(m.Journal)
	w.bool(m.Begin)
	w.uint(m.First)
	w.uint(m.Next)
	w.bytes(m.Frames)
}

func readAppend(r *reader, m *protocol.Append) {
	m.Journal = r.journalRef()
	m.Begin = r.bool()
	m.First = r.uint()
	m.Next = r.uint()
	m.Frames = r.bytes()
}

func writeAppended(w *writer, m *protocol.Appended) {
	w.journal(m.Journal)
	w.uint(m.Base)
	w.uint(m.Next)
}

func readAppended(r *reader, m *protocol.Appended) {
	m.Journal = r.journal()
	m.Base = r.uint()
	m.Next = r.uint()
}

func writePrepend(w *writer, m *protocol.Prepend) {
	w.journal(m.Journal)
	w.uint(m.First)
	w.uint(m.Next)
	w.bytes(m.Frames)
}

func readPrepend(r *reader, m *protocol.Prepend) {
	m.Journal = r.journal()
	m.First = r.uint()
	m.Next = r.uint()
	m.Frames = r.bytes()
}

func writeProgress(w *writer, m *protocol.Progress) {
	w.journal(m.Journal)
	w.uint(m.Release)
	w.bytes(m.State)
}

func readProgress(r *reader, m *protocol.Progress) {
	m.Journal = r.journal()
	m.Release = r.uint()
	m.State = r.bytes()
}

func writeUnfollow(w *writer, m *protocol.Unfollow) { w.journal(m.Journal) }
func readUnfollow(r *reader, m *protocol.Unfollow)  { m.Journal = r.journal() }

func writeHoldings(w *writer, m *protocol.Holdings) {
	writeList(w, m.Journals, (*writer).holding)
	writeList(w, m.Finished, (*writer).ending)
}

func readHoldings(r *reader, m *protocol.Holdings) {
	m.Journals = readList(r, leastHoldingBytes, (*reader).holding)
	m.Finished = readList(r, leastEndingBytes, (*reader).ending)
}

func (w *writer) holding(h protocol.Holding) {
	w.journalRef(h.Journal)
	w.uint(h.Base)
	w.uint(h.Next)
	w.uint(h.Release)
	w.bool(h.Keeping)
	w.uint(h.Damage)
}

func (r *reader) holding() protocol.Holding {
	return protocol.Holding{
		Journal: r.journalRef(), Base: r.uint(), Next: r.uint(), Release: r.uint(), Keeping: r.bool(), Damage: r.uint(),
	}
}

func writeFinished(w *writer, m *protocol.Finished) { writeList(w, m.Journals, (*writer).ending) }

func readFinished(r *reader, m *protocol.Finished) {
	m.Journals = readList(r, leastEndingBytes, (*reader).ending)
}

func (w *writer) ending(e protocol.Ending) {
	w.journal(e.Journal)
	w.uint(e.Base)
	w.uint(e.Next)
}

func (r *reader) ending() protocol.Ending {
	return protocol.Ending{Journal: r.journal(), Base: r.uint(), Next: r.uint()}
}
