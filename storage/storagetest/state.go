// Package storagetest holds the conformance suites of the ports that storage implements:
// the twins on disk and in memory pass the same tests.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
	"pannier/storage"
)

// OpenState opens an empty state for one test and closes it at its end.
type OpenState func(t *testing.T, clock engine.Clock) engine.State

// State is the conformance suite of engine.State.
func State(t *testing.T, open OpenState) {
	tests := []struct {
		name string
		test func(*testing.T, OpenState)
	}{
		{"every put is loaded and every drop takes it away", statePutDrop},
		{"versions are loaded in order of revision", stateVersionOrder},
		{"a version keeps everything", stateVersion},
		{"retry records are listed by key", stateRetryRecords},
		{"a retry record keeps everything", stateRetryRecord},
		{"dead letters are listed with their events", stateDeadLetters},
		{"what expired is listed among dead letters", stateExpired},
		{"the last change of a write wins", stateLastWins},
		{"identities and answers are forgotten after their window", stateWindows},
		{"sweep removes dead letters past the retention", stateSweep},
		{"sweep spares a dead letter that died again", stateSweepDiedAgain},
		{"sweep removes what expired", stateSweepExpired},
		{"done is called in the order of the writes", stateDoneOrder},
		{"a write is seen when its done is called", stateDoneSees},
		{"a write past a bound is refused", stateBounds},
		{"a closed state is unavailable", stateClosed},
		{"a cancelled read ends", stateCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.test(t, open)
		})
	}
}

// Day is the present of the suite's clock.
var day = time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)

func fixedClock() time.Time { return day }

// write writes and waits for done.
func write(t *testing.T, state engine.State, changes ...engine.Write) {
	t.Helper()
	done := make(chan struct{})
	if err := state.Write(changes, func() { close(done) }); err != nil {
		t.Fatalf("Write: %v", err)
	}
	<-done
}

func load(t *testing.T, state engine.State) *engine.Snapshot {
	t.Helper()
	snapshot, err := state.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return snapshot
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %+v\nwant %+v", what, got, want)
	}
}

func deliveryKey(milli int64, journal engine.JournalID, sequence uint64) engine.DeliveryKey {
	return engine.DeliveryKey{AcceptedMilli: milli, Event: engine.EventRef{Journal: journal, Sequence: sequence}}
}

func exampleEvent(ref engine.EventRef) *engine.Event {
	return &engine.Event{
		Ref: ref, ID: "given-1", Topic: "trip.created", Tenant: "acme",
		Timestamp: day.Add(-time.Hour).Add(7), AcceptedAt: day,
		Data: []byte(`{"a":1}`), Extensions: []byte(`{"source":"x"}`),
		TraceParent: "00-aa-bb-01", TraceState: "k=v", Revision: 9, Directed: "sub_d",
		Batch: engine.BatchPart{ID: 5, Index: 1, Count: 3}, GivenID: true,
	}
}

func exampleVersion(t *testing.T, id engine.SubscriptionID, revision uint64) *engine.Subscription {
	t.Helper()
	secret, err := signature.ParseSecret("whsec_" + strings.Repeat("QUJD", 10))
	if err != nil {
		t.Fatalf("ParseSecret: %v", err)
	}
	return &engine.Subscription{
		ID: id, Tenant: "acme", URL: "https://example.com/hook",
		Topics: []match.Pattern{"trip.*", "vehicle.position"}, Description: "all of it", Enabled: true,
		Secrets:     []engine.ValidSecret{{Secret: secret}, {Secret: secret, Until: day.Add(time.Hour)}},
		Headers:     map[string]string{"X-B": "2", "X-A": "1"},
		Retry:       retry.Schedule{MaxRetries: 5, MinDelay: time.Second, MaxDelay: time.Minute},
		Timeout:     30 * time.Second,
		Success:     engine.Success2xx,
		MaxInFlight: 64, RatePerSecond: 0.5, DisableOnGone: true,
		CreatedAt: day.Add(-time.Hour), UpdatedAt: day, Version: 3, Revision: revision, Deleted: true,
	}
}

func statePutDrop(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	version := exampleVersion(t, "sub_a", 7)
	full := &engine.Snapshot{
		Versions: []*engine.Subscription{version},
		APIKeys:  []engine.APIKey{{ID: "key_1", Hash: [32]byte{1, 2}, Role: engine.RoleViewer, Tenant: "acme", Name: "n", CreatedAt: day}},
		Lanes:    []engine.LaneRecord{{Name: "fast", Journal: 1 << 63, Topic: "t", Promoted: true}},
		Watermarks: []engine.Watermark{{
			Journal: 3, Sequence: 10, OpenThrough: 20,
			Open:   []engine.OpenPairs{{Subscription: "sub_a", Sequences: []uint64{10, 14, 20}}, {Subscription: "sub_b", Sequences: []uint64{10}}},
			Routed: 30, Synced: 31, Released: []uint64{1 << 63, 4},
			Totals: engine.Totals{Accepted: 1, Matched: 2, Retried: 3, Dead: 4, Discarded: 5},
		}},
		Cursors: []engine.Cursor{{
			Subscription: "sub_a", Journal: 3, Waiting: 4, OldestMilli: day.UnixMilli(),
			Ranges: []engine.Range{{From: 5, Through: 9}, {From: 11}},
		}},
		Queues: []engine.Queue{{
			Subscription: "sub_a", NextDue: day, Records: 2, OldestMilli: -1,
			Circuit: engine.CircuitState{
				Open: true, Failures: 3, FirstFailure: day, OpenedAt: day, ProbeAt: day,
				ProbeInterval: time.Minute, Frozen: time.Hour,
			},
		}},
		DoneMarks: []engine.DoneMark{{Subscription: "sub_a", Event: engine.EventRef{Journal: 3, Sequence: 8}}},
		Replays: []engine.Replay{{
			ID: "rpl_1", Subscription: "sub_a", Since: day.Add(-time.Hour), Topics: []match.Pattern{"*"},
			DeadOnly: true, Rate: 2.5, CreatedAt: day, After: deliveryKey(1, 2, 3), Count: 12,
		}},
		Dropped:   []uint64{77},
		DeadCount: map[engine.SubscriptionID]int{"sub_a": 4},
	}
	expired := exampleExpired("sub_a", 3, 1, 2, 4)
	letter := engine.DeadLetter{Subscription: "sub_a", Key: deliveryKey(5, 3, 2), DiedAt: day}
	write(t, state,
		engine.PutVersion{Subscription: version}, engine.PutAPIKey{APIKey: full.APIKeys[0]},
		engine.PutLane{LaneRecord: full.Lanes[0]}, engine.PutWatermark{Watermark: full.Watermarks[0]},
		engine.PutCursor{Cursor: full.Cursors[0]}, engine.PutQueue{Queue: full.Queues[0]},
		engine.PutDoneMark{DoneMark: full.DoneMarks[0]}, engine.PutExpired{Expired: expired},
		engine.PutReplay{Replay: full.Replays[0]}, engine.PutDropped{Batch: 77},
		engine.PutDeadLetter{DeadLetter: letter},
	)
	equal(t, "after the puts", load(t, state), full)

	write(t, state,
		engine.DropVersion{Version: version}, engine.DropAPIKey{ID: "key_1"}, engine.DropLane{Name: "fast"},
		engine.DropWatermark{Journal: 3}, engine.DropCursor{Subscription: "sub_a", Journal: 3},
		engine.DropQueue{Subscription: "sub_a"}, engine.DropDoneMark{DoneMark: full.DoneMarks[0]},
		engine.DropExpired{Subscription: "sub_a", Key: expired.Key}, engine.DropReplay{ID: "rpl_1", Subscription: full.Replays[0].Subscription},
		engine.DropDeadLetter{Subscription: "sub_a", Key: letter.Key},
	)
	equal(t, "after the drops", load(t, state), &engine.Snapshot{
		Dropped: []uint64{77}, DeadCount: map[engine.SubscriptionID]int{},
	})
}

func stateVersionOrder(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	const versions = 300 // more than one byte of revisions
	var puts []engine.Write
	for _, i := range rand.Perm(versions) {
		puts = append(puts, engine.PutVersion{Subscription: exampleVersion(t, engine.SubscriptionID(fmt.Sprintf("sub_%d", i%7)), uint64(i))})
	}
	write(t, state, puts...)
	got := load(t, state).Versions
	if len(got) != versions {
		t.Fatalf("loaded %d versions, want %d", len(got), versions)
	}
	for i, v := range got {
		if v.Revision != uint64(i) {
			t.Fatalf("version %d has revision %d", i, v.Revision)
		}
	}
}

func stateVersion(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	full, bare := exampleVersion(t, "sub_a", 1), &engine.Subscription{ID: "sub_b", Revision: 2}
	write(t, state, engine.PutVersion{Subscription: full}, engine.PutVersion{Subscription: bare})
	equal(t, "versions", load(t, state).Versions, []*engine.Subscription{full, bare})
}

func stateLastWins(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	record := engine.RetryRecord{Subscription: "sub_a", Key: deliveryKey(1, 1, 1), Attempts: 1}
	again := record
	again.Attempts = 2
	drop := engine.DropRetryRecord{Subscription: "sub_a", Key: record.Key}
	write(t, state, drop, engine.PutRetryRecord{RetryRecord: record}, engine.PutRetryRecord{RetryRecord: again})
	got, found, err := state.RetryRecord(t.Context(), "sub_a", record.Key)
	if err != nil || !found || got.Attempts != 2 {
		t.Errorf("after put, put: got %+v, %v, %v; want 2 attempts", got, found, err)
	}
	write(t, state, engine.PutRetryRecord{RetryRecord: record}, drop)
	if _, found, err = state.RetryRecord(t.Context(), "sub_a", record.Key); found || err != nil {
		t.Errorf("after put, drop: found %v, %v; want nothing", found, err)
	}
}

func stateWindows(t *testing.T, open OpenState) {
	now := day
	var mu sync.Mutex
	state := open(t, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	identity := engine.Identity{ID: "given", Event: engine.EventRef{Journal: 4, Sequence: 5}, Digest: [32]byte{9}, AcceptedAt: day}
	answer := engine.Answer{Key: "scope/key", Digest: [32]byte{8}, IDs: []string{"evt_1", "evt_2"}, Single: true, AcceptedAt: day}
	write(t, state, engine.PutIdentity{Identity: identity}, engine.PutAnswer{Answer: answer})
	for _, test := range []struct {
		name  string
		after time.Duration
		want  bool
	}{
		{"at once", 0, true},
		{"just before the window ends", engine.IdentityWindow - 1, true},
		{"when the window ends", engine.IdentityWindow, false},
	} {
		mu.Lock()
		now = day.Add(test.after)
		mu.Unlock()
		want := map[string]engine.Identity{}
		if test.want {
			want["given"] = identity
		}
		if got, err := state.Identities(t.Context(), []string{"give", "given", "other"}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Identities = %+v, %v; want %+v", test.name, got, err, want)
		}
		gotAnswer, found, err := state.Answer(t.Context(), "scope/key")
		if err != nil || found != test.want || (found && !reflect.DeepEqual(gotAnswer, answer)) {
			t.Errorf("%s: Answer = %+v, %v, %v; want found %v", test.name, gotAnswer, found, err, test.want)
		}
	}
	if _, found, err := state.Answer(t.Context(), "scope/ke"); found || err != nil {
		t.Errorf("unknown answer: found %v, %v", found, err)
	}
}

func stateDoneOrder(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	const writers, writes = 8, 200
	var mu sync.Mutex
	called := make([][]int, writers)
	var all, starting sync.WaitGroup
	all.Add(writers * writes)
	for writer := range writers {
		starting.Go(func() {
			for i := range writes {
				var changes []engine.Write // every third write changes nothing
				if i%3 != 0 {
					changes = append(changes, engine.PutQueue{Queue: engine.Queue{Subscription: "sub_a", Records: i}})
				}
				err := state.Write(changes, func() {
					mu.Lock()
					called[writer] = append(called[writer], i)
					mu.Unlock()
					all.Done()
				})
				if err != nil {
					t.Errorf("Write: %v", err)
					all.Done()
				}
			}
		})
	}
	starting.Wait()
	all.Wait()
	for writer, order := range called {
		for i, got := range order {
			if got != i {
				t.Fatalf("writer %d: done %d was called at place %d", writer, got, i)
			}
		}
	}
}

func stateDoneSees(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	for i := range 50 {
		record := engine.RetryRecord{Subscription: "sub_a", Key: deliveryKey(1, 1, 1), Attempts: i}
		seen := make(chan int, 1)
		err := state.Write([]engine.Write{engine.PutRetryRecord{RetryRecord: record}}, func() {
			got, _, err := state.RetryRecord(context.Background(), "sub_a", record.Key)
			if err != nil {
				t.Errorf("RetryRecord: %v", err)
			}
			seen <- got.Attempts
		})
		if err != nil {
			t.Fatalf("Write: %v", err)
		}
		if got := <-seen; got != i {
			t.Fatalf("write %d: its done sees %d", i, got)
		}
	}
}

func stateBounds(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	event := func(size int) *engine.Event { return &engine.Event{Data: make([]byte, size)} }
	record := func(size int) engine.Write {
		return engine.PutRetryRecord{RetryRecord: engine.RetryRecord{Subscription: "sub_a", Body: event(size)}}
	}
	const slack = 512 // of the key and the other fields
	queues := func(n int) []engine.Write {
		writes := make([]engine.Write, n)
		for i := range writes {
			writes[i] = engine.DropQueue{Subscription: engine.SubscriptionID(fmt.Sprint(i))}
		}
		return writes
	}
	text := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		name   string
		writes []engine.Write
		want   engine.Code
	}{
		{"bytes within", []engine.Write{record(storage.MaxWriteBytes - slack)}, ""},
		{"bytes past", []engine.Write{record(storage.MaxWriteBytes)}, engine.CodeTooLarge},
		{"bytes past together", []engine.Write{record(storage.MaxWriteBytes / 2), record(storage.MaxWriteBytes / 2)}, engine.CodeTooLarge},
		{"keys within", queues(storage.MaxWriteChanges), ""},
		{"keys past", queues(storage.MaxWriteChanges + 1), engine.CodeTooLarge},
		{"key within", []engine.Write{engine.PutLane{LaneRecord: engine.LaneRecord{Name: text(storage.MaxKeyBytes - 2)}}}, ""},
		{"key past", []engine.Write{engine.PutLane{LaneRecord: engine.LaneRecord{Name: text(storage.MaxKeyBytes - 1)}}}, engine.CodeTooLarge},
		{"id within", []engine.Write{engine.PutQueue{Queue: engine.Queue{Subscription: engine.SubscriptionID(text(storage.MaxSubscriptionIDBytes))}}}, ""},
		{"id past", []engine.Write{engine.PutQueue{Queue: engine.Queue{Subscription: engine.SubscriptionID(text(storage.MaxSubscriptionIDBytes + 1))}}}, engine.CodeTooLarge},
	} {
		done := make(chan struct{})
		err := state.Write(test.writes, func() { close(done) })
		if got := engine.ErrorCode(err); got != test.want {
			t.Errorf("%s: Write = %v, want code %q", test.name, err, test.want)
		}
		if err == nil {
			<-done
		}
	}
}

func stateClosed(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	called := false
	if err := state.Write([]engine.Write{engine.PutDropped{Batch: 1}}, func() { called = true }); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if err := state.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if !called {
		t.Error("Close did not wait for the write before it")
	}
	err := state.Write(nil, func() { t.Error("done called after Close") })
	if engine.ErrorCode(err) != engine.CodeUnavailable {
		t.Errorf("Write after Close: %v, want unavailable", err)
	}
	if _, err := state.Load(t.Context()); engine.ErrorCode(errors.Unwrap(err)) != engine.CodeUnavailable {
		t.Errorf("Load after Close: %v, want unavailable", err)
	}
	if err := state.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func stateCancelled(t *testing.T, open OpenState) {
	state := open(t, fixedClock)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	reads := map[string]func() error{
		"Load":         func() error { _, err := state.Load(ctx); return err },
		"RetryRecords": func() error { _, err := state.RetryRecords(ctx, "s", engine.DeliveryKey{}, 1); return err },
		"RetryRecord":  func() error { _, _, err := state.RetryRecord(ctx, "s", engine.DeliveryKey{}); return err },
		"DeadLetters":  func() error { _, err := state.DeadLetters(ctx, "s", engine.DeliveryKey{}, 1); return err },
		"DeadLetter":   func() error { _, _, err := state.DeadLetter(ctx, "s", engine.DeliveryKey{}); return err },
		"DeadLetterOf": func() error { _, _, err := state.DeadLetterOf(ctx, "s", engine.EventRef{}); return err },
		"Expired":      func() error { _, err := state.Expired(ctx, "s", engine.DeliveryKey{}, 1); return err },
		"Identities":   func() error { _, err := state.Identities(ctx, []string{"i"}); return err },
		"Answer":       func() error { _, _, err := state.Answer(ctx, "k"); return err },
		"Sweep":        func() error { _, err := state.Sweep(ctx, day); return err },
	}
	for name, read := range reads {
		if err := read(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}
