package storage

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"pannier/engine"
)

// These tests see the files of an open state: they belong to the package, not beside it.

func openQuiet(t *testing.T, dir string, accept bool) (*State, error) {
	t.Helper()
	s, err := OpenState(dir, StateOptions{
		Logger: slog.New(slog.DiscardHandler), AcceptLoss: accept,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func mustOpen(t *testing.T, dir string, accept bool) *State {
	t.Helper()
	s, err := openQuiet(t, dir, accept)
	if err != nil {
		t.Fatalf("OpenState: %v", err)
	}
	return s
}

// commitRecords makes one commit for each record, so that each has its place in the log.
func commitRecords(t *testing.T, s *State, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		done := make(chan struct{})
		err := s.Write([]engine.Write{engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
			Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: int64(i)},
			Body: &engine.Event{Data: bytes.Repeat([]byte("b"), 1000)},
		}}}, func() { close(done) })
		if err != nil {
			t.Fatalf("Write: %v", err)
		}
		<-done
	}
}

func countRecords(t *testing.T, s *State) int {
	t.Helper()
	records, err := s.RetryRecords(t.Context(), "sub_a", engine.DeliveryKey{AcceptedMilli: -1}, MaxPage)
	if err != nil {
		t.Fatalf("RetryRecords: %v", err)
	}
	return len(records)
}

// killed copies the folder of an open state as a kill would leave it. Badger may compact
// meanwhile, so a copy counts when the list of the tables is the same after it as before.
func killed(t *testing.T, s *State) string {
	t.Helper()
	from := filepath.Dir(s.path)
	for {
		dir := t.TempDir()
		before := manifest(t, from)
		err := copyFolder(from, dir)
		if !bytes.Equal(before, manifest(t, from)) {
			continue
		}
		if err != nil {
			t.Fatalf("copy: %v", err)
		}
		return dir
	}
}

func manifest(t *testing.T, dir string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "badger", "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		copied := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(copied, 0o700)
		}
		return copySparse(path, copied)
	})
}

// copySparse leaves out the zeros, which are nearly all of Badger's logs.
func copySparse(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	block, zeros := make([]byte, 16*blockBytes), make([]byte, 16*blockBytes)
	size := int64(0)
	for err == nil {
		var n int
		if n, err = io.ReadFull(source, block); errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if !bytes.Equal(block[:n], zeros[:n]) {
			if _, failed := target.WriteAt(block[:n], size); failed != nil {
				err = failed
			}
		}
		size += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, target.Truncate(size), target.Close())
}

// flipBit flips one bit of the record with the given number in the only log of dir.
func flipBit(t *testing.T, dir string, number int) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "badger", "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	key := deliveryStateKey(prefixRetryRecord, "sub_a", engine.DeliveryKey{AcceptedMilli: int64(number)})
	for _, name := range logs {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(content, key)
		if at < 0 {
			continue
		}
		at += len(key) + 200
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteAt([]byte{content[at] ^ 1}, int64(at))
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("record %d is in none of %v", number, logs)
}

func TestKilledStateOpensWithEverything(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), false)
	commitRecords(t, s, 0, 20)
	if err := s.moveMark(); err != nil {
		t.Fatal(err)
	}
	commitRecords(t, s, 20, 24) // younger than the mark
	again := mustOpen(t, killed(t, s), false)
	if got := countRecords(t, again); got != 24 {
		t.Errorf("%d records after the kill, want 24", got)
	}
	commitRecords(t, again, 24, 30)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if got := countRecords(t, mustOpen(t, filepath.Dir(again.path), false)); got != 30 {
		t.Errorf("%d records after the close, want 30", got)
	}
}

func TestFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), false)
	commitRecords(t, s, 0, 20)
	if err := s.moveMark(); err != nil {
		t.Fatal(err)
	}
	dir := killed(t, s)
	flipBit(t, dir, 8)

	for range 2 { // the refusal itself repairs nothing
		_, err := openQuiet(t, dir, false)
		if !errors.Is(err, ErrStateLoss) || !strings.Contains(err.Error(), "12 of its commits are missing") {
			t.Fatalf("OpenState = %v, want a loss of 12 commits", err)
		}
	}
	accepted := mustOpen(t, dir, true)
	if got := countRecords(t, accepted); got != 8 {
		t.Errorf("%d records after the loss, want 8", got)
	}
	commitRecords(t, accepted, 200, 205)
	for _, kind := range []string{"killed", "closed"} {
		next := killed(t, accepted)
		if kind == "closed" {
			if err := accepted.Close(); err != nil {
				t.Fatal(err)
			}
			next = dir
		}
		if got := countRecords(t, mustOpen(t, next, false)); got != 13 {
			t.Errorf("%s after the accepted loss: %d records, want 13", kind, got)
		}
	}
}

func TestFlippedBitInAnOlderLogIsNoticed(t *testing.T) {
	t.Parallel()
	// Two lives without a clean end leave two logs. The second holds the newest commit, so
	// only the gap tells that the first has lost its end.
	s := mustOpen(t, t.TempDir(), false)
	commitRecords(t, s, 0, 20)
	if err := s.moveMark(); err != nil {
		t.Fatal(err)
	}
	first := killed(t, s)
	commitRecords(t, s, 20, 30)
	whole := killed(t, s)
	// The first log as it was, cut by a flipped bit; the later commits as Badger would
	// replay them from a second log.
	flipBit(t, first, 14)
	broken, err := openBroken(first)
	if err != nil {
		t.Fatal(err)
	}
	broken.number.Store(20)
	if err := broken.commit([]change{{key: []byte("q/late"), value: []byte{valueVersion}}}); err != nil {
		t.Fatal(err)
	}
	if err := broken.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openQuiet(t, first, false); !errors.Is(err, ErrStateLoss) || !strings.Contains(err.Error(), "6 of its commits") {
		t.Errorf("OpenState = %v, want a loss of 6 commits", err)
	}
	if got := countRecords(t, mustOpen(t, whole, false)); got != 30 {
		t.Errorf("the whole one has %d records, want 30", got)
	}
}

// openBroken opens only the Badger of a state, without its checks.
func openBroken(dir string) (*State, error) {
	db, err := badger.OpenManaged(badgerOptions(filepath.Join(dir, "badger"), slog.New(slog.DiscardHandler)).WithSyncWrites(true))
	return &State{db: db}, err
}

// Badger compacts when it likes to, so this test lives long enough for several compactions:
// they must release the old versions, and the gaps they leave must not count as a loss.
func TestCompactionReleasesOldVersionsWithoutLoss(t *testing.T) {
	t.Parallel()
	const lives, records = 8, 20
	dir := t.TempDir()
	held := uint32(0)
	for life := range lives {
		s := mustOpen(t, dir, false)
		commitRecords(t, s, 0, records) // the same keys in every life
		if got := countRecords(t, s); got != records {
			t.Fatalf("life %d: %d records, want %d", life, got, records)
		}
		if err := s.moveMark(); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flatten(2); err != nil {
			t.Fatal(err)
		}
		held = 0
		for _, table := range s.db.Tables() {
			held += table.KeyCount
		}
		if life == lives/2 {
			dir = killed(t, s)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if held > lives*records {
		t.Errorf("the tables hold %d versions of %d keys", held, records+1)
	}
}

func TestDamagedTableIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, false)
	commitRecords(t, s, 0, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "badger", "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatalf("tables: %v, %v", tables, err)
	}
	content, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/3] ^= 4
	if err := os.WriteFile(tables[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openQuiet(t, dir, false); !errors.Is(err, ErrStateLoss) {
		t.Errorf("OpenState = %v, want %v", err, ErrStateLoss)
	}
}

func TestDamagedMarkIsNoticed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"flipped": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte{1}, markBytes), 0o600) },
		"short":   func(path string) error { return os.Truncate(path, 10) },
		"missing": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir, false)
			commitRecords(t, s, 0, 10)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(s.path); err != nil {
				t.Fatal(err)
			}
			if _, err := openQuiet(t, dir, false); !errors.Is(err, ErrStateLoss) {
				t.Errorf("OpenState = %v, want %v", err, ErrStateLoss)
			}
			accepted := mustOpen(t, dir, true)
			if got := countRecords(t, accepted); got != 10 {
				t.Errorf("%d records, want 10", got)
			}
			if err := accepted.Close(); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, dir, false)
		})
	}
}

func TestMarkIsKept(t *testing.T) {
	t.Parallel()
	want := commitMark{memTableBytes: memTableBytes * 4, committed: 1 << 60, flushed: 77}
	if got, err := decodeMark(want.encode()); err != nil || got != want {
		t.Errorf("decodeMark = %+v, %v; want %+v", got, err, want)
	}
}

func TestFailedCommitIsFatal(t *testing.T) {
	t.Parallel()
	fatal := make(chan error, 1)
	s, err := OpenState(t.TempDir(), StateOptions{
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { fatal <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil { // Badger refuses what comes now
		t.Fatal(err)
	}
	err = s.Write([]engine.Write{engine.PutDropped{Batch: 1}}, func() { t.Error("done called") })
	if err != nil {
		t.Fatal(err)
	}
	if err := <-fatal; !errors.Is(err, badger.ErrBlockedWrites) {
		t.Errorf("fatal(%v), want %v", err, badger.ErrBlockedWrites)
	}
	if err := s.Write(nil, nil); engine.ErrorCode(err) != engine.CodeUnavailable {
		t.Errorf("Write = %v, want unavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
