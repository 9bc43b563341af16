package storage

import (
	"fmt"

	"pannier/engine"
)

// MergeEntries queues one atomic group, behind every write before it: of the entries those
// that win over what is there when the group's turn comes (engine.Entry.Wins), the writes
// before it and the entries before in the same group included; and with, whatever wins. done
// is called after the group is synced, like that of Write. A record without a register (see
// RegisterAll) loses to any entry of its key. In a cluster everything that EntriesOf turns
// into entries is written so and not by Write, which leaves the registers as they are; with
// must not name what is a register.
//
// The entries must not be changed afterwards. Errors: unavailable (closed), too_large (see
// MaxWriteBytes and SplitEntries), an entry that DecodeEntry refuses. It may be called
// concurrently.
func (k *keyedState) MergeEntries(entries []engine.Entry, with []engine.Write, done func()) error {
	changes := make([]change, 0, len(entries)+len(with))
	for i := range entries {
		m, err := newEntryMerge(&entries[i])
		if err != nil {
			return fmt.Errorf("merge entries: %w", err)
		}
		changes = append(changes, m.change())
	}
	others, _, err := encodeChanges(with)
	if err != nil {
		return err
	}
	w := newWrite(append(changes, others...), done)
	if err := checkBounds(w.size, w.keys()); err != nil {
		return err
	}
	return k.queue(w)
}

// SplitEntries splits entries, in order, into groups each of which MergeEntries takes without
// further writes. An entry that is too large by itself is a group of its own.
func SplitEntries(entries []engine.Entry) (groups [][]engine.Entry) {
	first, size, keys := 0, 0, 0
	for i := range entries {
		entryKeys, entryBytes := entryBounds(&entries[i])
		if i > first && checkBounds(size+entryBytes, keys+entryKeys) != nil {
			groups = append(groups, entries[first:i])
			first, size, keys = i, 0, 0
		}
		size += entryBytes
		keys += entryKeys
	}
	if first < len(entries) {
		groups = append(groups, entries[first:])
	}
	return groups
}

// entryBounds bounds what one merged entry changes. A delivery changes its mark, its retry
// record and the two values and two times of dead letters, at most; what expired its mark, its
// value and two times; anything else its mark and its value.
func entryBounds(e *engine.Entry) (keys, size int) {
	switch e.Kind {
	case engine.EntryDelivery:
		keys = 6
	case engine.EntryExpired:
		keys = 4
	default:
		keys = 2
	}
	const longestPrefix = prefixBytes + 8 + 2 // that of a dead letter by time
	key := longestPrefix + len(e.Subscription) + len(e.Key)
	const values = 16 // of a mark and of a dead letter by time
	return keys, keys*(key+changeOverhead) + values + len(e.Value)
}

// entryMerge is one entry on its way into the state.
type entryMerge struct {
	entry *engine.Entry
	key   []byte   // of its mark
	puts  []change // its value
}

func newEntryMerge(e *engine.Entry) (*entryMerge, error) {
	v, err := DecodeEntry(e)
	if err != nil {
		return nil, err
	}
	m := &entryMerge{entry: e, key: registerKey(e.EntryKey)}
	put := func(prefix string, value []byte) {
		m.puts = append(m.puts, change{key: valueKey(prefix, e.EntryKey), value: value})
	}
	// What follows the letter is what lies on disk.
	switch {
	case v.Retry != nil:
		put(prefixRetryRecord, e.Value[1:])
	case v.Dead != nil:
		letter, event, err := splitDeadLetter(e.Value[1:])
		if err != nil {
			return nil, err
		}
		put(prefixDeadLetter, letter)
		m.puts = append(m.puts, change{key: deadTimeKey(*v.Dead), value: []byte{valueVersion}})
		if v.Dead.Event != nil {
			put(prefixDeadEvent, event)
		}
	case v.Queue != nil:
		put(prefixQueue, e.Value[1:])
	case v.Replay != nil:
		put(prefixReplay, e.Value[1:])
	case v.Expired != nil:
		put(prefixExpired, e.Value[1:])
		m.puts = append(m.puts, change{key: expiredTimeKey(*v.Expired), value: []byte{valueVersion}})
	}
	return m, nil
}

func (m *entryMerge) change() change {
	keys, size := entryBounds(m.entry)
	return change{late: &lateChange{resolve: m.resolve, keys: keys, bytes: size}}
}

// resolve implements lateChange.
func (m *entryMerge) resolve(view stateView) (changes []change, again bool, err error) {
	wins, err := m.wins(view)
	if err != nil || !wins {
		return nil, false, err
	}
	changes, err = m.mark(view)
	return append(changes, m.puts...), false, err
}

func (m *entryMerge) wins(view stateView) (bool, error) {
	mark, found, err := readMark(view, m.key)
	if err != nil || !found {
		return err == nil, err
	}
	there := engine.Entry{EntryKey: m.entry.EntryKey, Stamp: mark.stamp}
	if mark.stamp == m.entry.Stamp && !mark.tombstone {
		if there.Value, err = registerValue(view, there.EntryKey); err != nil {
			return false, err
		}
	}
	return m.entry.Wins(&there), nil
}

// mark writes the register's mark and drops what its value had put on other keys than the
// new one does.
func (m *entryMerge) mark(view stateView) ([]change, error) {
	held, err := heldKeys(view, m.entry.EntryKey, m.puts)
	mark := registerMark{stamp: m.entry.Stamp, tombstone: len(m.entry.Value) == 0}
	changes := []change{{key: m.key, value: mark.encode()}}
	for _, key := range held {
		changes = append(changes, change{key: key})
	}
	return changes, err
}
