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
		changes = append(changes, change{key: next[:len(key):len(key)]}, sweepDeadLetter(sub, delivery, now), sweepExpired(sub, delivery, now))
		return true, nil
	})
	return changes, next, more, err
}

// sweepDeadLetter removes the dead letter itself and its register, unless it was retried since
// and died again later: then it has a later entry by time.
func sweepDeadLetter(sub engine.SubscriptionID, key engine.DeliveryKey, now time.Time) change {
	deadKey := deliveryStateKey(prefixDeadLetter, sub, key)
	const keys = 3
	late := &lateChange{keys: keys, bytes: keys * (len(deadKey) + 1 + changeOverhead)}
	late.resolve = func(view stateView) (changes []change, again bool, err error) {
		value, found, err := view.get(deadKey)
		if err != nil || !found {
			return nil, false, err
		}
		letter, _, err := decodeDeadLetter(sub, key, value)
		if err != nil || !past(letter.DiedAt, now, engine.DeadLetterRetention) {
			return nil, false, err
		}
		changes = []change{{key: deadKey}, {key: deliveryStateKey(prefixDeadEvent, sub, key)}}
		register := registerKey(deliveryRegister(sub, key))
		_, found, err = view.get(register)
		if found {
			changes = append(changes, change{key: register})
		}
		return changes, false, err
	}
	return change{late: late}
}

// sweepExpired removes what expired together and its register.
func sweepExpired(sub engine.SubscriptionID, key engine.DeliveryKey, now time.Time) change {
	expiredKey := deliveryStateKey(prefixExpired, sub, key)
	register := registerKey(expiredRegister(sub, key))
	const keys = 2
	late := &lateChange{keys: keys, bytes: keys * (len(register) + 1 + changeOverhead)}
	late.resolve = func(view stateView) (changes []change, again bool, err error) {
		value, found, err := view.get(expiredKey)
		if err != nil || !found {
			return nil, false, err
		}
		x, err := decodeExpired(sub, key, value)
		if err != nil || !past(x.ExpiredAt, now, engine.DeadLetterRetention) {
			return nil, false, err
		}
		changes = []change{{key: expiredKey}}
		if _, found, err = view.get(register); found {
			changes = append(changes, change{key: register})
		}
		return changes, false, err
	}
	return change{late: late}
}

// Sweep implements engine.State: it removes dead letters past their retention, and the
// tombstones of registers past TombstoneFor, up to sweepStep a call of each. Identities and answers need no sweep: they are judged by their value
// when read, and Badger forgets them at identityExpiry.
func (k *keyedState) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	k.sweeping.Lock()
	defer k.sweeping.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var changes []change
	var next []byte
	tombstones := k.tombstones
	err = k.view(func(view stateView) error {
		if changes, next, more, err = sweep(view, k.sweepFrom, now); err != nil {
			return err
		}
		old, err := tombstones.step(view, now)
		changes = append(changes, old...)
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
	k.sweepFrom, k.tombstones = next, tombstones
	return more || tombstones.from != nil, nil
}
