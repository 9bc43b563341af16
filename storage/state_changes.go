package storage

import (
	"fmt"
	"time"

	"pannier/engine"
)

// change is one key that a write sets or drops.
type change struct {
	key   []byte
	value []byte // nil: the key is dropped
	// expires lets Badger forget the key identityExpiry after the commit.
	expires bool
	// late, when set, stands in the place of all others (see lateChange).
	late *lateChange
}

const (
	// MaxWriteBytes bounds the changes of one Write: it must fit one transaction, and a
	// value of more than 1 MiB would go to Badger's value log, whose sync errors are
	// swallowed.
	MaxWriteBytes = 1 << 20
	// MaxWriteChanges bounds the changes of one Write in keys (a dead letter takes three).
	MaxWriteChanges = 8192
	// changeOverhead is what a change takes beside its key and value.
	changeOverhead = 32
	// identityExpiry is twice the window, which is judged by the value: a clock that jumps
	// makes at worst a repeated event.
	identityExpiry = 2 * engine.IdentityWindow
)

func (c change) size() int {
	if c.late != nil {
		return c.late.bytes
	}
	return len(c.key) + len(c.value) + changeOverhead
}

// encodeChanges turns one Write into changes. Errors: too_large, when the Write is past
// MaxWriteBytes, MaxWriteChanges, MaxKeyBytes or MaxSubscriptionIDBytes.
func encodeChanges(writes []engine.Write) (changes []change, size int, err error) {
	changes = make([]change, 0, len(writes))
	for _, write := range writes {
		changes, err = appendChanges(changes, write)
		if err != nil {
			return nil, 0, err
		}
	}
	for _, c := range changes {
		if len(c.key) > MaxKeyBytes {
			return nil, 0, engine.Errorf(engine.CodeTooLarge, "a key of the state is longer than %d bytes", MaxKeyBytes)
		}
		size += c.size()
	}
	return changes, size, checkBounds(size, len(changes))
}

func checkBounds(size, keys int) error {
	if size > MaxWriteBytes || keys > MaxWriteChanges {
		return engine.Errorf(engine.CodeTooLarge, "one write to the state is larger than %d bytes or %d keys", MaxWriteBytes, MaxWriteChanges)
	}
	return nil
}

func appendChanges(changes []change, write engine.Write) ([]change, error) {
	put := func(key, value []byte) { changes = append(changes, change{key: key, value: value}) }
	drop := func(key []byte) { changes = append(changes, change{key: key}) }
	var sub engine.SubscriptionID
	switch w := write.(type) {
	case engine.PutVersion:
		sub = w.ID
		put(versionKey(w.Subscription), encodeVersion(w.Subscription))
	case engine.DropVersion:
		drop(versionKey(w.Version))
	case engine.PutAPIKey:
		put(textKey(prefixAPIKey, w.ID), encodeAPIKey(w.APIKey))
	case engine.DropAPIKey:
		drop(textKey(prefixAPIKey, w.ID))
	case engine.PutLane:
		put(textKey(prefixLane, w.Name), encodeLane(w.LaneRecord))
	case engine.DropLane:
		drop(textKey(prefixLane, w.Name))
	case engine.PutReplay:
		put(textKey(prefixReplay, w.ID), encodeReplay(w.Replay))
	case engine.DropReplay:
		drop(textKey(prefixReplay, w.ID))
	case engine.PutDropped:
		put(numberKey(prefixDropped, w.Batch), []byte{valueVersion})
	case engine.PutIdentity:
		changes = append(changes, change{key: textKey(prefixIdentity, w.ID), value: encodeIdentity(w.Identity), expires: true})
	case engine.PutAnswer:
		changes = append(changes, change{key: textKey(prefixAnswer, w.Key), value: encodeAnswer(w.Answer), expires: true})
	default:
		return appendDeliveryChanges(changes, write)
	}
	return changes, checkSub(sub)
}

// appendDeliveryChanges is the part of appendChanges about deliveries.
func appendDeliveryChanges(changes []change, write engine.Write) ([]change, error) {
	put := func(key, value []byte) { changes = append(changes, change{key: key, value: value}) }
	drop := func(key []byte) { changes = append(changes, change{key: key}) }
	var sub engine.SubscriptionID
	switch w := write.(type) {
	case engine.PutRetryRecord:
		sub = w.Subscription
		put(deliveryStateKey(prefixRetryRecord, sub, w.Key), encodeRetryRecord(w.RetryRecord))
	case engine.DropRetryRecord:
		drop(deliveryStateKey(prefixRetryRecord, w.Subscription, w.Key))
	case engine.PutDeadLetter:
		sub = w.Subscription
		put(deliveryStateKey(prefixDeadLetter, sub, w.Key), encodeDeadLetter(w.DeadLetter))
		put(deadTimeKey(w.DeadLetter), []byte{valueVersion})
		if w.Event != nil {
			put(deliveryStateKey(prefixDeadEvent, sub, w.Key), encodeEventValue(w.Event))
		}
	case engine.DropDeadLetter:
		// The entry by time stays: only the sweep knows its key, and removes it.
		drop(deliveryStateKey(prefixDeadLetter, w.Subscription, w.Key))
		drop(deliveryStateKey(prefixDeadEvent, w.Subscription, w.Key))
	case engine.PutDoneMark:
		sub = w.Subscription
		put(doneMarkKey(w.DoneMark), []byte{valueVersion})
	case engine.DropDoneMark:
		drop(doneMarkKey(w.DoneMark))
	case engine.PutQueue:
		sub = w.Subscription
		put(subKey(prefixQueue, sub), encodeQueue(w.Queue))
	case engine.DropQueue:
		drop(subKey(prefixQueue, w.Subscription))
	case engine.PutCursor:
		sub = w.Subscription
		put(cursorKey(w.Journal, sub), encodeCursor(w.Cursor))
	case engine.DropCursor:
		drop(cursorKey(w.Journal, w.Subscription))
	default:
		return appendProgressChanges(changes, write)
	}
	return changes, checkSub(sub)
}

// appendProgressChanges is the part of appendChanges about journals and what of them is over.
func appendProgressChanges(changes []change, write engine.Write) ([]change, error) {
	put := func(key, value []byte) { changes = append(changes, change{key: key, value: value}) }
	drop := func(key []byte) { changes = append(changes, change{key: key}) }
	var sub engine.SubscriptionID
	switch w := write.(type) {
	case engine.PutWatermark:
		put(numberKey(prefixWatermark, uint64(w.Journal)), encodeWatermark(w.Watermark))
	case engine.DropWatermark:
		drop(numberKey(prefixWatermark, uint64(w.Journal)))
	case engine.PutExpired:
		sub = w.Subscription
		put(deliveryStateKey(prefixExpired, sub, w.Key), encodeExpired(w.Expired))
		put(expiredTimeKey(w.Expired), []byte{valueVersion})
	case engine.DropExpired:
		// The entry by time stays, as with a dead letter.
		drop(deliveryStateKey(prefixExpired, w.Subscription, w.Key))
	default:
		// A new kind of write without a key here would be lost in silence.
		return nil, fmt.Errorf("unknown write %T", write)
	}
	return changes, checkSub(sub)
}

func checkSub(sub engine.SubscriptionID) error {
	if len(sub) > MaxSubscriptionIDBytes {
		return engine.Errorf(engine.CodeTooLarge, "a subscription's id is longer than %d bytes", MaxSubscriptionIDBytes)
	}
	return nil
}

// past tells whether a thing remembered for window from at on is forgotten at now.
func past(at, now time.Time, window time.Duration) bool { return now.Sub(at) >= window }
