package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pannier/engine"
	"pannier/storage"
)

// The part of the suite of registers about what is refused.

func entriesBounds(t *testing.T, state EntryState) {
	body := func(size int) engine.Write {
		record := retryOf(1, 1)
		record.Body = &engine.Event{Data: make([]byte, size)}
		return record
	}
	many := func(n int) []engine.Entry {
		writes := make([]engine.Write, n)
		for i := range writes {
			writes[i] = dropOf(uint64(i))
		}
		return entriesOf(t, 1, writes...)
	}
	drops := func(n int) []engine.Write {
		writes := make([]engine.Write, n)
		for i := range writes {
			writes[i] = engine.DropAPIKey{ID: fmt.Sprint(i)}
		}
		return writes
	}
	const slack = 1024 // of keys and other fields
	const most = storage.MaxWriteChanges / 6
	for _, test := range []struct {
		name    string
		entries []engine.Entry
		with    []engine.Write
		want    engine.Code
	}{
		{"bytes within", entriesOf(t, 1, body(storage.MaxWriteBytes-slack)), nil, ""},
		{"bytes past", entriesOf(t, 1, body(storage.MaxWriteBytes)), nil, engine.CodeTooLarge},
		{"bytes past together", entriesOf(t, 1, body(storage.MaxWriteBytes/2)), []engine.Write{body(storage.MaxWriteBytes / 2)}, engine.CodeTooLarge},
		{"entries within", many(most), nil, ""},
		{"entries past", many(most + 1), nil, engine.CodeTooLarge},
		{"keys within", many(1), drops(storage.MaxWriteChanges - 6), ""},
		{"keys past", many(1), drops(storage.MaxWriteChanges - 5), engine.CodeTooLarge},
	} {
		done := make(chan struct{})
		err := state.MergeEntries(test.entries, test.with, func() { close(done) })
		if got := engine.ErrorCode(err); got != test.want {
			t.Errorf("%s: MergeEntries = %v, want code %q", test.name, err, test.want)
		}
		if err == nil {
			<-done
		}
	}
}

func entriesSplit(t *testing.T, state EntryState) {
	var entries []engine.Entry
	for i := range 3000 {
		entries = append(entries, entriesOf(t, 1, dropOf(uint64(i)))...)
		if i%10 == 0 {
			record := retryOf(uint64(i)+10_000, 1)
			record.Body = &engine.Event{Data: make([]byte, 30_000)}
			entries = append(entries, entriesOf(t, 1, record)...)
		}
	}
	groups := storage.SplitEntries(entries)
	var joined []engine.Entry
	for _, group := range groups {
		merge(t, state, group)
		joined = append(joined, group...)
	}
	equal(t, "all of them, in order", joined, entries)
	if got := len(listEntries(t, state, sub)); got != len(entries) || len(groups) > 20 {
		t.Errorf("%d of %d entries in %d groups", got, len(entries), len(groups))
	}
	if groups := storage.SplitEntries(nil); groups != nil {
		t.Errorf("nothing split: %v", groups)
	}
	huge := entriesOf(t, 1, retryOf(1, 1))
	huge[0].Value = make([]byte, 2*storage.MaxWriteBytes)
	if groups := storage.SplitEntries(append(huge, huge...)); len(groups) != 2 {
		t.Errorf("two that are too large: %d groups", len(groups))
	}
}

func entriesDamaged(t *testing.T, state EntryState) {
	good := entriesOf(t, 1, retryOf(1, 1))
	bad := entriesOf(t, 1, retryOf(2, 1))
	bad[0].Value = append(bad[0].Value, 0)
	if err := state.MergeEntries(append(good, bad...), nil, func() { t.Error("done called") }); err == nil {
		t.Error("a damaged entry was merged")
	}
	if got := listEntries(t, state, sub); len(got) != 0 {
		t.Errorf("of the group with it there is %+v", got)
	}
	for _, shard := range []int{-1, engine.Shards} {
		if _, err := state.Entries(t.Context(), shard); err == nil {
			t.Errorf("shard %d was listed", shard)
		}
		if err := state.DropShard(shard, nil); err == nil {
			t.Errorf("shard %d was dropped", shard)
		}
	}
}

func entriesClosed(t *testing.T, state EntryState) {
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"MergeEntries": func() error { return state.MergeEntries(nil, nil, nil) },
		"DropShard":    func() error { return state.DropShard(1, nil) },
		"Entries":      func() error { _, err := state.Entries(t.Context(), 1); return err },
		"EntryShards":  func() error { _, err := state.EntryShards(t.Context()); return err },
		"RegisterAll":  func() error { return state.RegisterAll(t.Context(), 1) },
	}
	for name, call := range calls {
		var closed *engine.Error
		if err := call(); !errors.As(err, &closed) || closed.Code != engine.CodeUnavailable {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
}

func entriesCancelled(t *testing.T, state EntryState) {
	merge(t, state, entriesOf(t, 1, retryOf(1, 1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Entries":     func() error { _, err := state.Entries(ctx, 1); return err },
		"EntryShards": func() error { _, err := state.EntryShards(ctx); return err },
		"RegisterAll": func() error { return state.RegisterAll(ctx, 1) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}
