package storagetest

import (
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// journalSearch looks for every third event, in pages, beside a request that is none.
func journalSearch(t *testing.T, j engine.Journal) {
	const count = 3 * JournalSegmentRecords
	special := JournalEvent(1)
	special.ID, special.GivenID, special.Tenant, special.TraceState = "mine", true, "acme", "a=b"
	special.Directed, special.Batch = "sub_0123456789abcdefghij", engine.BatchPart{ID: 1<<63 + 1, Index: 7, Count: 9}
	appendSynced(t, j, engine.Record{Event: special})
	AppendEvents(t, j, 2, count)
	appendSynced(t, j, engine.Record{Request: &engine.Request{Key: "k", AcceptedAt: day.Add(time.Hour)}})
	var got, want []string
	wanted := func(head *engine.Event) bool {
		full, err := j.Get(head.Ref.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		want := *full.Event
		want.ID, want.Data, want.Extensions, want.TraceParent, want.TraceState = "", nil, nil, "", ""
		if !reflect.DeepEqual(head, &want) {
			t.Errorf("head: got %+v, want %+v", head, want)
		}
		return head.Ref.Sequence%3 == 0
	}
	const page = 7
	for from := uint64(1); from <= count+1; {
		next, err := j.Search(from, page, wanted, func(event *engine.Event) bool {
			got = append(got, string(event.Data))
			return true
		})
		if err != nil || next != min(from+page, count+2) {
			t.Fatalf("Search from %d: got next %d, %v", from, next, err)
		}
		from = next
	}
	for n := 3; n <= count; n += 3 {
		want = append(want, string(journalBody(n)))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %d events, want %d", len(got), len(want))
	}
	if next, err := j.Search(1, page, wanted, func(*engine.Event) bool { return false }); err != nil || next != 4 {
		t.Errorf("a visit that said false: got next %d, %v, want 4", next, err)
	}
}

func journalGet(t *testing.T, j engine.Journal) {
	const count = 3 * JournalSegmentRecords
	AppendEvents(t, j, 1, count)
	for n := count; n >= 1; n-- {
		record, err := j.Get(uint64(n))
		if err != nil || record.Event.Ref.Sequence != uint64(n) || string(record.Event.Data) != string(journalBody(n)) {
			t.Errorf("Get %d: got %v, %v", n, record.Event, err)
		}
	}
	wantNoRecord(t, j, 0)
	wantNoRecord(t, j, count+1)
}

func journalSeek(t *testing.T, j engine.Journal) {
	const count = 3 * JournalSegmentRecords
	for n := 1; n <= count; n++ {
		// Two records share each accept time: 2, 2, 4, 4, 6, 6, … ms.
		appendSynced(t, j, engine.Record{Event: JournalEvent((n + 1) / 2 * 2)})
	}
	for ms := 0; ms <= count+3; ms++ {
		want := uint64(1)
		if ms > 2 {
			want = uint64((ms+1)/2*2 - 1)
		}
		want = min(want, count+1)
		if got, err := j.Seek(day.Add(time.Duration(ms) * time.Millisecond)); got != want || err != nil {
			t.Errorf("Seek %d ms: got %d, %v, want %d", ms, got, err, want)
		}
	}
	if got, err := j.Seek(day.Add(2*time.Millisecond + 1)); got != 3 || err != nil {
		t.Errorf("Seek just after 2 ms: got %d, %v, want 3", got, err)
	}
}

func journalSegments(t *testing.T, j engine.Journal) {
	const count = 4 * JournalSegmentRecords
	AppendEvents(t, j, 1, count)
	segments := j.Segments()
	if len(segments) < 2 {
		t.Fatalf("got %d sealed segments, want more", len(segments))
	}
	first := uint64(1)
	for _, s := range segments {
		wantAt, wantLastAt := JournalEvent(int(s.First)).AcceptedAt, JournalEvent(int(s.Last)).AcceptedAt
		if s.First != first || s.Last < s.First || !s.FirstAt.Equal(wantAt) || !s.LastAt.Equal(wantLastAt) {
			t.Errorf("got %+v, want it from %d on, %v to %v", s, first, wantAt, wantLastAt)
		}
		if s.FirstRevision != 100+s.First || s.Bytes < int64(s.Last-s.First+1)*JournalBodyBytes {
			t.Errorf("got %+v, want revision %d, its bytes", s, 100+s.First)
		}
		first = s.Last + 1
	}
	if first > count {
		t.Errorf("the active segment is listed: %+v", segments)
	}
}

func journalTrim(t *testing.T, j engine.Journal) {
	const count = 4 * JournalSegmentRecords
	AppendEvents(t, j, 1, count)
	segments := j.Segments()
	if err := j.Trim(segments[1]); err == nil {
		t.Error("Trim took a segment that is not the oldest")
	}
	for _, s := range segments {
		if err := j.Trim(s); err != nil {
			t.Fatalf("Trim: %v", err)
		}
		if first, _ := j.Bounds(); first != s.Last+1 {
			t.Errorf("Bounds: got %d, want %d", first, s.Last+1)
		}
		wantNoRecord(t, j, s.Last)
		if sequences, _ := ReadJournal(t, j.Read, 1); len(sequences) != count-int(s.Last) || sequences[0] != s.Last+1 {
			t.Errorf("Read: got %v, want all from %d", sequences, s.Last+1)
		}
		if got, err := j.Seek(day); got != s.Last+1 || err != nil {
			t.Errorf("Seek: got %d, %v, want %d", got, err, s.Last+1)
		}
	}
	if err := j.Trim(segments[0]); err == nil {
		t.Error("Trim took a segment twice")
	}
	if len(j.Segments()) != 0 || len(j.Damage()) != 0 {
		t.Errorf("got segments %v, damage %v, want none", j.Segments(), j.Damage())
	}
}

// journalSealsOld runs in a bubble of virtual time.
func journalSealsOld(t *testing.T, j engine.Journal) {
	AppendEvents(t, j, 1, 1)
	<-time.After(storage.DefaultSegmentAge - time.Nanosecond)
	synctest.Wait()
	if got := j.Segments(); len(got) != 0 {
		t.Errorf("got %+v before the age, want none", got)
	}
	AppendEvents(t, j, 2, 2)
	<-time.After(time.Nanosecond)
	synctest.Wait()
	if got := j.Segments(); len(got) != 1 || got[0].First != 1 || got[0].Last != 2 {
		t.Errorf("got %+v at the age, want one of two records", got)
	}
	<-time.After(2 * storage.DefaultSegmentAge)
	synctest.Wait()
	if got := j.Segments(); len(got) != 1 {
		t.Errorf("got %+v without further records, want one", got)
	}
}

func journalConcurrent(t *testing.T, j engine.Journal) {
	const appenders, each = 4, JournalSegmentRecords
	var appending, reading sync.WaitGroup
	for range appenders {
		appending.Go(func() { AppendEvents(t, j, 1, each) })
	}
	finished := make(chan struct{})
	for range 2 {
		reading.Go(func() {
			next := uint64(1)
			for over := false; !over || next <= appenders*each; {
				select {
				case <-finished:
					over = true
				default:
				}
				var err error
				next, err = j.Read(next, 5, func(sequence uint64, record engine.Record) bool {
					if sequence != next || record.Event.Ref.Sequence != sequence || sequence > j.Synced() {
						t.Errorf("read %d as %v, synced %d, want %d", sequence, record.Event.Ref, j.Synced(), next)
					}
					next++
					return true
				})
				if err != nil {
					t.Errorf("Read: %v", err)
					return
				}
			}
		})
	}
	appending.Wait()
	close(finished)
	reading.Wait()
	if len(j.Damage()) != 0 {
		t.Errorf("damage %v, want none", j.Damage())
	}
}

func journalClosed(t *testing.T, j engine.Journal) {
	AppendEvents(t, j, 1, 3)
	for range 2 {
		if err := j.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	_, err := j.Append([]engine.Record{{Event: JournalEvent(4)}}, func() { t.Error("done was called") })
	if got := engine.ErrorCode(err); got != engine.CodeUnavailable {
		t.Errorf("Append: got %v, want unavailable", err)
	}
	if sequences, _ := ReadJournal(t, j.Read, 1); len(sequences) != 3 {
		t.Errorf("Read: got %v, want 3 records", sequences)
	}
}
