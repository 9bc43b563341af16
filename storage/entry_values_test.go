package storage

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pannier/engine"
)

var testDelivery = deliveryRegister("sub_a", testKey)

// drawEntry draws an entry of any kind, as EntriesOf makes it.
func drawEntry(t *rapid.T) (engine.Entry, EntryValue) {
	key, v := testDelivery, EntryValue{Key: testKey}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		record := drawRetryRecord(t)
		record.Carried = record.Body != nil
		v.Retry = &record
	case 1:
		dead := drawDeadLetter(t)
		if dead.Event != nil {
			dead.Event = drawEvent(t)
		}
		v.Dead = &dead
	case 2:
		queue := drawQueue(t)
		key, v = engine.EntryKey{Kind: engine.EntryQueue, Subscription: "sub_a"}, EntryValue{Queue: &queue}
	case 3:
		replay := drawReplay(t)
		replay.Subscription = "sub_a"
		key, v = engine.EntryKey{Kind: engine.EntryReplay, Subscription: "sub_a", Key: replay.ID}, EntryValue{Replay: &replay}
	case 4:
		expired := drawExpired(t)
		key = expiredRegister("sub_a", expired.Key)
		v = EntryValue{Expired: &expired}
	}
	return engine.Entry{EntryKey: key, Value: v.Encode()}, v
}

func TestEntryValuesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entry, want := drawEntry(t)
		got, err := DecodeEntry(&entry)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("DecodeEntry = %v\n got %+v\nwant %+v", err, got, want)
		}
	})
}

func TestDamagedEntriesAreRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entry, _ := drawEntry(t)
		if entry.Value == nil {
			return
		}
		cut := rapid.IntRange(1, len(entry.Value)-1).Draw(t, "cut")
		for name, value := range map[string][]byte{
			"cut short": entry.Value[:cut], "left over": append(bytes.Clone(entry.Value), 0), "unknown letter": append([]byte("z"), entry.Value[1:]...),
		} {
			damaged := entry
			damaged.Value = value
			if _, err := DecodeEntry(&damaged); !errors.Is(err, errValue) {
				t.Fatalf("%s: DecodeEntry = %v, want %v", name, err, errValue)
			}
		}
	})
}

// expiredOf is n deliveries that expired together, as many as Add would not take too.
func expiredOf(n int) *engine.Expired {
	x := &engine.Expired{Subscription: "sub_a", Key: testExpired}
	for i := range uint64(n) {
		x.Deliveries = append(x.Deliveries, engine.ExpiredDelivery{
			Sequence: testExpired.Event.Sequence + i, AcceptedMilli: testExpired.AcceptedMilli, EventID: "given", Topic: "a",
		})
	}
	return x
}

func TestEntriesOfOtherShapesAreRefused(t *testing.T) {
	t.Parallel()
	queue := engine.EntryKey{Kind: engine.EntryQueue, Subscription: "sub_a"}
	replay := engine.EntryKey{Kind: engine.EntryReplay, Subscription: "sub_a", Key: "rpl_1"}
	with := func(k engine.EntryKey, change func(*engine.EntryKey)) engine.EntryKey { change(&k); return k }
	retry := EntryValue{Retry: &engine.RetryRecord{}}.Encode()
	queued := EntryValue{Queue: &engine.Queue{}}.Encode()
	foreign := EntryValue{Replay: &engine.Replay{Subscription: "sub_b"}}.Encode()
	expired := EntryValue{Expired: expiredOf(engine.MaxExpired)}.Encode()
	tooMany := EntryValue{Expired: expiredOf(engine.MaxExpired + 1)}.Encode()
	eventless := joinDeadLetter(encodeDeadLetter(engine.DeadLetter{Event: &engine.Event{}}), nil)
	unasked := joinDeadLetter(encodeDeadLetter(engine.DeadLetter{}), encodeEventValue(&engine.Event{}))
	long := engine.SubscriptionID(strings.Repeat("s", MaxSubscriptionIDBytes))
	const fixed = prefixBytes + shardBytes + 2 + len("sub_a")
	for _, test := range []struct {
		name  string
		entry engine.Entry
		ok    bool
	}{
		{"a tombstone", engine.Entry{EntryKey: testDelivery}, true},
		{"an empty value", engine.Entry{EntryKey: testDelivery, Value: []byte{}}, true},
		{"a letter alone", engine.Entry{EntryKey: testDelivery, Value: []byte("r")}, false},
		{"no kind", engine.Entry{}, false},
		{"an unknown kind", engine.Entry{EntryKey: engine.EntryKey{Kind: engine.EntryExpired + 1, Subscription: "sub_a"}}, false},
		{"a short delivery", engine.Entry{EntryKey: with(testDelivery, func(k *engine.EntryKey) { k.Key = k.Key[1:] })}, false},
		{"a long delivery", engine.Entry{EntryKey: with(testDelivery, func(k *engine.EntryKey) { k.Key += "1" })}, false},
		{"a queue with a key", engine.Entry{EntryKey: with(queue, func(k *engine.EntryKey) { k.Key = "1" })}, false},
		{"a replay without an id", engine.Entry{EntryKey: with(replay, func(k *engine.EntryKey) { k.Key = "" })}, false},
		{"the longest id of a replay", engine.Entry{EntryKey: with(replay, func(k *engine.EntryKey) { k.Key = strings.Repeat("r", MaxKeyBytes-fixed) })}, true},
		{"a longer one", engine.Entry{EntryKey: with(replay, func(k *engine.EntryKey) { k.Key = strings.Repeat("r", MaxKeyBytes-fixed+1) })}, false},
		{"the longest subscription", engine.Entry{EntryKey: with(queue, func(k *engine.EntryKey) { k.Subscription = long })}, true},
		{"a longer one", engine.Entry{EntryKey: with(queue, func(k *engine.EntryKey) { k.Subscription = long + "s" })}, false},
		{"a retry record as a queue", engine.Entry{EntryKey: queue, Value: retry}, false},
		{"a queue as a delivery", engine.Entry{EntryKey: testDelivery, Value: queued}, false},
		{"a replay of another subscription", engine.Entry{EntryKey: replay, Value: foreign}, false},
		{"what expired under another key", engine.Entry{EntryKey: expiredRegister("sub_a", testKey), Value: expired}, false},
		{"what expired as a delivery", engine.Entry{EntryKey: testDelivery, Value: expired}, false},
		{"more than expires together", engine.Entry{EntryKey: expiredRegister("sub_a", testExpired), Value: tooMany}, false},
		{"a dead letter without its event", engine.Entry{EntryKey: testDelivery, Value: eventless}, false},
		{"a dead letter with an event too many", engine.Entry{EntryKey: testDelivery, Value: unasked}, false},
	} {
		_, err := DecodeEntry(&test.entry)
		if merged := NewMemoryState(nil).MergeEntries([]engine.Entry{test.entry}, nil, nil); (err == nil) != test.ok || (merged == nil) != test.ok {
			t.Errorf("%s: DecodeEntry = %v, MergeEntries = %v; want ok %v", test.name, err, merged, test.ok)
		}
	}
}

// FuzzEntryValue: decoding never panics, and accepts only what encoding makes.
func FuzzEntryValue(f *testing.F) {
	seed := rapid.Custom(func(t *rapid.T) engine.Entry { entry, _ := drawEntry(t); return entry })
	for n := range 16 {
		entry := seed.Example(n)
		f.Add(byte(entry.Kind), string(entry.Subscription), entry.Key, entry.Value)
	}
	f.Fuzz(func(t *testing.T, kind byte, sub, key string, value []byte) {
		entry := engine.Entry{
			EntryKey: engine.EntryKey{Kind: engine.EntryKind(kind), Subscription: engine.SubscriptionID(sub), Key: key}, Value: value,
		}
		v, err := DecodeEntry(&entry)
		if err == nil && !bytes.Equal(v.Encode(), value) {
			t.Errorf("%x was accepted, but is written %x", value, v.Encode())
		}
	})
}

func TestEntriesOf(t *testing.T) {
	t.Parallel()
	retry := func(attempts int) engine.PutRetryRecord {
		return engine.PutRetryRecord{RetryRecord: engine.RetryRecord{Subscription: "sub_a", Key: testKey, Attempts: attempts}}
	}
	dead := func(attempts int) engine.PutDeadLetter {
		return engine.PutDeadLetter{DeadLetter: engine.DeadLetter{Subscription: "sub_a", Key: testKey, Attempts: attempts, Event: &engine.Event{}}}
	}
	dropRetry, dropDead := engine.DropRetryRecord{Subscription: "sub_a", Key: testKey}, engine.DropDeadLetter{Subscription: "sub_a", Key: testKey}
	queue := engine.PutQueue{Queue: engine.Queue{Subscription: "sub_a", Records: 3}}
	mark := engine.PutDoneMark{DoneMark: engine.DoneMark{Subscription: "sub_b"}}
	writes := func(w ...engine.Write) []engine.Write { return w }
	for n, test := range []struct {
		writes []engine.Write
		want   engine.Write // of the delivery; nil: a tombstone
	}{
		{writes(retry(1)), retry(1)},
		{writes(retry(1), retry(2)), retry(2)},
		{writes(dead(1), dropRetry), dead(1)},
		{writes(dropRetry, dead(1)), dead(1)},
		{writes(retry(1), dropDead), retry(1)},
		{writes(dropDead, retry(1)), retry(1)},
		{writes(retry(1), dead(2)), dead(2)},
		{writes(dead(2), retry(1)), retry(1)},
		{writes(retry(1), dead(2), dropRetry), dead(2)},
		{writes(retry(1), dead(2), dropDead), retry(1)},
		{writes(dropRetry), nil},
		{writes(dropDead, dropRetry), nil},
		{writes(retry(1), dropRetry), nil},
		{writes(dropRetry, retry(1)), retry(1)},
		{writes(retry(1), dropRetry, dropDead), nil},
	} {
		entries, rest, err := EntriesOf(test.writes)
		if err != nil || len(entries) != 1 || rest != nil || entries[0].EntryKey != testDelivery || entries[0].Stamp != 0 {
			t.Errorf("group %d: EntriesOf = %+v, %v, %v", n, entries, rest, err)
			continue
		}
		var got engine.Write
		v, err := DecodeEntry(&entries[0])
		switch {
		case v.Retry != nil:
			got = engine.PutRetryRecord{RetryRecord: *v.Retry}
		case v.Dead != nil:
			got = engine.PutDeadLetter{DeadLetter: *v.Dead}
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("group %d: %+v, %v; want %+v", n, got, err, test.want)
		}
	}

	replay := engine.PutReplay{Replay: engine.Replay{ID: "rpl_1", Subscription: "sub_a"}}
	dropReplay := engine.DropReplay{ID: "rpl_1", Subscription: "sub_a"}
	entries, rest, err := EntriesOf(writes(mark, queue, replay, retry(1), dropReplay, dropRetry))
	wantKeys := []engine.EntryKey{
		{Kind: engine.EntryQueue, Subscription: "sub_a"}, {Kind: engine.EntryReplay, Subscription: "sub_a", Key: "rpl_1"}, testDelivery,
	}
	var keys []engine.EntryKey
	for _, e := range entries {
		keys = append(keys, e.EntryKey)
	}
	if err != nil || !reflect.DeepEqual(keys, wantKeys) || !reflect.DeepEqual(rest, writes(mark)) {
		t.Errorf("EntriesOf = %+v, %+v, %v", entries, rest, err)
	}
	entries, _, err = EntriesOf(writes(replay))
	if err != nil || len(entries) != 1 {
		t.Fatalf("a replay: %+v, %v", entries, err)
	}
	if v, err := DecodeEntry(&entries[0]); err != nil || v.Replay == nil || !reflect.DeepEqual(*v.Replay, replay.Replay) {
		t.Errorf("a replay comes back as %+v, %v", v.Replay, err)
	}
	expired := engine.PutExpired{Expired: *expiredOf(3)}
	entries, _, err = EntriesOf(writes(expired))
	if err != nil || len(entries) != 1 {
		t.Fatalf("what expired: %+v, %v", entries, err)
	}
	if v, err := DecodeEntry(&entries[0]); err != nil || v.Expired == nil || !reflect.DeepEqual(*v.Expired, expired.Expired) {
		t.Errorf("what expired comes back as %+v, %v", v.Expired, err)
	}
	entries, _, err = EntriesOf(writes(expired, engine.DropExpired{Subscription: "sub_a", Key: testExpired}))
	if err != nil || len(entries) != 1 || entries[0].Value != nil {
		t.Errorf("what expired, dropped: %+v, %v", entries, err)
	}
	entries, _, err = EntriesOf(writes(queue, engine.DropQueue{Subscription: "sub_a"}))
	if err != nil || len(entries) != 1 || entries[0].Value != nil {
		t.Errorf("a dropped queue: %+v, %v", entries, err)
	}
}

func TestEntriesOfRefuses(t *testing.T) {
	t.Parallel()
	queue := func(id string) engine.Write {
		return engine.PutQueue{Queue: engine.Queue{Subscription: engine.SubscriptionID(id)}}
	}
	if _, _, err := EntriesOf([]engine.Write{queue("sub_a"), queue("sub_b")}); err == nil {
		t.Error("two subscriptions in one group")
	}
	for n, want := range []engine.Code{"", engine.CodeTooLarge} {
		_, _, err := EntriesOf([]engine.Write{queue(strings.Repeat("s", MaxSubscriptionIDBytes+n))})
		if got := engine.ErrorCode(err); got != want {
			t.Errorf("an id %d past the bound: %v", n, err)
		}
	}
	if entries, rest, err := EntriesOf(nil); len(entries) > 0 || len(rest) > 0 || err != nil {
		t.Errorf("of nothing: %v, %v, %v", entries, rest, err)
	}
}
