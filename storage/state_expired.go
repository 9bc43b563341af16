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
func expiredLetters(view stateView, sub engine.SubscriptionID, after engine.DeliveryKey, limit int) ([]engine.DeadLetter, error) {
	first := subKey(prefixExpired, sub)
	second := engine.ExpiredSecond(after.AcceptedMilli)
	var letters, ofSecond []engine.DeadLetter
	from := appendDeliveryKey(slices.Clone(first), engine.DeliveryKey{AcceptedMilli: second})
	err := view.scan(first, from, func(key, value []byte) (bool, error) {
		at, err := deliveryKeyBehind(first, key)
		if err != nil {
			return false, err
		}
		if at.AcceptedMilli != second {
			letters = append(letters, inOrder(ofSecond)...)
			second, ofSecond = at.AcceptedMilli, nil
			if len(letters) >= limit {
				return false, nil
			}
		}
		x, err := decodeExpired(sub, at, value)
		for _, letter := range x.Letters() {
			if letter.Key.Compare(after) > 0 {
				ofSecond = append(ofSecond, letter)
			}
		}
		return true, err
	})
	letters = append(letters, inOrder(ofSecond)...)
	return letters[:min(limit, len(letters))], err
}

// inOrder sorts dead letters and leaves out what is there twice: two members that kept a journal
// one after the other may both have written it.
func inOrder(letters []engine.DeadLetter) []engine.DeadLetter {
	slices.SortFunc(letters, byDeliveryKey)
	return slices.CompactFunc(letters, func(a, b engine.DeadLetter) bool { return a.Key == b.Key })
}

func byDeliveryKey(a, b engine.DeadLetter) int { return a.Key.Compare(b.Key) }

// expiredLetter finds the one of an event that was accepted in one of some seconds, from the first
// through the last. Accept times do not go back inside a journal: what may hold it is of the last
// second in which something of its journal does not begin behind it.
func expiredLetter(view stateView, sub engine.SubscriptionID, event engine.EventRef, from, through int64) (letter engine.DeadLetter, found bool, err error) {
	first := subKey(prefixExpired, sub)
	start := engine.DeliveryKey{AcceptedMilli: from}
	if from == through {
		start.Event.Journal = event.Journal
	}
	var holders []engine.DeliveryKey
	err = view.scan(first, appendDeliveryKey(slices.Clone(first), start), func(raw, _ []byte) (bool, error) {
		at, err := deliveryKeyBehind(first, raw)
		if err != nil || at.AcceptedMilli > through {
			return false, err
		}
		if at.Event.Journal != event.Journal {
			return from != through || at.Event.Journal < event.Journal, nil
		}
		if at.Event.Sequence > event.Sequence {
			return false, nil
		}
		if len(holders) > 0 && holders[0].AcceptedMilli != at.AcceptedMilli {
			holders = holders[:0]
		}
		holders = append(holders, at)
		return true, nil
	})
	for _, holder := range slices.Backward(holders) {
		if found || err != nil {
			break
		}
		letter, found, err = letterIn(view, sub, holder, event)
	}
	return letter, found, err
}

// letterIn finds the dead letter of an event among those that expired together.
func letterIn(view stateView, sub engine.SubscriptionID, key engine.DeliveryKey, event engine.EventRef) (engine.DeadLetter, bool, error) {
	value, _, err := view.get(deliveryStateKey(prefixExpired, sub, key))
	if err != nil {
		return engine.DeadLetter{}, false, err
	}
	x, err := decodeExpired(sub, key, value)
	for _, letter := range x.Letters() {
		if letter.Key.Event == event {
			return letter, true, err
		}
	}
	return engine.DeadLetter{}, false, err
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

// deadKeyOf goes through the keys of a subscription's dead letters for an event's, as far as it
// may be.
func deadKeyOf(view stateView, sub engine.SubscriptionID, event engine.EventRef) (key engine.DeliveryKey, known bool, err error) {
	first := subKey(prefixDeadLetter, sub)
	err = view.scan(first, nil, func(raw, _ []byte) (bool, error) {
		key, err = deliveryKeyBehind(first, raw)
		known = err == nil && key.Event == event
		behind := key.Event.Journal == event.Journal && key.Event.Sequence > event.Sequence
		return !known && !behind, err
	})
	return key, known, err
}
