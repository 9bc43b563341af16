package storage

import (
	"context"
	"fmt"

	"pannier/engine"
)

// checkEvery is after how many keys a load looks whether it is still wanted.
const checkEvery = 1024

// Load implements engine.State. Versions come in order of revision, everything else in
// order of key.
func (k *keyedState) Load(ctx context.Context) (*engine.Snapshot, error) {
	snapshot := &engine.Snapshot{DeadCount: make(map[engine.SubscriptionID]int)}
	err := k.view(func(view stateView) error {
		for _, part := range loadParts(snapshot) {
			seen := 0
			err := view.scan([]byte(part.prefix), nil, func(key, value []byte) (bool, error) {
				if seen++; seen%checkEvery == 0 && ctx.Err() != nil {
					return false, ctx.Err()
				}
				r := newKeyReader(key)
				err := part.load(r, value)
				if keyErr := r.end(); keyErr != nil {
					err = keyErr
				}
				return true, err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", part.prefix, err)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	return snapshot, nil
}

// loadPart loads the keys with one prefix; load reads the whole key and the value.
type loadPart struct {
	prefix string
	load   func(key *keyReader, value []byte) error
}

func loadParts(s *engine.Snapshot) []loadPart {
	shared, versions := make(map[string]string), new(pieces)
	return []loadPart{
		{prefixVersion, func(key *keyReader, value []byte) error {
			key.pieces = versions
			revision, sub := key.number(), key.sub()
			v, err := decodeVersion(revision, sub, value, shared, versions)
			s.Versions = append(s.Versions, v)
			return err
		}},
		{prefixAPIKey, func(key *keyReader, value []byte) error {
			k, err := decodeAPIKey(key.rest(), value)
			s.APIKeys = append(s.APIKeys, k)
			return err
		}},
		{prefixLane, func(key *keyReader, value []byte) error {
			l, err := decodeLane(key.rest(), value)
			s.Lanes = append(s.Lanes, l)
			return err
		}},
		{prefixReplay, func(key *keyReader, value []byte) error {
			p, err := decodeReplay(key.rest(), value)
			s.Replays = append(s.Replays, p)
			return err
		}},
		{prefixWatermark, func(key *keyReader, value []byte) error {
			m, err := decodeWatermark(engine.JournalID(key.number()), value)
			s.Watermarks = append(s.Watermarks, m)
			return err
		}},
		{prefixDropped, func(key *keyReader, value []byte) error {
			s.Dropped = append(s.Dropped, key.number())
			return newValueReader(value).end()
		}},
		{prefixCursor, func(key *keyReader, value []byte) error {
			journal, sub := engine.JournalID(key.number()), key.sub()
			c, err := decodeCursor(sub, journal, value)
			s.Cursors = append(s.Cursors, c)
			return err
		}},
		{prefixQueue, func(key *keyReader, value []byte) error {
			key.shard()
			q, err := decodeQueue(key.sub(), value)
			s.Queues = append(s.Queues, q)
			return err
		}},
		{prefixDoneMark, func(key *keyReader, value []byte) error {
			ref := engine.EventRef{Journal: engine.JournalID(key.number()), Sequence: key.number()}
			s.DoneMarks = append(s.DoneMarks, engine.DoneMark{Event: ref, Subscription: key.sub()})
			return newValueReader(value).end()
		}},
		{prefixExpired, func(key *keyReader, value []byte) error {
			key.shard()
			n, err := countExpired(value)
			s.DeadCount[key.sub()] += n
			key.delivery()
			return err
		}},
		{prefixDeadLetter, func(key *keyReader, _ []byte) error {
			key.shard()
			s.DeadCount[key.sub()]++
			key.delivery()
			return nil
		}},
	}
}
