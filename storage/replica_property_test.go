package storage_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// propertySegments are the options of the journals under test: a few records fill a segment.
func propertySegments() storage.JournalOptions {
	return storage.JournalOptions{SegmentBytes: 6000, Logger: quiet()}
}

// pair is a keeper and a replica of it that anything may happen to.
type pair struct {
	t           *testing.T
	keeper      *storage.Journal
	replica     *storage.Replica
	keeperDir   string
	replicaDir  string
	first       uint64 // of the replica
	accepted    int    // in ms, of what was appended last
	keeperTrims int
}

// append appends some records to the keeper.
func (p *pair) append(r *rapid.T) {
	records := make([]engine.Record, rapid.IntRange(1, 6).Draw(r, "records"))
	for i := range records {
		p.accepted += rapid.IntRange(0, 2).Draw(r, "later")
		at := storagetest.JournalEvent(p.accepted).AcceptedAt
		if rapid.IntRange(0, 5).Draw(r, "kind") == 0 {
			records[i].Request = &engine.Request{Key: "k", Known: map[uint32]string{3: "x"}, AcceptedAt: at}
			continue
		}
		body := bytes.Repeat([]byte("x"), rapid.IntRange(0, 1500).Draw(r, "body"))
		records[i].Event = &engine.Event{
			ID: rapid.SampledFrom([]string{"", "mine"}).Draw(r, "id"), Topic: "trip.created", Timestamp: at, AcceptedAt: at,
			Data: body, Revision: uint64(rapid.IntRange(1, 9).Draw(r, "revision")),
		}
	}
	synced := make(chan struct{})
	if _, err := p.keeper.Append(records, func() { close(synced) }); err != nil {
		r.Fatal(err)
	}
	<-synced
}

// copy copies one chunk. What the keeper no longer has ends the replica; another begins where
// the keeper goes on.
func (p *pair) copy(r *rapid.T) {
	_, next := p.replica.Bounds()
	frames, behind, err := p.keeper.ReadFrames(next, rapid.IntRange(0, 9000).Draw(r, "limit"))
	if missing, ok := errors.AsType[*storage.MissingError](err); ok {
		if first, _ := p.keeper.Bounds(); missing.From != next || missing.Next != first || p.keeperTrims == 0 {
			r.Fatalf("%v, the keeper begins with %d", err, first)
		}
		p.begin(missing.Next)
		return
	}
	synced := make(chan struct{})
	if err == nil {
		err = p.replica.AppendFrames(next, frames, func() { close(synced) })
	}
	if err != nil {
		r.Fatal(err)
	}
	<-synced
	if p.replica.Synced() != behind-1 {
		r.Fatalf("synced through %d, want %d", p.replica.Synced(), behind-1)
	}
}

// begin makes another replica.
func (p *pair) begin(first uint64) {
	if p.replica != nil {
		_ = p.replica.Close()
	}
	p.replicaDir, p.first = p.t.TempDir(), first
	p.replica = openReplica(p.t, p.replicaDir, first, propertySegments())
}

func (p *pair) trimKeeper(r *rapid.T) {
	if s := p.keeper.Segments(); len(s) > 3 {
		if err := p.keeper.Trim(s[0]); err != nil {
			r.Fatal(err)
		}
		p.keeperTrims++
	}
}

func (p *pair) trimReplica(r *rapid.T) {
	if s := p.replica.Segments(); len(s) > 3 {
		if err := p.replica.Trim(s[0]); err != nil {
			r.Fatal(err)
		}
		p.first = s[0].Last + 1
	}
}

func (p *pair) reopenKeeper(r *rapid.T) {
	if err := p.keeper.Close(); err != nil {
		r.Fatal(err)
	}
	p.keeper = openJournal(p.t, p.keeperDir, propertySegments())
}

func (p *pair) reopenReplica(r *rapid.T) {
	if err := p.replica.Close(); err != nil {
		r.Fatal(err)
	}
	p.replica = openReplica(p.t, p.replicaDir, rapid.Uint64Range(1, 100).Draw(r, "ignored"), propertySegments())
}

// crashReplica goes on with what a kill leaves of the replica, of which the last write may be
// torn.
func (p *pair) crashReplica(r *rapid.T) {
	p.replicaDir = copyJournal(p.t, p.replicaDir)
	_ = p.replica.Close()
	entries, err := os.ReadDir(p.replicaDir)
	if err != nil {
		r.Fatal(err)
	}
	path := p.replicaDir + "/" + entries[len(entries)-1].Name()
	spoil(p.t, path, func(c []byte) []byte {
		end := dataEnd(c)
		if end <= 64 { // nothing but the header
			return c
		}
		from := rapid.IntRange(64, end).Draw(r, "torn from")
		clear(c[from:rapid.IntRange(from, end).Draw(r, "to")])
		return c
	})
	p.replica = openReplica(p.t, p.replicaDir, 1, propertySegments())
}

// check compares everything there is of the replica with its keeper.
func (p *pair) check(r *rapid.T) {
	from, next := p.replica.Bounds()
	if _, want := p.keeper.Bounds(); from != p.first || next != want {
		r.Errorf("Bounds: got %d, %d, want %d, %d", from, next, p.first, want)
	}
	if len(p.replica.Damage()) > 0 || len(p.keeper.Damage()) > 0 {
		r.Errorf("damage: %v of the replica, %v of the keeper", p.replica.Damage(), p.keeper.Damage())
	}
	first, _ := p.keeper.Bounds()
	first = max(first, from)
	want, _ := allFrames(p.t, p.keeper, first, math.MaxInt)
	if got, _ := allFrames(p.t, p.replica.Journal, first, 1000); !bytes.Equal(got, want) {
		r.Errorf("from %d on %d bytes of frames, want %d, or others", first, len(got), len(want))
	}
	sequences, records := storagetest.ReadJournal(p.t, p.keeper.Read, first)
	if gotSequences, got := storagetest.ReadJournal(p.t, p.replica.Read, first); !reflect.DeepEqual(gotSequences, sequences) || !reflect.DeepEqual(got, records) {
		r.Errorf("read %v, want %v, or others", gotSequences, sequences)
	}
	for ms := range p.accepted + 2 {
		at := storagetest.JournalEvent(ms).AcceptedAt
		want, err := p.keeper.Seek(at)
		got, gotErr := p.replica.Seek(at)
		if err != nil || gotErr != nil || max(got, first) != max(want, first) {
			r.Errorf("Seek %d ms: got %d, %v, want %d, %v", ms, got, gotErr, want, err)
		}
	}
	for _, s := range p.replica.Segments() {
		checkSegment(p.t, r, p.replica, s)
	}
}

// checkSegment compares the description of a segment with its records.
func checkSegment(t *testing.T, r *rapid.T, j *storage.Replica, got engine.Segment) {
	t.Helper()
	want := engine.Segment{First: got.First, Last: got.Last, Bytes: got.Bytes}
	_, err := j.Read(got.First, int(got.Last-got.First)+1, func(_ uint64, record engine.Record) bool {
		var at time.Time
		if e := record.Event; e != nil {
			at = e.AcceptedAt
			if want.FirstRevision == 0 || e.Revision < want.FirstRevision {
				want.FirstRevision = e.Revision
			}
		} else {
			at = record.Request.AcceptedAt
		}
		if want.FirstAt.IsZero() {
			want.FirstAt = at
		}
		want.LastAt = at
		return true
	})
	if err != nil || got != want {
		r.Errorf("segment %+v, want %+v, %v", got, want, err)
	}
}

// Whatever happens to a keeper and its replica, the replica is a stretch of the same journal,
// byte for byte, and another opening changes nothing.
func TestReplicaIsTheSameJournal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		p := &pair{t: t, keeperDir: t.TempDir()}
		p.keeper = openJournal(t, p.keeperDir, propertySegments())
		for range rapid.IntRange(0, 5).Draw(r, "appends before") {
			p.append(r)
		}
		_, next := p.keeper.Bounds()
		p.begin(rapid.Uint64Range(1, next).Draw(r, "first"))
		defer func() { _, _ = p.keeper.Close(), p.replica.Close() }()
		steps := []func(*rapid.T){
			p.append, p.append, p.append, p.copy, p.copy, p.copy, p.trimKeeper, p.trimReplica, p.reopenKeeper, p.reopenReplica, p.crashReplica,
		}
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			rapid.SampledFrom(steps).Draw(r, "step")(r)
		}
		for {
			_, next := p.keeper.Bounds()
			if _, got := p.replica.Bounds(); got == next {
				break
			}
			p.copy(r)
		}
		p.check(r)
		if err := p.replica.Close(); err != nil { // seals what is open
			r.Fatal(err)
		}
		segments := p.replica.Segments()
		p.reopenReplica(r)
		if got := p.replica.Segments(); !reflect.DeepEqual(got, segments) {
			r.Errorf("after another opening: segments %+v, want %+v", got, segments)
		}
		p.check(r)
	})
}
