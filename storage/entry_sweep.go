package storage

import (
	"time"
)

const (
	// TombstoneFor is how long the tombstone of a register is kept, by its stamp. A copy of
	// the register that was away for longer may bring it back.
	TombstoneFor = 24 * time.Hour
	// tombstonesEvery is how often all registers are looked at for old tombstones: they are
	// not in order of time, and an index that is would cost more than to look.
	tombstonesEvery = time.Hour
)

// tombstoneSweep is one pass after the other over all registers; the zero value is at the
// beginning of the first.
type tombstoneSweep struct {
	from  []byte    // where the pass under way goes on; nil between two
	ended time.Time // the last pass
}

// step looks at the next sweepStep registers and removes the tombstones among them that were
// old at now.
func (t *tombstoneSweep) step(view stateView, now time.Time) (changes []change, err error) {
	if t.from == nil && !t.due(now) {
		return nil, nil
	}
	seen, from := 0, t.from
	t.from = nil
	err = view.scan([]byte(prefixRegister), from, func(key, value []byte) (bool, error) {
		if seen == sweepStep {
			t.from = append([]byte(nil), key...)
			return false, nil
		}
		seen++
		mark, err := decodeRegisterMark(value)
		if err == nil && mark.old(now) {
			changes = append(changes, sweepTombstone(append([]byte(nil), key...), now))
		}
		return true, err
	})
	if t.from == nil {
		t.ended = now
	}
	return changes, err
}

// due holds too after the clock went back, which must not put a pass off.
func (t *tombstoneSweep) due(now time.Time) bool {
	return now.Before(t.ended) || past(t.ended, now, tombstonesEvery)
}

func (m registerMark) old(now time.Time) bool {
	return m.tombstone && past(time.UnixMilli(m.stamp.Milli()), now, TombstoneFor)
}

// sweepTombstone removes a mark that still is an old tombstone when its turn comes.
func sweepTombstone(key []byte, now time.Time) change {
	removal := change{key: key}
	return change{late: &lateChange{keys: 1, bytes: removal.size(), resolve: func(view stateView) ([]change, bool, error) {
		mark, found, err := readMark(view, key)
		if err != nil || !found || !mark.old(now) {
			return nil, false, err
		}
		return []change{removal}, false, nil
	}}}
}
