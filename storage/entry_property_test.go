package storage

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
)

// entryGroups are what two members wrote: groups of entries of few registers, with stamps that
// often meet.
func drawGroups(t *rapid.T, sub engine.SubscriptionID) [][]engine.Entry {
	keys := []engine.DeliveryKey{testKey, {AcceptedMilli: 2}, {AcceptedMilli: 2, Event: engine.EventRef{Sequence: 1}}}
	write := rapid.Custom(func(t *rapid.T) engine.Write {
		key := rapid.SampledFrom(keys).Draw(t, "key")
		n := rapid.IntRange(0, 2).Draw(t, "n")
		switch rapid.IntRange(0, 7).Draw(t, "write") {
		case 0:
			return engine.PutRetryRecord{RetryRecord: engine.RetryRecord{Subscription: sub, Key: key, Attempts: n}}
		case 1:
			dead := engine.DeadLetter{Subscription: sub, Key: key, Attempts: n, DiedAt: time.UnixMilli(int64(n))}
			if n > 0 {
				dead.Event = &engine.Event{Ref: key.Event, Data: []byte{byte(n)}}
			}
			return engine.PutDeadLetter{DeadLetter: dead}
		case 2:
			return engine.DropRetryRecord{Subscription: sub, Key: key}
		case 3:
			return engine.DropDeadLetter{Subscription: sub, Key: key}
		case 4:
			return engine.PutQueue{Queue: engine.Queue{Subscription: sub, Records: n}}
		case 5:
			x := engine.Expired{Subscription: sub, ExpiredAt: time.UnixMilli(int64(n))}
			for i := range uint64(n + 1) {
				ref := engine.EventRef{Journal: 9, Sequence: 1 + i}
				x.Add(&engine.Event{Ref: ref, ID: engine.EventID(ref), Topic: "a", AcceptedAt: time.UnixMilli(5)})
			}
			return engine.PutExpired{Expired: x}
		case 6:
			return engine.DropExpired{Subscription: sub, Key: engine.DeliveryKey{Event: engine.EventRef{Journal: 9, Sequence: 1}}}
		default:
			return engine.DropQueue{Subscription: sub}
		}
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []engine.Entry {
		entries, _, err := EntriesOf(rapid.SliceOfN(write, 1, 4).Draw(t, "writes"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "replay") {
			replay := engine.Replay{ID: "rpl_" + string(sub), Subscription: sub, Count: rapid.IntRange(0, 2).Draw(t, "count")}
			e := engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryReplay, Subscription: sub, Key: replay.ID}}
			if replay.Count > 0 {
				e.Value = EntryValue{Replay: &replay}.Encode()
			}
			entries = append(entries, e)
		}
		stamp := engine.Stamp(rapid.IntRange(0, 6).Draw(t, "stamp"))
		for i := range entries {
			entries[i].Stamp = stamp
		}
		return entries
	}), 1, 12).Draw(t, "groups")
}

// winners is the model: the winning entry of each register.
func winners(groups [][]engine.Entry) map[engine.EntryKey]engine.Entry {
	won := make(map[engine.EntryKey]engine.Entry)
	for _, e := range slices.Concat(groups...) {
		if there, known := won[e.EntryKey]; !known || e.Wins(&there) {
			won[e.EntryKey] = e
		}
	}
	return won
}

// Two states that merge the same groups, in any order and more than once, are the same, and
// what they list is what the winning entries say.
func TestMergedStatesConverge(t *testing.T) {
	t.Parallel()
	disk, err := OpenState(t.TempDir(), StateOptions{Logger: slog.New(slog.DiscardHandler), Fatal: refuseFatal(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	memory := NewMemoryState(time.Now)
	states := map[string]*keyedState{"disk": &disk.keyedState, "memory": &memory.keyedState}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++ // a subscription of its own for each run: the states are opened once
		sub := engine.SubscriptionID(fmt.Sprintf("sub_%d", run))
		groups := drawGroups(t, sub)
		model := winners(groups)
		for _, name := range slices.Sorted(maps.Keys(states)) {
			order := rapid.Permutation(slices.Concat(groups, groups[:rapid.IntRange(0, len(groups)).Draw(t, "repeated")])).Draw(t, "order of "+name)
			mergeGroups(t, states[name], order)
			checkEntries(t, name, states[name], sub, model)
			checkKeys(t, name, states[name], sub, model)
		}
	})
}

// mergeGroups waits for the last group only.
func mergeGroups(t *rapid.T, state *keyedState, groups [][]engine.Entry) {
	done := make(chan struct{})
	for n, group := range groups {
		var then func()
		if n == len(groups)-1 {
			then = func() { close(done) }
		}
		if err := state.MergeEntries(group, nil, then); err != nil {
			t.Fatal(err)
		}
	}
	<-done
}

func checkEntries(t *rapid.T, name string, state *keyedState, sub engine.SubscriptionID, model map[engine.EntryKey]engine.Entry) {
	entries, err := state.Entries(context.Background(), engine.ShardOf(sub))
	if err != nil {
		t.Fatal(err)
	}
	entries = slices.DeleteFunc(entries, func(e engine.Entry) bool { return e.Subscription != sub })
	want := slices.SortedFunc(maps.Values(model), func(a, b engine.Entry) int {
		return strings.Compare(string(registerKey(a.EntryKey)), string(registerKey(b.EntryKey)))
	})
	if !reflect.DeepEqual(entries, want) {
		t.Fatalf("%s: entries\n got %+v\nwant %+v", name, entries, want)
	}
	var retries []engine.RetryRecord
	var deads []engine.DeadLetter
	var queues []engine.Queue
	var replays []engine.Replay
	for i := range want {
		v, err := DecodeEntry(&want[i])
		switch {
		case err != nil:
			t.Fatal(err)
		case v.Retry != nil:
			retries = append(retries, *v.Retry)
		case v.Dead != nil:
			deads = append(deads, *v.Dead)
		case v.Expired != nil:
			deads = append(deads, v.Expired.Letters()...)
		case v.Queue != nil:
			queues = append(queues, *v.Queue)
		case v.Replay != nil:
			replays = append(replays, *v.Replay)
		}
	}
	gotRetries, err := state.RetryRecords(context.Background(), sub, engine.DeliveryKey{}, MaxPage)
	if err != nil || !reflect.DeepEqual(gotRetries, retries) {
		t.Fatalf("%s: retry records, %v\n got %+v\nwant %+v", name, err, gotRetries, retries)
	}
	slices.SortFunc(deads, byDeliveryKey)
	gotDeads, err := state.DeadLetters(context.Background(), sub, engine.DeliveryKey{}, MaxPage)
	if err != nil || !reflect.DeepEqual(gotDeads, deads) {
		t.Fatalf("%s: dead letters, %v\n got %+v\nwant %+v", name, err, gotDeads, deads)
	}
	snapshot, err := state.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	gotQueues := slices.DeleteFunc(snapshot.Queues, func(q engine.Queue) bool { return q.Subscription != sub })
	gotReplays := slices.DeleteFunc(snapshot.Replays, func(r engine.Replay) bool { return r.Subscription != sub })
	if snapshot.DeadCount[sub] != len(deads) || !slices.Equal(gotQueues, queues) || len(gotReplays) != len(replays) {
		t.Fatalf("%s: loaded %+v; want %d dead letters, %+v, %+v", name, snapshot, len(deads), queues, replays)
	}
	if len(replays) > 0 && !reflect.DeepEqual(gotReplays, replays) {
		t.Fatalf("%s: loaded replays %+v; want %+v", name, gotReplays, replays)
	}
}

// checkKeys asks that nothing else is left of a subscription than what the model puts.
func checkKeys(t *rapid.T, name string, state *keyedState, sub engine.SubscriptionID, model map[engine.EntryKey]engine.Entry) {
	want := make(map[string]string)
	for _, e := range model {
		m, err := newEntryMerge(&e)
		if err != nil {
			t.Fatal(err)
		}
		want[string(m.key)] = string(registerMark{stamp: e.Stamp, tombstone: e.Value == nil}.encode())
		for _, put := range m.puts {
			want[string(put.key)] = string(put.value)
		}
	}
	got := make(map[string]string)
	mine := string(appendSub(nil, sub))
	err := state.view(func(view stateView) error {
		return view.scan(nil, nil, func(key, value []byte) (bool, error) {
			if strings.Contains(string(key), mine) || string(key) == prefixReplay+"rpl_"+string(sub) {
				got[string(key)] = string(value)
			}
			return true, nil
		})
	})
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("%s: keys, %v\n got %q\nwant %q", name, err, got, want)
	}
}
