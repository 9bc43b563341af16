package storage_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// killedReplica gives a keeper of n records, each synced alone, and the folder of a replica
// as a kill leaves it that got the records from first on with one write.
func killedReplica(t *testing.T, n int, first uint64) (keeper *storage.Journal, dir string) {
	t.Helper()
	keeper = openJournal(t, t.TempDir(), oneSegment())
	storagetest.AppendEvents(t, keeper, 1, n)
	live := t.TempDir()
	r := openReplica(t, live, first, oneSegment())
	copySynced(t, keeper, r, math.MaxInt)
	return keeper, copyJournal(t, live)
}

// wantSameFrames checks that a replica holds its keeper's frames from first on, and no others.
func wantSameFrames(tb testing.TB, keeper, replica *storage.Journal, first uint64) {
	tb.Helper()
	want, behind := allFrames(tb, keeper, first, 100_000)
	got, next := allFrames(tb, replica, first, 30_000)
	if from, _ := replica.Bounds(); from != first || next != behind || !bytes.Equal(got, want) {
		tb.Errorf("the replica begins with %d and has %d bytes up to %d, want %d, %d and %d", from, len(got), next, first, len(want), behind)
	}
}

// What its keeper had synced long before is new to a replica: a crash tears it as it tears
// any write. It is cut, not taken for damage, and copied again.
func TestTornTailOfAReplicaIsCutAndCopiedAgain(t *testing.T) {
	t.Parallel()
	const first = 4
	keeper, whole := killedReplica(t, 20, first)
	for _, test := range []struct {
		name string
		tear func(dir string)
		next uint64
	}{
		{"nothing", func(string) {}, 21},
		{"the last record is cut short", func(dir string) {
			spoil(t, segmentFile(dir, first), func(c []byte) []byte { return c[:dataEnd(c)-300] })
		}, 20},
		{"garbage behind the last record", func(dir string) {
			spoil(t, segmentFile(dir, first), func(c []byte) []byte {
				copy(c[(dataEnd(c)+7)&^7:], bytes.Repeat([]byte{0xab}, 5000))
				return c
			})
		}, 21},
		{"a block in the middle of the write is missing", func(dir string) { flip(t, dir, 10) }, 10},
		{"nothing of the write is there", func(dir string) {
			spoil(t, segmentFile(dir, first), func(c []byte) []byte { clear(c[64:]); return c })
		}, first},
		{"the header, too", func(dir string) {
			flip(t, dir, 10)
			spoil(t, segmentFile(dir, first), func(c []byte) []byte { clear(c[:64]); return c })
		}, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyJournal(t, whole)
			test.tear(dir)
			log, logger := logged()
			o := oneSegment()
			o.Logger = logger
			r := openReplica(t, dir, 1, o)
			wantDamage(t, r.Journal)
			if from, next := r.Bounds(); from != first || next != test.next || r.Synced() != next-1 {
				t.Errorf("Bounds: got %d, %d, synced %d, want %d, %d", from, next, r.Synced(), first, test.next)
			}
			if got := strings.Contains(log.String(), "torn by a crash and is cut"); got != strings.Contains(log.String(), "bytes=") {
				t.Errorf("logged %q", log)
			}
			copySynced(t, keeper, r, 3000)
			wantSameFrames(t, keeper, r.Journal, first)
			wantDamage(t, r.Journal)
		})
	}
}

// The file says who wrote it: it does not matter who opens it.
func TestRecoveryGoesByWhoWrote(t *testing.T) {
	t.Parallel()
	keeper, copied := killedReplica(t, 20, 1)
	flip(t, copied, 10)
	j := openJournal(t, copied, oneSegment())
	wantDamage(t, j)
	wantRecords(t, j, upTo(9))
	wantGoesOn(t, j, 10)

	written := killedJournal(t, 20, oneSegment())
	flip(t, written, 10)
	r := openReplica(t, written, 5, oneSegment())
	wantDamage(t, r.Journal, only(10, 10))
	wantRecords(t, r.Journal, upTo(20, only(10, 10)))
	storagetest.AppendEvents(t, keeper, 21, 30)
	copySynced(t, keeper, r, 3000)
	wantRecords(t, r.Journal, upTo(30, only(10, 10)))
}

// What lies further back than a replica ever writes at once was synced, so it is damage.
func TestDamageFarBackInAReplica(t *testing.T) {
	t.Parallel()
	const records = 14 // of nearly 1 MiB; 10 MiB may be torn
	o := storage.JournalOptions{SegmentBytes: 16 << 20, Logger: quiet()}
	keeper := openJournal(t, t.TempDir(), o)
	large := make([]engine.Record, records)
	for i := range large {
		large[i].Event = largeEvent()
	}
	synced := make(chan struct{})
	if _, err := keeper.Append(large, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	<-synced
	one, _, err := keeper.ReadFrames(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	size := len(one)
	live := t.TempDir()
	copySynced(t, keeper, openReplica(t, live, 1, o), storage.MaxRecordBytes)
	for _, test := range []struct {
		damaged, next uint64
		damage        []engine.Range
	}{
		{2, records + 1, []engine.Range{only(2, 2)}},
		{records - 1, records - 1, nil},
	} {
		dir := copyJournal(t, live)
		spoil(t, segmentFile(dir, 1), func(c []byte) []byte {
			c[64+(int(test.damaged)-1)*size+500_000] ^= 1
			return c
		})
		r := openReplica(t, dir, 1, o)
		wantDamage(t, r.Journal, test.damage...)
		if _, next := r.Bounds(); next != test.next {
			t.Errorf("damage in %d: next is %d, want %d", test.damaged, next, test.next)
		}
	}
}
