package engine

import (
	"context"
	"maps"
	"math"
)

// exceptionPage is how many retry records or dead letters are read at a time.
const exceptionPage = 256

// exceptions say which deliveries of one subscription have a retry record or a dead letter.
// They read the keys in order, beside a walk over the events: two point reads for each of
// millions of events that went well would cost more than the walk itself. Not safe for
// concurrent use.
type exceptions struct {
	retries, dead keysInOrder
}

func newExceptions(state State, sub SubscriptionID) *exceptions {
	return &exceptions{
		retries: keysInOrder{list: func(ctx context.Context, after DeliveryKey) (keys []DeliveryKey, err error) {
			records, err := state.RetryRecords(ctx, sub, after, exceptionPage)
			for i := range records {
				keys = append(keys, records[i].Key)
			}
			return keys, err
		}},
		dead: keysInOrder{list: func(ctx context.Context, after DeliveryKey) (keys []DeliveryKey, err error) {
			letters, err := state.DeadLetters(ctx, sub, after, exceptionPage)
			for i := range letters {
				keys = append(keys, letters[i].Key)
			}
			return keys, err
		}},
	}
}

// has tells whether a delivery has a retry record or a dead letter. Accept times must not
// go back from call to call.
func (e *exceptions) has(ctx context.Context, key DeliveryKey) (bool, error) {
	if found, err := e.retries.has(ctx, key); found || err != nil {
		return found, err
	}
	return e.dead.has(ctx, key)
}

// first is the accept time of the first retry record or dead letter accepted at a time or
// later. It comes before has.
func (e *exceptions) first(ctx context.Context, milli int64) (first int64, found bool, err error) {
	for _, keys := range []*keysInOrder{&e.retries, &e.dead} {
		if err := keys.read(ctx, milli); err != nil {
			return 0, false, err
		}
		for key := range keys.keys {
			if !found || key.AcceptedMilli < first {
				first, found = key.AcceptedMilli, true
			}
		}
	}
	return first, found, nil
}

// keysInOrder is a set of keys that is read as far as it is asked for and forgotten behind.
type keysInOrder struct {
	list  func(ctx context.Context, after DeliveryKey) ([]DeliveryKey, error)
	keys  map[DeliveryKey]bool // nil: nothing was read yet
	last  DeliveryKey          // read up to here
	ended bool
}

func (k *keysInOrder) has(ctx context.Context, key DeliveryKey) (bool, error) {
	err := k.read(ctx, key.AcceptedMilli)
	return k.keys[key], err
}

// read reads on until every key of an accept time is there, and forgets earlier ones.
func (k *keysInOrder) read(ctx context.Context, milli int64) error {
	if k.keys == nil {
		k.keys = make(map[DeliveryKey]bool)
		k.last = DeliveryKey{
			AcceptedMilli: max(milli, 1) - 1, Event: EventRef{Journal: ^JournalID(0), Sequence: math.MaxUint64},
		}
	}
	for !k.ended && k.last.AcceptedMilli <= milli {
		page, err := k.list(ctx, k.last)
		if err != nil {
			return err
		}
		maps.DeleteFunc(k.keys, func(old DeliveryKey, _ bool) bool { return old.AcceptedMilli < milli })
		for _, key := range page {
			k.keys[key], k.last = true, key
		}
		k.ended = len(page) < exceptionPage
	}
	return nil
}
