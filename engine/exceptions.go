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

// keysInOrder is a set of keys that is read as far as it is asked for and forgotten behind.
type keysInOrder struct {
	list  func(ctx context.Context, after DeliveryKey) ([]DeliveryKey, error)
	keys  map[DeliveryKey]bool // nil: nothing was read yet
	last  DeliveryKey          // read up to here
	ended bool
}

func (k *keysInOrder) has(ctx context.Context, key DeliveryKey) (bool, error) {
	if k.keys == nil {
		k.keys = make(map[DeliveryKey]bool)
		k.last = DeliveryKey{
			AcceptedMilli: max(key.AcceptedMilli, 1) - 1,
			Event:         EventRef{Journal: ^JournalID(0), Sequence: math.MaxUint64},
		}
	}
	for !k.ended && k.last.AcceptedMilli <= key.AcceptedMilli {
		page, err := k.list(ctx, k.last)
		if err != nil {
			return false, err
		}
		maps.DeleteFunc(k.keys, func(old DeliveryKey, _ bool) bool { return old.AcceptedMilli < key.AcceptedMilli })
		for _, found := range page {
			k.keys[found], k.last = true, found
		}
		k.ended = len(page) < exceptionPage
	}
	return k.keys[key], nil
}
