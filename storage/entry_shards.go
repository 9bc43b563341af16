package storage

import (
	"context"
	"fmt"

	"pannier/engine"
)

// registersStep bounds the registers that one transaction drops or makes.
const registersStep = 500

// DropShard queues the removal of every register of a shard, tombstones included, and of what
// they put on other keys. It has its place in the order of writes: everything queued before is
// removed, nothing queued after. It takes as many transactions as it needs, one after the
// other, so a read, or a crash, may find a part of the shard; dropping it again removes the
// rest. done is called after the last is synced, like that of Write. Errors: unavailable
// (closed). It may be called concurrently.
func (k *keyedState) DropShard(shard int, done func()) error {
	if err := checkShard(shard); err != nil {
		return fmt.Errorf("drop shard: %w", err)
	}
	d := &shardDrop{prefix: shardPrefix(shard)}
	// As many keys as a transaction may change keep every other write out of its transactions.
	late := &lateChange{resolve: d.resolve, keys: MaxWriteChanges, bytes: MaxWriteBytes}
	return k.queue(newWrite([]change{{late: late}}, done))
}

// shardDrop is a shard on its way out; from is where the next transaction goes on.
type shardDrop struct{ prefix, from []byte }

// resolve implements lateChange.
func (d *shardDrop) resolve(view stateView) (changes []change, again bool, err error) {
	seen := 0
	err = view.scan(d.prefix, d.from, func(key, _ []byte) (bool, error) {
		if seen == registersStep {
			again = true
			return false, nil
		}
		seen++
		key = append([]byte(nil), key...)
		d.from = key
		k, err := readRegisterKey(key)
		if err != nil {
			return false, err
		}
		held, err := heldKeys(view, k, nil)
		for _, key := range append(held, key) {
			changes = append(changes, change{key: key})
		}
		return true, err
	})
	return changes, again, err
}

// RegisterAll gives every retry record, dead letter, queue and replay that has no register one
// with stamp, so that a folder of a single member can be one of a cluster; a delivery with both a
// retry record and a dead letter keeps the retry record.
// It works in bounded groups and can be repeated: what has a register keeps it. Errors:
// unavailable (closed), that of ctx, damaged values. It may be called concurrently.
func (k *keyedState) RegisterAll(ctx context.Context, stamp engine.Stamp) error {
	for _, prefix := range []string{prefixRetryRecord, prefixDeadLetter, prefixQueue, prefixReplay, prefixExpired} {
		kind := engine.EntryDelivery
		switch prefix {
		case prefixQueue:
			kind = engine.EntryQueue
		case prefixReplay:
			kind = engine.EntryReplay
		case prefixExpired:
			kind = engine.EntryExpired
		}
		r := &registration{prefix: []byte(prefix), kind: kind, stamp: stamp}
		for more := true; more; {
			var err error
			if more, err = r.step(ctx, k); err != nil {
				return fmt.Errorf("register what is there: %w", err)
			}
		}
	}
	return nil
}

// registration gives registers to the keys with one prefix; from is where the next step goes
// on.
type registration struct {
	prefix, from []byte
	kind         engine.EntryKind
	stamp        engine.Stamp
}

func (r *registration) step(ctx context.Context, k *keyedState) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var changes []change
	err = k.view(func(view stateView) error {
		seen := 0
		return view.scan(r.prefix, r.from, func(key, value []byte) (bool, error) {
			if seen == registersStep {
				more = true
				return false, nil
			}
			seen++
			r.from = append(append(r.from[:0], key...), 0)
			register, err := r.register(key, value)
			if err != nil {
				return false, err
			}
			_, found, err := readMark(view, registerKey(register))
			if err == nil && !found {
				changes = append(changes, r.change(register))
			}
			return true, err
		})
	})
	if err != nil || len(changes) == 0 {
		return more, err
	}
	return more, k.apply(ctx, changes)
}

// register names the register of what lies under a key.
func (r *registration) register(key, value []byte) (engine.EntryKey, error) {
	if r.kind == engine.EntryReplay {
		id := string(key[prefixBytes:])
		replay, err := decodeReplay(id, value)
		if err != nil {
			return engine.EntryKey{}, err
		}
		register := engine.EntryKey{Kind: r.kind, Subscription: replay.Subscription, Key: id}
		return register, checkEntryKey(register)
	}
	reader := newKeyReader(key)
	reader.shard()
	register := engine.EntryKey{Kind: r.kind, Subscription: reader.sub(), Key: reader.rest()}
	if err := reader.end(); err != nil {
		return engine.EntryKey{}, err
	}
	return register, checkEntryKey(register)
}

// change gives a register to what is there when its turn comes, if it has none by then.
func (r *registration) change(register engine.EntryKey) change {
	entry := &engine.Entry{EntryKey: register, Stamp: r.stamp}
	keys, size := entryBounds(entry)
	return change{late: &lateChange{keys: keys, bytes: size, resolve: func(view stateView) (changes []change, again bool, err error) {
		_, found, err := readMark(view, registerKey(register))
		if err != nil || found {
			return nil, false, err
		}
		if entry.Value, err = registerValue(view, register); err != nil || entry.Value == nil {
			return nil, false, err
		}
		m, err := newEntryMerge(entry)
		if err != nil {
			return nil, false, err
		}
		changes, err = m.mark(view)
		return changes, false, err
	}}}
}
