package storage

import (
	"encoding/binary"
	"fmt"

	"pannier/engine"
)

// The value of an entry is a letter and then what the state keeps on disk for the same thing.
// The letter is that of the key where it lies (state_keys.go). A dead letter is two values on
// disk and one here: its length, the letter, and its event, if it has one.

// EntryValue is what an entry says: one of the pointers is set, none for a tombstone.
type EntryValue struct {
	Retry  *engine.RetryRecord // Carried is set when it has its Body
	Dead   *engine.DeadLetter
	Queue  *engine.Queue
	Replay *engine.Replay
	// Expired is many dead letters.
	Expired *engine.Expired
	// Key is the delivery of an engine.EntryDelivery, of a tombstone too.
	Key engine.DeliveryKey
}

// DecodeEntry tells what an entry says. Entries come from other members: what is not exactly
// as EntriesOf and State.Entries make it, in its key or its value, is an error. The result
// shares no memory with the entry. It may be called concurrently.
func DecodeEntry(e *engine.Entry) (v EntryValue, err error) {
	if err := checkEntryKey(e.EntryKey); err != nil {
		return EntryValue{}, fmt.Errorf("entry: %w", err)
	}
	if e.Kind == engine.EntryDelivery {
		v.Key = readDeliveryKey([]byte(e.Key))
	}
	if len(e.Value) == 0 {
		return v, nil
	}
	if err := v.decode(e); err != nil {
		return EntryValue{}, fmt.Errorf("entry: %w", err)
	}
	return v, nil
}

func (v *EntryValue) decode(e *engine.Entry) error {
	letter, value := string(e.Value[:1])+"/", e.Value[1:]
	switch {
	case e.Kind == engine.EntryDelivery && letter == prefixRetryRecord:
		record, err := decodeRetryRecord(e.Subscription, v.Key, value)
		record.Carried = record.Body != nil
		v.Retry = &record
		return err
	case e.Kind == engine.EntryDelivery && letter == prefixDeadLetter:
		dead, err := decodeWholeDeadLetter(e.Subscription, v.Key, value)
		v.Dead = &dead
		return err
	case e.Kind == engine.EntryQueue && letter == prefixQueue:
		queue, err := decodeQueue(e.Subscription, value)
		v.Queue = &queue
		return err
	case e.Kind == engine.EntryReplay && letter == prefixReplay:
		replay, err := decodeReplay(e.Key, value)
		if err == nil && replay.Subscription != e.Subscription {
			err = fmt.Errorf("%w: a replay of another subscription", errValue)
		}
		v.Replay = &replay
		return err
	case e.Kind == engine.EntryExpired && letter == prefixExpired:
		expired, err := decodeExpired(e.Subscription, readDeliveryKey([]byte(e.Key)), value)
		v.Expired = &expired
		return err
	default:
		return fmt.Errorf("%w: letter %q in an entry of kind %d", errValue, letter[:1], e.Kind)
	}
}

// Encode gives the value of an entry that says v, nil for a tombstone: DecodeEntry gives v
// again. It may be called concurrently.
func (v EntryValue) Encode() []byte {
	switch {
	case v.Retry != nil:
		return append([]byte(prefixRetryRecord[:1]), encodeRetryRecord(*v.Retry)...)
	case v.Dead != nil:
		var event []byte
		if v.Dead.Event != nil {
			event = encodeEventValue(v.Dead.Event)
		}
		return joinDeadLetter(encodeDeadLetter(*v.Dead), event)
	case v.Queue != nil:
		return append([]byte(prefixQueue[:1]), encodeQueue(*v.Queue)...)
	case v.Replay != nil:
		return append([]byte(prefixReplay[:1]), encodeReplay(*v.Replay)...)
	case v.Expired != nil:
		return append([]byte(prefixExpired[:1]), encodeExpired(*v.Expired)...)
	default:
		return nil
	}
}

func decodeWholeDeadLetter(sub engine.SubscriptionID, key engine.DeliveryKey, value []byte) (engine.DeadLetter, error) {
	letter, event, err := splitDeadLetter(value)
	if err != nil {
		return engine.DeadLetter{}, err
	}
	dead, hasEvent, err := decodeDeadLetter(sub, key, letter)
	if err != nil {
		return engine.DeadLetter{}, err
	}
	if hasEvent != (len(event) > 0) {
		return engine.DeadLetter{}, fmt.Errorf("%w: a dead letter and an event that do not belong together", errValue)
	}
	if hasEvent {
		dead.Event, err = decodeEventValue(event)
	}
	return dead, err
}

// joinDeadLetter makes one value of the two on disk.
func joinDeadLetter(letter, event []byte) []byte {
	b := append(make([]byte, 0, 1+binary.MaxVarintLen16+len(letter)+len(event)), prefixDeadLetter[0])
	b = binary.AppendUvarint(b, uint64(len(letter)))
	return append(append(b, letter...), event...)
}

// splitDeadLetter is the inverse of joinDeadLetter, for a value without its first letter.
func splitDeadLetter(value []byte) (letter, event []byte, err error) {
	r := valueReader{b: value}
	letter = r.raw()
	return letter, r.b, r.err
}

// checkEntryKey refuses a key that no register has.
func checkEntryKey(k engine.EntryKey) error {
	if err := checkSub(k.Subscription); err != nil {
		return err
	}
	ok := false
	switch k.Kind {
	case engine.EntryDelivery, engine.EntryExpired:
		ok = len(k.Key) == deliveryKeyBytes
	case engine.EntryQueue:
		ok = k.Key == ""
	case engine.EntryReplay:
		ok = k.Key != "" && len(registerKey(k)) <= MaxKeyBytes
	}
	if !ok {
		return fmt.Errorf("%w: a key of %d bytes in an entry of kind %d", errValue, len(k.Key), k.Kind)
	}
	return nil
}
