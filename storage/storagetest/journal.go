package storagetest

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// JournalSegmentRecords is how many records of the suite fill a segment of the journal under
// test; each is one event with a body of JournalBodyBytes.
const (
	JournalSegmentRecords = 16
	JournalBodyBytes      = 1000
)

// OpenJournal opens an empty journal for one test and closes it at its end. Its segments
// are sealed once they hold about JournalSegmentRecords records.
type OpenJournal func(t *testing.T) engine.Journal

// Journal is the conformance suite of engine.Journal.
func Journal(t *testing.T, open OpenJournal) {
	tests := []struct {
		name string
		test func(*testing.T, engine.Journal)
	}{
		{"an empty journal", journalEmpty},
		{"a record keeps everything", journalRoundTrip},
		{"append sets reference, id and accept time", journalStamps},
		{"accept time never goes back", journalAcceptTime},
		{"done is called in order, once", journalDoneOrder},
		{"an append without records waits for those before", journalBarrier},
		{"a done may append", journalDoneAppends},
		{"what cannot be a record is refused whole", journalRefuses},
		{"read goes on where it stopped", journalReadOn},
		{"search passes over what is not wanted", journalSearch},
		{"get finds every record", journalGet},
		{"seek finds the first accepted at or after", journalSeek},
		{"segments follow each other", journalSegments},
		{"trim takes the oldest segment", journalTrim},
		{"readers and appenders do not disturb each other", journalConcurrent},
		{"a closed journal is unavailable and can be read", journalClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.test(t, open(t))
		})
	}
	t.Run("an old segment is sealed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { journalSealsOld(t, open(t)) })
	})
}

// JournalEvent is an event accepted n milliseconds after the suite's day, whose body tells n.
func JournalEvent(n int) *engine.Event {
	return &engine.Event{
		Topic: "trip.created", Timestamp: day, AcceptedAt: day.Add(time.Duration(n) * time.Millisecond),
		Data: journalBody(n), Revision: uint64(100 + n),
	}
}

func journalBody(n int) json.RawMessage {
	body, err := json.Marshal(map[string]any{"n": n, "fill": strings.Repeat("x", JournalBodyBytes)})
	if err != nil {
		panic(err) // cannot happen for a number and a text
	}
	return body
}

// AppendEvents appends the events from to through, one call each, and waits until they are
// synced.
func AppendEvents(tb testing.TB, j engine.Journal, from, through int) {
	tb.Helper()
	for n := from; n <= through; n++ {
		appendSynced(tb, j, engine.Record{Event: JournalEvent(n)})
	}
}

func appendSynced(tb testing.TB, j engine.Journal, records ...engine.Record) (first uint64) {
	tb.Helper()
	synced := make(chan struct{})
	first, err := j.Append(records, func() { close(synced) })
	if err != nil {
		tb.Fatalf("Append: %v", err)
	}
	<-synced
	return first
}

// ReadJournal reads everything from a sequence on, in pages.
func ReadJournal(tb testing.TB, read func(uint64, int, func(uint64, engine.Record) bool) (uint64, error), from uint64) (sequences []uint64, records []engine.Record) {
	tb.Helper()
	for {
		visited := 0
		next, err := read(from, 7, func(sequence uint64, record engine.Record) bool {
			visited++
			sequences, records = append(sequences, sequence), append(records, record)
			return true
		})
		if err != nil {
			tb.Fatalf("Read from %d: %v", from, err)
		}
		if visited == 0 {
			return sequences, records
		}
		if next <= sequences[len(sequences)-1] { // it may be further: behind damage
			tb.Fatalf("Read: next is %d after sequence %d", next, sequences[len(sequences)-1])
		}
		from = next
	}
}

func journalEmpty(t *testing.T, j engine.Journal) {
	if first, next := j.Bounds(); first != 1 || next != 1 {
		t.Errorf("Bounds: got %d, %d, want 1, 1", first, next)
	}
	if got := j.Synced(); got != 0 {
		t.Errorf("Synced: got %d, want 0", got)
	}
	if got, err := j.Seek(day); got != 1 || err != nil {
		t.Errorf("Seek: got %d, %v, want 1", got, err)
	}
	if sequences, _ := ReadJournal(t, j.Read, 0); len(sequences) != 0 {
		t.Errorf("Read: got %v, want nothing", sequences)
	}
	if len(j.Segments()) != 0 || len(j.Damage()) != 0 {
		t.Errorf("got segments %v and damage %v, want none", j.Segments(), j.Damage())
	}
	wantNoRecord(t, j, 0)
	wantNoRecord(t, j, 1)
}

func wantNoRecord(t *testing.T, j engine.Journal, sequence uint64) {
	t.Helper()
	if _, err := j.Get(sequence); engine.ErrorCode(err) != engine.CodeNotFound {
		t.Errorf("Get %d: got %v, want not_found", sequence, err)
	}
}

func journalRoundTrip(t *testing.T, j engine.Journal) {
	event := &engine.Event{
		ID: "order-1", Topic: "trip.created", Tenant: "acme",
		Timestamp: day.Add(-time.Hour + 7*time.Nanosecond), AcceptedAt: day,
		Data: json.RawMessage("{\"ü\" : [1.0,\t1e3]}"), Extensions: json.RawMessage(`{"source":"/a"}`),
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "a=b,c=d",
		Revision: 1 << 60, Directed: "sub_0123456789abcdefghij", GivenID: true,
		Batch: engine.BatchPart{ID: 1<<63 + 1, Index: 1<<32 - 1, Count: 3},
	}
	plain := &engine.Event{Topic: "a", Timestamp: day, AcceptedAt: day, Data: json.RawMessage(`0`)}
	request := &engine.Request{
		Key: "acme\x00key", Digest: [32]byte{1, 31: 2}, Known: map[uint32]string{0: "a", 7: "b", 1 << 31: ""},
		Batch: engine.BatchPart{ID: 9, Count: 1}, AcceptedAt: day,
	}
	bare := &engine.Request{Key: "k", AcceptedAt: day}
	want := []engine.Record{{Event: event}, {Request: request}, {Event: plain}, {Request: bare}}
	appendSynced(t, j, want...)
	_, got := ReadJournal(t, j.Read, 1)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read other records than were appended:\n got %s\nwant %s", show(got), show(want))
	}
}

// show writes records out in full.
func show(records []engine.Record) string {
	text, err := json.Marshal(records)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func journalStamps(t *testing.T, j engine.Journal) {
	given := JournalEvent(1)
	given.ID = "mine"
	given.AcceptedAt = day.Add(999 * time.Microsecond)
	drawn := JournalEvent(2)
	if first := appendSynced(t, j, engine.Record{Event: JournalEvent(0)}); first != 1 {
		t.Errorf("first: got %d, want 1", first)
	}
	if first := appendSynced(t, j, engine.Record{Event: given}, engine.Record{Event: drawn}); first != 2 {
		t.Errorf("first: got %d, want 2", first)
	}
	want := engine.EventRef{Journal: j.ID(), Sequence: 3}
	if drawn.Ref != want || drawn.ID != engine.EventID(want) {
		t.Errorf("got %v and %q, want %v and its id", drawn.Ref, drawn.ID, want)
	}
	if given.ID != "mine" || !given.AcceptedAt.Equal(day) {
		t.Errorf("got id %q at %v, want mine at %v", given.ID, given.AcceptedAt, day)
	}
	if first, next := j.Bounds(); first != 1 || next != 4 || j.Synced() != 3 {
		t.Errorf("Bounds: got %d, %d, synced %d, want 1, 4, 3", first, next, j.Synced())
	}
}

func journalAcceptTime(t *testing.T, j engine.Journal) {
	late, early := JournalEvent(5), JournalEvent(0)
	request := &engine.Request{Key: "k", AcceptedAt: day.Add(time.Millisecond)}
	appendSynced(t, j, engine.Record{Event: late}, engine.Record{Request: request})
	appendSynced(t, j, engine.Record{Event: early})
	want := day.Add(5 * time.Millisecond)
	_, records := ReadJournal(t, j.Read, 1)
	for i, got := range []time.Time{
		late.AcceptedAt, request.AcceptedAt, early.AcceptedAt,
		records[0].Event.AcceptedAt, records[1].Request.AcceptedAt, records[2].Event.AcceptedAt,
	} {
		if !got.Equal(want) {
			t.Errorf("accept time %d: got %v, want %v", i, got, want)
		}
	}
}

func journalDoneOrder(t *testing.T, j engine.Journal) {
	const appenders, each = 8, 50
	var mu sync.Mutex
	var done []uint64
	finished := make(chan struct{})
	var group sync.WaitGroup
	for range appenders {
		group.Go(func() {
			for i := range each {
				// The event's reference is set before done can be called.
				event := JournalEvent(i)
				_, err := j.Append([]engine.Record{{Event: event}}, func() {
					mu.Lock()
					defer mu.Unlock()
					if got := j.Synced(); got < event.Ref.Sequence {
						t.Errorf("Synced: got %d when %d is done", got, event.Ref.Sequence)
					}
					if done = append(done, event.Ref.Sequence); len(done) == appenders*each {
						close(finished)
					}
				})
				if err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	group.Wait()
	<-finished
	for i, sequence := range done {
		if sequence != uint64(i+1) {
			t.Fatalf("done %d: got sequence %d", i, sequence)
		}
	}
}

func journalBarrier(t *testing.T, j engine.Journal) {
	var before atomic.Bool
	if _, err := j.Append([]engine.Record{{Event: JournalEvent(1)}}, func() { before.Store(true) }); err != nil {
		t.Fatal(err)
	}
	if first := appendSynced(t, j); first != 2 {
		t.Errorf("first: got %d, want 2", first)
	}
	if !before.Load() {
		t.Error("done was called before that of the append before it")
	}
}

func journalDoneAppends(t *testing.T, j engine.Journal) {
	finished := make(chan struct{})
	_, err := j.Append([]engine.Record{{Event: JournalEvent(1)}}, func() {
		if _, err := j.Append([]engine.Record{{Event: JournalEvent(2)}}, func() { close(finished) }); err != nil {
			t.Errorf("Append: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-finished
	if got := j.Synced(); got != 2 {
		t.Errorf("Synced: got %d, want 2", got)
	}
}

func journalRefuses(t *testing.T, j engine.Journal) {
	long := JournalEvent(1)
	long.Data = make(json.RawMessage, storage.MaxRecordBytes)
	first := JournalEvent(0)
	tests := []struct {
		name   string
		record engine.Record
		want   engine.Code
	}{
		{"neither", engine.Record{}, engine.CodeInternal},
		{"both", engine.Record{Event: JournalEvent(1), Request: &engine.Request{}}, engine.CodeInternal},
		{"too large", engine.Record{Event: long}, engine.CodeTooLarge},
	}
	for _, test := range tests {
		_, err := j.Append([]engine.Record{{Event: first}, test.record}, func() { t.Errorf("%s: done was called", test.name) })
		if got := engine.ErrorCode(err); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if _, next := j.Bounds(); next != 1 || first.ID != "" {
		t.Errorf("a refused append left next at %d and the event with id %q", next, first.ID)
	}
}

func journalReadOn(t *testing.T, j engine.Journal) {
	const count = 3 * JournalSegmentRecords
	AppendEvents(t, j, 1, count)
	sequences, records := ReadJournal(t, j.Read, 0)
	if len(sequences) != count {
		t.Fatalf("got %d records, want %d", len(sequences), count)
	}
	for i, sequence := range sequences {
		if sequence != uint64(i+1) || string(records[i].Event.Data) != string(journalBody(i+1)) {
			t.Errorf("record %d has sequence %d", i+1, sequence)
		}
	}
	var visited []uint64
	next, err := j.Read(5, 100, func(sequence uint64, _ engine.Record) bool {
		visited = append(visited, sequence)
		return sequence < 7
	})
	if want := []uint64{5, 6, 7}; err != nil || next != 8 || !reflect.DeepEqual(visited, want) {
		t.Errorf("got %v, next %d, %v, want %v, next 8", visited, next, err, want)
	}
	for _, limit := range []int{0, -1} {
		next, err = j.Read(5, limit, func(uint64, engine.Record) bool { t.Error("visited without limit"); return true })
		if err != nil || next != 5 {
			t.Errorf("limit %d: got next %d, %v, want 5", limit, next, err)
		}
	}
	if next, err = j.Read(count+1, 10, func(uint64, engine.Record) bool { return true }); err != nil || next != count+1 {
		t.Errorf("at the end: got next %d, %v, want %d", next, err, count+1)
	}
}
