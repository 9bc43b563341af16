package storage

import (
	"context"
	"fmt"
	"time"

	"pannier/engine"
)

// sweepStep bounds what one call of Sweep looks at, and so what it removes.
const sweepStep = 1000

// sweep finds up to sweepStep dead letters that died before the retention of now, oldest
// first from position on, as the changes that remove them. next is the position of the
// following call: it spares the tombstones of this one.
func sweep(view stateView, position []byte, now time.Time) (changes []change, next []byte, more bool, err error) {
	seen := 0
	next = position
	err = view.scan([]byte(prefixDeadTime), position, func(key, _ []byte) (bool, error) {
		r := newKeyReader(key)
		diedAt := time.UnixMilli(milliOf(r.number()))
		sub, delivery := r.sub(), r.delivery()
		if err := r.end(); err != nil {
			return false, err
		}
		if !past(diedAt, now, engine.DeadLetterRetention) {
			return false, nil
		}
		if seen == sweepStep {
			more = true
			return false, nil
		}
		seen++
		next = append(append([]byte(nil), key...), 0)
		changes = append(changes, change{key: next[:len(key):len(key)]})
		gone, err := sweepDeadLetter(view, sub, delivery, now)
		changes = append(changes, gone...)
		return true, err
	})
	return changes, next, more, err
}

// sweepDeadLetter removes the dead letter itself, unless it was retried since and died
// again later: then it has a later entry by time.
func sweepDeadLetter(view stateView, sub engine.SubscriptionID, key engine.DeliveryKey, now time.Time) ([]change, error) {
	deadKey := deliveryStateKey(prefixDeadLetter, sub, key)
	value, found, err := view.get(deadKey)
	if err != nil || !found {
		return nil, err
	}
	letter, _, err := decodeDeadLetter(sub, key, value)
	if err != nil || !past(letter.DiedAt, now, engine.DeadLetterRetention) {
		return nil, err
	}
	return []change{{key: deadKey}, {key: deliveryStateKey(prefixDeadEvent, sub, key)}}, nil
}

// Sweep implements engine.State: it removes dead letters past their retention, up to
// sweepStep a call. Identities and answers need no sweep: they are judged by their value
// when read, and Badger forgets them at identityExpiry.
func (k *keyedState) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	k.sweeping.Lock()
	defer k.sweeping.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var changes []change
	var next []byte
	err = k.view(func(view stateView) error {
		changes, next, more, err = sweep(view, k.sweepFrom, now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sweep state: %w", err)
	}
	if len(changes) > 0 {
		if err := k.apply(ctx, changes); err != nil {
			return false, fmt.Errorf("sweep state: %w", err)
		}
	}
	k.sweepFrom = next
	return more, nil
}
