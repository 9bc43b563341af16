package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pannier/engine"
)

var fuzzRef = engine.EventRef{Journal: 7, Sequence: 3}

// recordSeeds are records of every shape, as they lie in a frame.
func recordSeeds() [][]byte {
	at := time.UnixMilli(1_800_000_000_123).UTC()
	event := &engine.Event{
		Ref: fuzzRef, ID: "order-1", Topic: "trip.created", Tenant: "acme", Timestamp: at, AcceptedAt: at,
		Data: []byte(`{"a":1}`), Extensions: []byte(`{"source":"/a"}`), TraceParent: "00-aa-bb-01", TraceState: "k=v",
		Revision: 9, Directed: "sub_d", Batch: engine.BatchPart{ID: 5, Index: 1, Count: 3}, GivenID: true,
	}
	traced := *event
	traced.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	plain := &engine.Event{Ref: fuzzRef, ID: engine.EventID(fuzzRef), Topic: "a", Tenant: engine.DefaultTenant, AcceptedAt: at, Data: []byte("null")}
	request := &engine.Request{
		Key: "k", Digest: [32]byte{1}, Known: map[uint32]string{0: "a", 7: ""}, Batch: engine.BatchPart{ID: 9, Count: 2}, AcceptedAt: at,
	}
	return [][]byte{
		appendRecord(nil, engine.Record{Event: event}),
		appendRecord(nil, engine.Record{Event: plain}),
		appendRecord(nil, engine.Record{Request: request}),
		appendRecord(nil, engine.Record{Event: &traced}),
		{},
		{recordVersion},
		{recordVersion + 1, recordEvent},
		{recordVersion, 9},
	}
}

// FuzzJournalRecord takes any bytes for a record: they are refused, or they are the one
// encoding of what they say. The same bytes as a whole segment never make a reader panic,
// go back in sequence or read past the end.
func FuzzJournalRecord(f *testing.F) {
	for _, seed := range recordSeeds() {
		f.Add(seed)
		frame := append(beginFrame(nil), seed...)
		frame = endFrame(frame, 0, frameSeed(fuzzRef.Journal), fuzzRef.Sequence, 1)
		f.Add(frame)
		f.Add(frame[:frameHeaderBytes+len(seed)]) // the file ends before the padding
		f.Add(append(bytes.Repeat([]byte{0}, 40), frame...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		record, err := decodeRecord(b, fuzzRef)
		if err == nil {
			if again := appendRecord(nil, record); !bytes.Equal(again, b) {
				t.Errorf("decoded and encoded again:\n got %x\nwant %x", again, b)
			}
			if n := recordBytes(record); n < len(b) {
				t.Errorf("recordBytes is %d for %d bytes", n, len(b))
			}
		}
		scanAll(t, b)
	})
}

func scanAll(t *testing.T, b []byte) {
	t.Helper()
	const last = 1 << 40
	sc := newScanner(bytes.NewReader(b), frameSeed(fuzzRef.Journal), 0, int64(len(b)), 1, last)
	defer sc.release()
	before := uint64(0)
	sc.lost = func(from, through uint64, offset int64) {
		if from != before+1 || through < from || offset < 0 || offset > int64(len(b)) {
			t.Errorf("lost %d to %d at %d after %d", from, through, offset, before)
		}
	}
	for {
		f, ok, err := sc.scan()
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		if !ok {
			return
		}
		if f.sequence <= before || f.sequence > last || f.offset+int64(len(f.payload())) > int64(len(b)) {
			t.Errorf("frame %d at %d after %d", f.sequence, f.offset, before)
		}
		before = f.sequence
		_, _ = decodeRecord(f.payload(), engine.EventRef{Journal: fuzzRef.Journal, Sequence: f.sequence}) // must not panic
	}
}

// The bytes of a record on disk are a promise to later versions: a change of them needs a
// new version. The file was written once.
func TestRecordsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(filepath.Join("testdata", "records.hex"))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, seed := range recordSeeds()[:4] {
		fmt.Fprintf(&got, "%x\n", seed)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the encoding changed:\n got %s\nwant %s", &got, want)
	}
}
