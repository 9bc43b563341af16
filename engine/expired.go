package engine

import "time"

const (
	// MaxExpired bounds the deliveries of one Expired.
	MaxExpired = 1000
	// expiredSpan is how far apart they may have been accepted: whoever lists dead letters in
	// order of time puts those of one span in order in memory.
	expiredSpan = int64(time.Second / time.Millisecond)
)

// Expired are deliveries of one subscription that left the retention before they were attempted:
// dead letters with reason expired. A backlog of millions expires at once, so they are kept many
// in one, without what the events said. All are of one journal, in order, and were accepted in
// one second.
type Expired struct {
	Subscription SubscriptionID
	Key          DeliveryKey // the second, and the first event
	ExpiredAt    time.Time
	Deliveries   []ExpiredDelivery
}

// ExpiredDelivery is what is left of one.
type ExpiredDelivery struct {
	Sequence      uint64
	AcceptedMilli int64
	EventID       string
	Topic         string
}

// ExpiredSecond is the AcceptedMilli of the Key under which a delivery expires.
func ExpiredSecond(acceptedMilli int64) int64 { return acceptedMilli - acceptedMilli%expiredSpan }

// Add adds the delivery of the next event, if it belongs with those that are there; it reports
// false when another Expired must take it.
func (x *Expired) Add(event *Event) bool {
	key := event.Key()
	second := ExpiredSecond(key.AcceptedMilli)
	switch {
	case len(x.Deliveries) == 0:
		x.Key = DeliveryKey{AcceptedMilli: second, Event: event.Ref}
	case len(x.Deliveries) == MaxExpired || x.Key.AcceptedMilli != second:
		return false
	}
	x.Deliveries = append(x.Deliveries, ExpiredDelivery{
		Sequence: event.Ref.Sequence, AcceptedMilli: key.AcceptedMilli, EventID: event.ID, Topic: event.Topic,
	})
	return true
}

// Letters are the dead letters that it stands for. Their events have an id and a topic, and no
// Data.
func (x *Expired) Letters() []DeadLetter {
	letters := make([]DeadLetter, len(x.Deliveries))
	for n, d := range x.Deliveries {
		ref := EventRef{Journal: x.Key.Event.Journal, Sequence: d.Sequence}
		letters[n] = DeadLetter{
			Subscription: x.Subscription, Key: DeliveryKey{AcceptedMilli: d.AcceptedMilli, Event: ref},
			Reason: ReasonExpired, DiedAt: x.ExpiredAt,
			Event: &Event{Ref: ref, ID: d.EventID, Topic: d.Topic, AcceptedAt: time.UnixMilli(d.AcceptedMilli).UTC()},
		}
	}
	return letters
}
