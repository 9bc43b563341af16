package storage

import (
	"context"
	"fmt"

	"pannier/engine"
)

// Entries lists every register of a shard, tombstones included, in order of kind,
// subscription and key: one consistent view at the last synced commit. Writes that are queued
// are not in it; an empty Write in front, waited for, brings them in. All of it is held in
// memory at once, with the events of dead letters: a shard is a thousandth of the retry state.
// A register whose record was dropped by a plain Write is listed as a tombstone. Errors:
// unavailable (closed), that of ctx, damaged values. It may be called concurrently.
func (k *keyedState) Entries(ctx context.Context, shard int) (entries []engine.Entry, err error) {
	if err := checkShard(shard); err != nil {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	err = k.view(func(view stateView) error {
		seen := 0
		return view.scan(shardPrefix(shard), nil, func(key, value []byte) (bool, error) {
			if seen%checkEvery == 0 && ctx.Err() != nil {
				return false, ctx.Err()
			}
			seen++
			entry, err := readEntry(view, key, value)
			entries = append(entries, entry)
			return true, err
		})
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	return entries, nil
}

func readEntry(view stateView, key, value []byte) (engine.Entry, error) {
	k, err := readRegisterKey(key)
	if err != nil {
		return engine.Entry{}, err
	}
	mark, err := decodeRegisterMark(value)
	if err != nil {
		return engine.Entry{}, err
	}
	e := engine.Entry{EntryKey: k, Stamp: mark.stamp}
	if !mark.tombstone {
		e.Value, err = registerValue(view, k)
	}
	return e, err
}

// EntryShards lists the shards that have any register, a tombstone included, in order. It
// seeks from shard to shard and does not read what lies between. Errors: unavailable (closed),
// that of ctx, damaged keys. It may be called concurrently.
func (k *keyedState) EntryShards(ctx context.Context) (shards []int, err error) {
	err = k.view(func(view stateView) error {
		for next := 0; next < engine.Shards; {
			if err := ctx.Err(); err != nil {
				return err
			}
			shard := engine.Shards
			err := view.scan([]byte(prefixRegister), shardPrefix(next), func(key, _ []byte) (bool, error) {
				r := newKeyReader(key)
				shard = r.shard()
				return false, r.err
			})
			if err != nil {
				return err
			}
			if shard < engine.Shards {
				shards = append(shards, shard)
			}
			next = shard + 1
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list shards: %w", err)
	}
	return shards, nil
}
