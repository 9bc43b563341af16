package storage

import (
	"context"
	"fmt"
	"math"
	"slices"

	"pannier/engine"
)

// What expired lies under the key of its first delivery, many in one value (engine.Expired), and
// is listed among the dead letters one by one.

// Expired implements engine.State; it lists at most MaxPage.
func (k *keyedState) Expired(ctx context.Context, sub engine.SubscriptionID, after engine.DeliveryKey, limit int) ([]engine.Expired, error) {
	var list []engine.Expired
	err := k.page(ctx, prefixExpired, sub, after, limit, func(_ stateView, key engine.DeliveryKey, value []byte) error {
		x, err := decodeExpired(sub, key, value)
		list = append(list, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what expired: %w", err)
	}
	return list, nil
}

// expiredLetters lists up to limit dead letters that expired with a key above after, in order.
// Those of one second come from any number of journals, and are put in order here.
func expiredLetters(view stateView, sub engine.SubscriptionID, after engine.DeliveryKey, limit int) (letters []engine.DeadLetter, err error) {
	first := subKey(prefixExpired, sub)
	second := engine.ExpiredSecond(after.AcceptedMilli)
	from := appendDeliveryKey(slices.Clone(first), engine.DeliveryKey{AcceptedMilli: second})
	err = view.scan(first, from, func(key, value []byte) (bool, error) {
		at, err := deliveryKeyBehind(first, key)
		if err != nil || (len(letters) >= limit && at.AcceptedMilli != second) {
			return false, err
		}
		second = at.AcceptedMilli
		x, err := decodeExpired(sub, at, value)
		for _, letter := range x.Letters() {
			if letter.Key.Compare(after) > 0 {
				letters = append(letters, letter)
			}
		}
		return true, err
	})
	slices.SortFunc(letters, byDeliveryKey)
	// Two members that kept a journal one after the other may both have written some.
	letters = slices.CompactFunc(letters, func(a, b engine.DeadLetter) bool { return a.Key == b.Key })
	return letters[:min(limit, len(letters))], err
}

func byDeliveryKey(a, b engine.DeadLetter) int { return a.Key.Compare(b.Key) }

// expiredLetter finds the one of an event that was accepted in one of some seconds, from the first
// through the last. What holds it is the last of its journal that does not begin behind it.
func expiredLetter(view stateView, sub engine.SubscriptionID, event engine.EventRef, from, through int64) (letter engine.DeadLetter, found bool, err error) {
	first := subKey(prefixExpired, sub)
	start := engine.DeliveryKey{AcceptedMilli: from}
	if from == through {
		start.Event.Journal = event.Journal
	}
	var holder []byte
	err = view.scan(first, appendDeliveryKey(slices.Clone(first), start), func(raw, _ []byte) (bool, error) {
		at, err := deliveryKeyBehind(first, raw)
		if err == nil && at.Event.Journal == event.Journal && at.Event.Sequence <= event.Sequence && at.AcceptedMilli <= through {
			holder = append(holder[:0], raw...)
		}
		return at.AcceptedMilli <= through, err
	})
	if err != nil || holder == nil {
		return letter, false, err
	}
	value, _, err := view.get(holder)
	if err != nil {
		return letter, false, err
	}
	x, err := decodeExpired(sub, readDeliveryKey(holder[len(first):]), value)
	for _, letter := range x.Letters() {
		if letter.Key.Event == event {
			return letter, true, err
		}
	}
	return letter, false, err
}

// DeadLetterOf implements engine.State.
func (k *keyedState) DeadLetterOf(ctx context.Context, sub engine.SubscriptionID, event engine.EventRef) (letter engine.DeadLetter, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return engine.DeadLetter{}, false, err
	}
	err = k.view(func(view stateView) error {
		key, known, err := deadKeyOf(view, sub, event)
		switch {
		case err != nil:
			return err
		case known:
			letter, found, err = deadLetter(view, sub, key)
		default:
			letter, found, err = expiredLetter(view, sub, event, math.MinInt64, math.MaxInt64)
		}
		return err
	})
	if err != nil {
		return engine.DeadLetter{}, false, fmt.Errorf("find dead letter: %w", err)
	}
	return letter, found, nil
}

// deadKeyOf goes through the keys of a subscription's dead letters for an event's.
func deadKeyOf(view stateView, sub engine.SubscriptionID, event engine.EventRef) (key engine.DeliveryKey, known bool, err error) {
	first := subKey(prefixDeadLetter, sub)
	err = view.scan(first, nil, func(raw, _ []byte) (bool, error) {
		key, err = deliveryKeyBehind(first, raw)
		known = err == nil && key.Event == event
		return !known, err
	})
	return key, known, err
}
