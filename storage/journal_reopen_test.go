package storage_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// logged collects what a journal logs.
func logged() (*bytes.Buffer, *slog.Logger) {
	var b bytes.Buffer
	return &b, slog.New(slog.NewTextHandler(&b, nil))
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// smallSegments are the options of most tests here: segments of the suite's size.
func smallSegments(logger *slog.Logger) storage.JournalOptions {
	return storage.JournalOptions{SegmentBytes: suiteSegmentBytes, Logger: logger}
}

// oneSegment are the options of a journal whose few events all lie in one segment.
func oneSegment() storage.JournalOptions {
	return storage.JournalOptions{SegmentBytes: 256 << 10, Logger: quiet()}
}

// closedJournal gives the folder of a journal of n events that was closed.
func closedJournal(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, dir, smallSegments(quiet()))
	storagetest.AppendEvents(t, j, 1, n)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// killedJournal gives the folder of a journal of n events as a kill leaves it.
func killedJournal(t *testing.T, n int, o storage.JournalOptions) string {
	t.Helper()
	dir := t.TempDir()
	storagetest.AppendEvents(t, openJournal(t, dir, o), 1, n)
	return copyJournal(t, dir)
}

// segmentFile is the file of the segment that begins at a sequence.
func segmentFile(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d.segment", first))
}

func copyJournal(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// wantRecords checks that exactly these sequences can be read, each with its own content.
func wantRecords(t *testing.T, j *storage.Journal, want []uint64) {
	t.Helper()
	sequences, records := storagetest.ReadJournal(t, j.Read, 1)
	if !slices.Equal(sequences, want) {
		t.Fatalf("read %v, want %v", sequences, want)
	}
	for i, record := range records {
		sequence := sequences[i]
		if e := record.Event; e.Ref.Sequence != sequence || !bytes.Equal(e.Data, storagetest.JournalEvent(int(sequence)).Data) {
			t.Errorf("record %d holds other content", sequence)
		}
		if got, err := j.Get(sequence); err != nil || !reflect.DeepEqual(got, record) {
			t.Errorf("Get %d: got %+v, %v, want what Read gave", sequence, got.Event, err)
		}
	}
}

// upTo are the sequences 1 to n but for those in without.
func upTo(n uint64, without ...engine.Range) []uint64 {
	var all []uint64
	for sequence := uint64(1); sequence <= n; sequence++ {
		if !slices.ContainsFunc(without, func(r engine.Range) bool { return r.From <= sequence && sequence <= r.Through }) {
			all = append(all, sequence)
		}
	}
	return all
}

func wantDamage(t *testing.T, j *storage.Journal, want ...engine.Range) {
	t.Helper()
	if got := j.Damage(); !slices.Equal(got, want) {
		t.Errorf("Damage: got %v, want %v", got, want)
	}
}

// wantGoesOn checks which sequence the next append gets.
func wantGoesOn(t *testing.T, j *storage.Journal, want uint64) {
	t.Helper()
	if _, next := j.Bounds(); next != want {
		t.Errorf("Bounds: next is %d, want %d", next, want)
	}
	storagetest.AppendEvents(t, j, int(want), int(want))
	if record, err := j.Get(want); err != nil || record.Event.Ref.Sequence != want {
		t.Errorf("Get %d after an append: %v", want, err)
	}
}

func TestJournalIsKept(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"closed": closedJournal(t, 40),
		"killed": killedJournal(t, 40, smallSegments(quiet())),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, logger := logged()
			j := openJournal(t, dir, smallSegments(logger))
			wantRecords(t, j, upTo(40))
			if j.Synced() != 40 {
				t.Errorf("Synced: got %d, want 40", j.Synced())
			}
			wantGoesOn(t, j, 41)
			wantDamage(t, j)
			if log.Len() > 0 {
				t.Errorf("logged %q, want nothing", log)
			}
		})
	}
}

func TestAcceptTimeDoesNotGoBackOverAnOpening(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 20)
	for range 2 { // the second time the newest segment is empty
		j := openJournal(t, dir, smallSegments(quiet()))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j := openJournal(t, dir, smallSegments(quiet()))
	early := storagetest.JournalEvent(3)
	synced := make(chan struct{})
	if _, err := j.Append([]engine.Record{{Event: early}}, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	<-synced
	if want := storagetest.JournalEvent(20).AcceptedAt; !early.AcceptedAt.Equal(want) {
		t.Errorf("accepted at %v, want %v", early.AcceptedAt, want)
	}
}

func TestSequencesGoOnAfterEverythingWasTrimmed(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 40)
	j := openJournal(t, dir, smallSegments(quiet()))
	for _, s := range j.Segments() {
		if err := j.Trim(s); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = openJournal(t, dir, smallSegments(quiet()))
		if first, next := j.Bounds(); first != 41 || next != 41 || j.Synced() != 40 {
			t.Errorf("Bounds: got %d, %d, synced %d, want 41, 41, 40", first, next, j.Synced())
		}
	}
	wantDamage(t, j)
	wantGoesOn(t, j, 41)
}

func TestForeignFilesAreIgnoredWithAWarning(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t, 5)
	for _, name := range []string{"notes.txt", "1.segment", "0000000000000000000x.segment", "00000000000000000000.segment"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, logger := logged()
	j := openJournal(t, dir, smallSegments(logger))
	wantRecords(t, j, upTo(5))
	if got := strings.Count(log.String(), "foreign file"); got != 4 {
		t.Errorf("%d warnings in %q, want 4", got, log)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "notes.txt")); err != nil || string(content) != "mine" {
		t.Errorf("the foreign file holds %q, %v", content, err)
	}
}

func TestJournalIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		id    engine.JournalID
		spoil func(header []byte)
		want  string
	}{
		{"another journal's", testJournalID + 1, nil, "belongs to journal feed0123456789ab"},
		{"newer format", testJournalID, func(h []byte) { h[8] = 2 }, "format version 2, this program reads version 1"},
		{"another segment's name", testJournalID, func(h []byte) { h[24] = 9 }, "holds sequences from 9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := closedJournal(t, 5)
			path := segmentFile(dir, 1)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				test.spoil(content)
				binary.LittleEndian.PutUint32(content[60:], crc32.Checksum(content[:60], crc32.MakeTable(crc32.Castagnoli)))
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			j, err := storage.OpenJournal(dir, test.id, storage.JournalOptions{})
			if err == nil {
				t.Fatal(j.Close(), "opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("OpenJournal = %v, want %q and the file in it", err, test.want)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}
