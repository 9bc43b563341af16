package storage

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
)

func TestLateChangesWeighInTheQueue(t *testing.T) {
	t.Parallel()
	w := newWrite([]change{{key: []byte("k")}, lateOf(5)}, nil)
	if w.weight() != 6 || w.size != 1+changeOverhead+1 {
		t.Errorf("weight %d, size %d; want 6 and %d", w.weight(), w.size, 1+changeOverhead+1)
	}
}

func lateOf(keys int) change { return change{late: &lateChange{keys: keys, bytes: 1}} }

func TestLateChangesAreCountedInFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		c := newCommitter(g.commit, refuseFatal(t), nil)
		queue := func(changes []change) {
			if err := c.write(newWrite(changes, nil)); err != nil {
				t.Fatal(err)
			}
		}
		queue([]change{{}})
		if got := len(<-g.began); got != 1 {
			t.Errorf("the first does not go alone: %d changes", got)
		}
		for _, changes := range [][]change{
			{{}, lateOf(MaxWriteChanges - 2)},
			{{}},
			{{}},
			{lateOf(MaxWriteChanges)}, // alone, but for a write that changes nothing
			nil,
			{{}},
			{lateOf(MaxWriteChanges - 1)},
		} {
			queue(changes)
		}
		for n, want := range []int{3, 1, 1, 2} {
			g.through <- nil
			if got := len(<-g.began); got != want {
				t.Errorf("commit %d has %d changes, want %d", n, got, want)
			}
		}
		g.through <- nil
		c.close()
	})
}

// What a read found is judged again when the change has its turn.
func TestLateChangesSeeWhatCameBetween(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1 << 40)
	letter := engine.DeadLetter{Subscription: "sub_a", Key: testKey, DiedAt: now.Add(-engine.DeadLetterRetention), Event: &engine.Event{}}
	again := letter
	again.DiedAt = now
	dead := EntryValue{Dead: &letter}.Encode()
	deadAgain := EntryValue{Dead: &again}.Encode()
	for _, test := range []struct {
		name            string
		before, between []byte
		change          change
		want            []byte
	}{
		{"an old tombstone", nil, nil, sweepTombstone(registerKey(testDelivery), now), nil},
		{"a tombstone that came alive", nil, dead, sweepTombstone(registerKey(testDelivery), now), dead},
		{"a dead letter", dead, dead, sweepDeadLetter("sub_a", testKey, now), nil},
		{"a dead letter that died again", dead, deadAgain, sweepDeadLetter("sub_a", testKey, now), deadAgain},
		{"a record that got a register", dead, deadAgain, (&registration{stamp: 9}).change(testDelivery), deadAgain},
	} {
		state := NewMemoryState(nil)
		for n, value := range [][]byte{test.before, test.between} {
			if err := state.MergeEntries([]engine.Entry{{EntryKey: testDelivery, Stamp: engine.Stamp(n), Value: value}}, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := state.apply(context.Background(), []change{test.change}); err != nil {
			t.Fatal(err)
		}
		entries, err := state.Entries(t.Context(), engine.ShardOf("sub_a"))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case test.want == nil && len(entries) > 0:
			t.Errorf("%s: still there: %+v", test.name, entries)
		case test.want != nil && (len(entries) != 1 || entries[0].Stamp != 1 || !bytes.Equal(entries[0].Value, test.want)):
			t.Errorf("%s: %+v", test.name, entries)
		}
	}
	state := NewMemoryState(nil)
	if err := state.apply(context.Background(), []change{(&registration{stamp: 9}).change(testDelivery)}); err != nil || len(state.keys) > 0 {
		t.Errorf("a record that went away got a register: %q, %v", state.keys, err)
	}
}

// A value that cannot be read fails the write, and the process with it on disk.
func TestDamagedRegistersFailTheWrite(t *testing.T) {
	t.Parallel()
	entry := engine.Entry{EntryKey: testDelivery, Stamp: 1}
	for name, damage := range map[string]change{
		"its mark":       {key: registerKey(testDelivery), value: []byte{valueVersion}},
		"its dead value": {key: valueKey(prefixDeadLetter, testDelivery), value: []byte{valueVersion + 1}},
	} {
		state := NewMemoryState(nil)
		state.set(damage)
		if err := state.MergeEntries([]engine.Entry{entry}, nil, nil); err == nil {
			t.Errorf("%s: a damaged value was passed over", name)
		}
		if err := state.Write(nil, nil); err != nil {
			t.Errorf("%s: the state is locked: %v", name, err)
		}
	}
}

func TestDamagedRegistersAreNotListed(t *testing.T) {
	t.Parallel()
	good := registerMark{stamp: 1}.encode()
	key := registerKey(testDelivery)
	for name, damage := range map[string]change{
		"a short key":     {key: key[:len(key)-1], value: good},
		"a key cut short": {key: key[:prefixBytes+shardBytes+2], value: good},
		"its mark":        {key: key, value: good[1:]},
	} {
		state := NewMemoryState(nil)
		state.set(damage)
		if entries, err := state.Entries(t.Context(), engine.ShardOf("sub_a")); !errors.Is(err, errValue) {
			t.Errorf("%s: Entries = %+v, %v; want %v", name, entries, err, errValue)
		}
		if err := state.DropShard(engine.ShardOf("sub_a"), nil); name != "its mark" && !errors.Is(err, errValue) {
			t.Errorf("%s: DropShard = %v, want %v", name, err, errValue)
		}
	}
}
