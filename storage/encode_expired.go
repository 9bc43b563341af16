package storage

import (
	"pannier/engine"
)

// encodeExpired writes how many there are first, for who only counts. A topic is written out
// where it comes first and is a number after, an id only where the event's client gave it.
func encodeExpired(x engine.Expired) []byte {
	w := newValueWriter(16 + 16*len(x.Deliveries))
	w.natural(len(x.Deliveries))
	w.time(x.ExpiredAt)
	topics := make(map[string]int)
	before := x.Key.Event.Sequence
	for _, d := range x.Deliveries {
		w.uint(d.Sequence - before)
		before = d.Sequence + 1
		w.int(d.AcceptedMilli - x.Key.AcceptedMilli)
		topic, known := topics[d.Topic]
		if !known {
			topic = len(topics)
			topics[d.Topic] = topic
		}
		w.natural(topic)
		if !known {
			w.string(d.Topic)
		}
		id := d.EventID
		if id == engine.EventID(engine.EventRef{Journal: x.Key.Event.Journal, Sequence: d.Sequence}) {
			id = ""
		}
		w.string(id)
	}
	return w.b
}

func decodeExpired(sub engine.SubscriptionID, key engine.DeliveryKey, value []byte) (engine.Expired, error) {
	r := newValueReader(value)
	x := engine.Expired{Subscription: sub, Key: key}
	n := r.count(4) // each takes a byte for four things at least
	if n == 0 || n > engine.MaxExpired || engine.ExpiredSecond(key.AcceptedMilli) != key.AcceptedMilli {
		r.fail("not what expires together")
		return x, r.end()
	}
	x.ExpiredAt = r.time()
	x.Deliveries = make([]engine.ExpiredDelivery, 0, n)
	topics := expiredTopics{known: make(map[string]bool)}
	next := key.Event.Sequence
	for range n {
		sequence := next + r.uint()
		begins := len(x.Deliveries) == 0
		if sequence < next || (begins && sequence != next) || (!begins && next == 0) {
			r.fail("sequences out of order")
		}
		next = sequence + 1
		d := engine.ExpiredDelivery{Sequence: sequence, AcceptedMilli: key.AcceptedMilli + r.int(), Topic: topics.read(r)}
		if engine.ExpiredSecond(d.AcceptedMilli) != key.AcceptedMilli {
			r.fail("of another second")
		}
		derived := engine.EventID(engine.EventRef{Journal: key.Event.Journal, Sequence: sequence})
		switch d.EventID = r.string(); d.EventID {
		case derived:
			r.fail("an id written out that need not be")
		case "":
			d.EventID = derived
		}
		x.Deliveries = append(x.Deliveries, d)
	}
	return x, r.end()
}

// expiredTopics are the topics that came so far, in order.
type expiredTopics struct {
	names []string
	known map[string]bool
}

func (t *expiredTopics) read(r *valueReader) string {
	n := r.natural()
	switch {
	case n < len(t.names):
		return t.names[n]
	case n > len(t.names):
		r.fail("unknown topic")
		return ""
	}
	name := r.string()
	if t.known[name] {
		r.fail("a topic written out again")
	}
	t.names, t.known[name] = append(t.names, name), true
	return name
}

// countExpired reads how many deliveries there are, and nothing else.
func countExpired(value []byte) (int, error) {
	r := newValueReader(value)
	n := r.natural()
	return n, r.err
}
