package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"pannier/engine"
)

// A register of a cluster's retry state (engine.Entry) is two things: a mark under a key of
// its own (prefixRegister), which says when it was last written, and its value on the keys
// where a single member keeps it too. So whoever reads retry records or dead letters need not
// know of registers, and a single member has none.

// registerMark is the value under a register's own key.
type registerMark struct {
	stamp     engine.Stamp
	tombstone bool
}

func (m registerMark) encode() []byte {
	w := newValueWriter(9)
	w.bool(m.tombstone)
	w.fixed64(uint64(m.stamp))
	return w.b
}

func decodeRegisterMark(value []byte) (registerMark, error) {
	r := newValueReader(value)
	m := registerMark{tombstone: r.bool(), stamp: engine.Stamp(r.fixed64())}
	return m, r.end()
}

// readMark gives the mark of a register.
func readMark(view stateView, key []byte) (m registerMark, found bool, err error) {
	value, found, err := view.get(key)
	if err != nil || !found {
		return registerMark{}, false, err
	}
	m, err = decodeRegisterMark(value)
	return m, true, err
}

func registerKey(k engine.EntryKey) []byte {
	key := make([]byte, 0, prefixBytes+shardBytes+2+len(k.Subscription)+len(k.Key))
	key = binary.BigEndian.AppendUint16(append(key, prefixRegister...), uint16(engine.ShardOf(k.Subscription))) //nolint:gosec // there are 1024 shards
	return append(appendSub(append(key, byte(k.Kind)), k.Subscription), k.Key...)
}

// deliveryRegister names the register of a delivery.
func deliveryRegister(sub engine.SubscriptionID, key engine.DeliveryKey) engine.EntryKey {
	return engine.EntryKey{Kind: engine.EntryDelivery, Subscription: sub, Key: string(appendDeliveryKey(nil, key))}
}

// expiredRegister names the register of what expired together.
func expiredRegister(sub engine.SubscriptionID, key engine.DeliveryKey) engine.EntryKey {
	return engine.EntryKey{Kind: engine.EntryExpired, Subscription: sub, Key: string(appendDeliveryKey(nil, key))}
}

func readRegisterKey(key []byte) (engine.EntryKey, error) {
	r := newKeyReader(key)
	r.shard()
	k := engine.EntryKey{Kind: engine.EntryKind(r.byte()), Subscription: r.sub(), Key: r.rest()}
	if err := r.end(); err != nil {
		return engine.EntryKey{}, err
	}
	return k, checkEntryKey(k)
}

// shardPrefix begins the keys of a shard's registers; the shard behind the last one is valid
// too.
func shardPrefix(shard int) []byte {
	return binary.BigEndian.AppendUint16([]byte(prefixRegister), uint16(shard)) //nolint:gosec // there are 1024 shards
}

func checkShard(shard int) error {
	if shard < 0 || shard >= engine.Shards {
		return fmt.Errorf("there is no shard %d", shard)
	}
	return nil
}

// valueKey is the key where one kind of value of a register lies.
func valueKey(prefix string, k engine.EntryKey) []byte {
	if k.Kind == engine.EntryReplay {
		return textKey(prefix, k.Key)
	}
	return append(subKey(prefix, k.Subscription), k.Key...)
}

// registerValue puts the value of a register together from where it lies; nil when nothing
// is there.
func registerValue(view stateView, k engine.EntryKey) ([]byte, error) {
	switch k.Kind {
	case engine.EntryQueue:
		return readValue(view, prefixQueue, k)
	case engine.EntryReplay:
		return readValue(view, prefixReplay, k)
	case engine.EntryExpired:
		return readValue(view, prefixExpired, k)
	default:
		if record, err := readValue(view, prefixRetryRecord, k); record != nil || err != nil {
			return record, err
		}
		return readDeadValue(view, k)
	}
}

func readValue(view stateView, prefix string, k engine.EntryKey) ([]byte, error) {
	value, found, err := view.get(valueKey(prefix, k))
	if err != nil || !found {
		return nil, err
	}
	return append([]byte{prefix[0]}, value...), nil
}

func readDeadValue(view stateView, k engine.EntryKey) ([]byte, error) {
	letter, found, err := view.get(valueKey(prefixDeadLetter, k))
	if err != nil || !found {
		return nil, err
	}
	event, _, err := view.get(valueKey(prefixDeadEvent, k))
	return joinDeadLetter(letter, event), err
}

// heldKeys are the keys where the value of a register lies, but for those that puts write
// anyway.
func heldKeys(view stateView, k engine.EntryKey, puts []change) (keys [][]byte, err error) {
	prefix := prefixRetryRecord
	switch k.Kind {
	case engine.EntryQueue:
		prefix = prefixQueue
	case engine.EntryReplay:
		prefix = prefixReplay
	case engine.EntryExpired:
		return heldExpired(view, k, puts)
	default:
		if keys, err = heldDeadLetter(view, k, puts); err != nil {
			return nil, err
		}
	}
	key := valueKey(prefix, k)
	if putOn(puts, key) {
		return keys, nil
	}
	_, found, err := view.get(key)
	if found {
		keys = append(keys, key)
	}
	return keys, err
}

func heldDeadLetter(view stateView, k engine.EntryKey, puts []change) ([][]byte, error) {
	key := valueKey(prefixDeadLetter, k)
	value, found, err := view.get(key)
	if err != nil || !found {
		return nil, err
	}
	letter, hasEvent, err := decodeDeadLetter(k.Subscription, readDeliveryKey([]byte(k.Key)), value)
	keys := [][]byte{key, deadTimeKey(letter)}
	if hasEvent {
		keys = append(keys, valueKey(prefixDeadEvent, k))
	}
	return slices.DeleteFunc(keys, func(key []byte) bool { return putOn(puts, key) }), err
}

func heldExpired(view stateView, k engine.EntryKey, puts []change) ([][]byte, error) {
	key := valueKey(prefixExpired, k)
	value, found, err := view.get(key)
	if err != nil || !found {
		return nil, err
	}
	x, err := decodeExpired(k.Subscription, readDeliveryKey([]byte(k.Key)), value)
	keys := [][]byte{key, expiredTimeKey(x)}
	return slices.DeleteFunc(keys, func(key []byte) bool { return putOn(puts, key) }), err
}

func putOn(puts []change, key []byte) bool {
	return slices.ContainsFunc(puts, func(put change) bool { return bytes.Equal(put.key, key) })
}
