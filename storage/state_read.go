package storage

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"pannier/engine"
)

// stateView is one consistent view of the state's keys: a Badger transaction, or the maps
// of the memory twin.
type stateView interface {
	get(key []byte) (value []byte, found bool, err error)
	// scan visits the keys with prefix from `from` on, in order, until visit returns false.
	// Key and value are valid during the visit only.
	scan(prefix, from []byte, visit func(key, value []byte) (bool, error)) error
}

// keyedState is what State and its memory twin share: everything of engine.State that
// follows from the keys.
type keyedState struct {
	// view runs read over one consistent view.
	view func(read func(stateView) error) error
	// apply makes changes durable before it returns.
	apply func(ctx context.Context, changes []change) error
	// queue makes a write durable behind every one before it, then calls its done.
	queue func(w write) error
	// clock judges the window of identities and answers.
	clock engine.Clock

	sweeping   sync.Mutex
	sweepFrom  []byte
	tombstones tombstoneSweep
}

// MaxPage bounds how many records one call lists, so that no iterator lives long.
const MaxPage = 10_000

// RetryRecords implements engine.State; it lists at most MaxPage records.
func (k *keyedState) RetryRecords(ctx context.Context, sub engine.SubscriptionID, after engine.DeliveryKey, limit int) ([]engine.RetryRecord, error) {
	var records []engine.RetryRecord
	err := k.page(ctx, prefixRetryRecord, sub, after, limit, func(_ stateView, key engine.DeliveryKey, value []byte) error {
		record, err := decodeRetryRecord(sub, key, value)
		records = append(records, record)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list retry records: %w", err)
	}
	return records, nil
}

// RetryRecord implements engine.State.
func (k *keyedState) RetryRecord(ctx context.Context, sub engine.SubscriptionID, key engine.DeliveryKey) (engine.RetryRecord, bool, error) {
	value, found, err := k.get(ctx, deliveryStateKey(prefixRetryRecord, sub, key))
	if err != nil || !found {
		return engine.RetryRecord{}, false, err
	}
	record, err := decodeRetryRecord(sub, key, value)
	if err != nil {
		return engine.RetryRecord{}, false, fmt.Errorf("read retry record: %w", err)
	}
	return record, true, nil
}

// DeadLetters implements engine.State; it lists at most MaxPage dead letters.
func (k *keyedState) DeadLetters(ctx context.Context, sub engine.SubscriptionID, after engine.DeliveryKey, limit int) ([]engine.DeadLetter, error) {
	var letters []engine.DeadLetter
	err := k.page(ctx, prefixDeadLetter, sub, after, limit, func(view stateView, key engine.DeliveryKey, value []byte) error {
		letter, err := readDeadLetter(view, sub, key, value)
		letters = append(letters, letter)
		return err
	})
	if err == nil {
		err = k.view(func(view stateView) error {
			expired, err := expiredLetters(view, sub, after, min(limit, MaxPage))
			if len(expired) > 0 {
				letters = append(letters, expired...)
				slices.SortFunc(letters, byDeliveryKey)
				letters = letters[:min(limit, MaxPage, len(letters))]
			}
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

// DeadLetter implements engine.State.
func (k *keyedState) DeadLetter(ctx context.Context, sub engine.SubscriptionID, key engine.DeliveryKey) (letter engine.DeadLetter, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return engine.DeadLetter{}, false, err
	}
	err = k.view(func(view stateView) error {
		letter, found, err = deadLetter(view, sub, key)
		if err == nil && !found {
			second := engine.ExpiredSecond(key.AcceptedMilli)
			letter, found, err = expiredLetter(view, sub, key.Event, second, second)
			found = found && letter.Key == key
		}
		return err
	})
	if err != nil {
		return engine.DeadLetter{}, false, fmt.Errorf("read dead letter: %w", err)
	}
	return letter, found, nil
}

// deadLetter reads one that did not expire.
func deadLetter(view stateView, sub engine.SubscriptionID, key engine.DeliveryKey) (engine.DeadLetter, bool, error) {
	value, found, err := view.get(deliveryStateKey(prefixDeadLetter, sub, key))
	if err != nil || !found {
		return engine.DeadLetter{}, false, err
	}
	letter, err := readDeadLetter(view, sub, key, value)
	return letter, true, err
}

func readDeadLetter(view stateView, sub engine.SubscriptionID, key engine.DeliveryKey, value []byte) (engine.DeadLetter, error) {
	letter, hasEvent, err := decodeDeadLetter(sub, key, value)
	if err != nil || !hasEvent {
		return letter, err
	}
	event, found, err := view.get(deliveryStateKey(prefixDeadEvent, sub, key))
	if err != nil {
		return letter, err
	}
	if !found {
		return letter, fmt.Errorf("%w: a dead letter without its event", errValue)
	}
	letter.Event, err = decodeEventValue(event)
	return letter, err
}

// Identities implements engine.State.
func (k *keyedState) Identities(ctx context.Context, ids []string) (map[string]engine.Identity, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := make(map[string]engine.Identity)
	err := k.view(func(view stateView) error {
		for _, id := range ids {
			value, known, err := view.get(textKey(prefixIdentity, id))
			if err != nil {
				return err
			}
			if !known {
				continue
			}
			identity, err := decodeIdentity(id, value)
			if err != nil {
				return err
			}
			if !past(identity.AcceptedAt, k.clock(), engine.IdentityWindow) {
				found[id] = identity
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	return found, nil
}

// Answer implements engine.State.
func (k *keyedState) Answer(ctx context.Context, key string) (engine.Answer, bool, error) {
	value, found, err := k.get(ctx, textKey(prefixAnswer, key))
	if err != nil || !found {
		return engine.Answer{}, false, err
	}
	answer, err := decodeAnswer(key, value)
	if err != nil {
		return engine.Answer{}, false, fmt.Errorf("read answer: %w", err)
	}
	if past(answer.AcceptedAt, k.clock(), engine.IdentityWindow) {
		return engine.Answer{}, false, nil
	}
	return answer, true, nil
}

func (k *keyedState) get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	err = k.view(func(view stateView) error {
		value, found, err = view.get(key)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read state: %w", err)
	}
	return value, found, nil
}

// page visits up to limit deliveries of a subscription with a key above after.
func (k *keyedState) page(ctx context.Context, prefix string, sub engine.SubscriptionID, after engine.DeliveryKey, limit int,
	visit func(stateView, engine.DeliveryKey, []byte) error,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	left := min(limit, MaxPage)
	if left <= 0 {
		return nil
	}
	return k.view(func(view stateView) error {
		first := subKey(prefix, sub)
		// One zero byte more is the smallest key above after.
		from := append(deliveryStateKey(prefix, sub, after), 0)
		return view.scan(first, from, func(key, value []byte) (bool, error) {
			delivery, err := deliveryKeyBehind(first, key)
			if err != nil {
				return false, err
			}
			left--
			err = visit(view, delivery, value)
			return left > 0, err
		})
	})
}

// deliveryKeyBehind reads the delivery in a key that begins with first.
func deliveryKeyBehind(first, key []byte) (engine.DeliveryKey, error) {
	if len(key) != len(first)+deliveryKeyBytes {
		return engine.DeliveryKey{}, fmt.Errorf("%w: a key of another shape", errValue)
	}
	return readDeliveryKey(key[len(first):]), nil
}
