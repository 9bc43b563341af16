package main

import (
	"encoding/binary"
	"time"

	"pannier/engine"
)

// entries turns the writes of a machine into entries of its shard. A delivery has one
// register: its retry record, its dead letter, or the tombstone that is its done mark.
func (s *subscription) entries(writes []engine.Write) (entries []engine.Entry) {
	at := make(map[engine.EntryKey]int)
	put := func(e engine.Entry, wins bool) {
		e.Subscription = s.id
		if n, twice := at[e.EntryKey]; twice {
			if wins {
				entries[n] = e
			}
			return
		}
		at[e.EntryKey] = len(entries)
		entries = append(entries, e)
	}
	for _, w := range writes {
		switch t := w.(type) {
		case engine.PutRetryRecord:
			put(engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryDelivery, Key: encodeKey(t.Key)}, Value: s.encodeRetry(t.RetryRecord)}, true)
		case engine.PutDeadLetter:
			put(engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryDelivery, Key: encodeKey(t.Key)}, Value: s.encodeDead(t.DeadLetter)}, true)
		case engine.DropRetryRecord:
			put(engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryDelivery, Key: encodeKey(t.Key)}}, false)
		}
	}
	return entries
}

const (
	stateRetry = 'r'
	stateDead  = 'd'
)

func (s *subscription) encodeRetry(r engine.RetryRecord) []byte {
	b := binary.BigEndian.AppendUint32([]byte{stateRetry}, s.life.world.number(r.Body))
	b = append(b, byte(r.Attempts), byte(r.Used)) //nolint:gosec // a schedule has 20 retries at most
	return binary.BigEndian.AppendUint64(b, uint64(r.Due.UnixMilli()))
}

func (s *subscription) encodeDead(d engine.DeadLetter) []byte {
	return binary.BigEndian.AppendUint32([]byte{stateDead}, s.life.world.number(d.Event))
}

func decodeRetry(id engine.SubscriptionID, key engine.DeliveryKey, b []byte, w *world) (engine.RetryRecord, bool) {
	if len(b) == 0 || b[0] != stateRetry {
		return engine.RetryRecord{}, false
	}
	event := *w.events[binary.BigEndian.Uint32(b[1:])]
	event.Ref = key.Event
	return engine.RetryRecord{
		Subscription: id, Key: key, Attempts: int(b[5]), Used: int(b[6]), Carried: true, Body: &event,
		Due: time.UnixMilli(int64(binary.BigEndian.Uint64(b[7:]))), //nolint:gosec // after 1970
	}, true
}

func encodeKey(k engine.DeliveryKey) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(k.AcceptedMilli)) //nolint:gosec // after 1970
	b = binary.BigEndian.AppendUint64(b, uint64(k.Event.Journal))
	return string(binary.BigEndian.AppendUint64(b, k.Event.Sequence))
}

func decodeKey(s string) engine.DeliveryKey {
	b := []byte(s)
	return engine.DeliveryKey{
		AcceptedMilli: int64(binary.BigEndian.Uint64(b)), //nolint:gosec // after 1970
		Event: engine.EventRef{
			Journal: engine.JournalID(binary.BigEndian.Uint64(b[8:])), Sequence: binary.BigEndian.Uint64(b[16:]),
		},
	}
}

// purge ends every retry record and dead letter of a deleted subscription.
func (s *subscription) purge() {
	shard := engine.ShardOf(s.id)
	var gone []engine.Entry
	for _, e := range s.life.disk.content.list(shard) {
		if e.Subscription == s.id && e.Value != nil {
			gone = append(gone, engine.Entry{EntryKey: e.EntryKey})
		}
	}
	if len(gone) > 0 {
		s.life.core.Store(s.life.world.now, shard, gone)
	}
}
