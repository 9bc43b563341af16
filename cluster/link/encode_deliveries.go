package link

import (
	"pannier/cluster/protocol"
	"pannier/engine"
)

// Messages about deliveries.

func (w *writer) subscriptionID(id engine.SubscriptionID) { w.string(string(id)) }

func (r *reader) subscriptionID() engine.SubscriptionID { return engine.SubscriptionID(r.string()) }

func writeRoute(w *writer, m *protocol.Route) {
	w.journal(m.Journal)
	w.uint(m.Sequence)
	w.bytes(m.Event)
	writeList(w, m.Subscriptions, (*writer).subscriptionID)
}

func readRoute(r *reader, m *protocol.Route) {
	m.Journal = r.journal()
	m.Sequence = r.uint()
	m.Event = r.bytes()
	m.Subscriptions = readList(r, 1, (*reader).subscriptionID)
}

func writeDone(w *writer, m *protocol.Done) {
	w.journal(m.Journal)
	w.subscriptionID(m.Subscription)
	writeList(w, m.Sequences, (*writer).uint)
}

func readDone(r *reader, m *protocol.Done) {
	m.Journal = r.journal()
	m.Subscription = r.subscriptionID()
	m.Sequences = readList(r, 1, (*reader).uint)
}

func writeBack(w *writer, m *protocol.Back) {
	w.journal(m.Journal)
	w.subscriptionID(m.Subscription)
	writeList(w, m.Sequences, (*writer).uint)
	w.bool(m.Busy)
}

func readBack(r *reader, m *protocol.Back) {
	m.Journal = r.journal()
	m.Subscription = r.subscriptionID()
	m.Sequences = readList(r, 1, (*reader).uint)
	m.Busy = r.bool()
}
