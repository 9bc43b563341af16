package storage_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// keeper is a journal with n events, and its frames.
func keeper(t *testing.T, n int) (*storage.Journal, []byte) {
	t.Helper()
	j, err := storage.OpenJournal(filepath.Join(t.TempDir(), "journal"), 77, storage.JournalOptions{SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	for range n {
		done := make(chan struct{})
		event := &engine.Event{Topic: "trip.created", Data: []byte(`{"at":1}`), AcceptedAt: time.Now(), Timestamp: time.Now()}
		if _, err := j.Append([]engine.Record{{Event: event}}, func() { close(done) }); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	frames, next, err := j.ReadFrames(1, 1<<20)
	if err != nil || next != uint64(n)+1 {
		t.Fatalf("read %d frames, %v", next-1, err)
	}
	return j, frames
}

func openCopies(t *testing.T, dir string) *storage.Copies {
	t.Helper()
	c, err := storage.OpenCopies(dir, storage.JournalOptions{SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeCopies(t *testing.T, c *storage.Copies) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

var copyOf = storage.CopyOf{Journal: 77, Origin: "mem_a", Boot: 5, Lane: "positions"}

// TestCopiesAreThereAfterAnOpening: a copy, whose it is and the keeper's account of it.
func TestCopiesAreThereAfterAnOpening(t *testing.T) {
	t.Parallel()
	_, frames := keeper(t, 20)
	dir := filepath.Join(t.TempDir(), "copies")
	c := openCopies(t, dir)
	if err := c.Begin(copyOf, 1); err != nil {
		t.Fatal(err)
	}
	appendCopy(t, c, 1, frames)
	account := storage.EncodeAccount(engine.Watermark{Journal: 77, Sequence: 7}, nil)
	if err := c.SaveAccount(copyOf.Journal, 7, account); err != nil {
		t.Fatal(err)
	}
	closeCopies(t, c)

	c = openCopies(t, dir)
	want := []storage.Copy{{CopyOf: copyOf, Begun: 1, First: 1, Next: 21, Release: 7, Account: account}}
	if got := c.List(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := c.Drop(copyOf.Journal); err != nil {
		t.Fatal(err)
	}
	if err := c.Drop(copyOf.Journal); err != nil {
		t.Errorf("a copy that is not there: %v", err)
	}
	if err := c.SaveAccount(copyOf.Journal, 8, account); err != nil {
		t.Errorf("the account of a copy that is not there: %v", err)
	}
	closeCopies(t, c)
	c = openCopies(t, dir)
	if got := c.List(); len(got) != 0 {
		t.Errorf("a dropped copy came back: %+v", got)
	}
	closeCopies(t, c)
}

// TestTornAccountIsNone: everything is handed out again then, and nothing is missed.
func TestTornAccountIsNone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "copies")
	c := openCopies(t, dir)
	if err := c.Begin(copyOf, 3); err != nil {
		t.Fatal(err)
	}
	if err := c.SaveAccount(copyOf.Journal, 9, []byte("account")); err != nil {
		t.Fatal(err)
	}
	closeCopies(t, c)
	path := filepath.Join(dir, "000000000000004d", "account")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	c = openCopies(t, dir)
	defer closeCopies(t, c)
	if got := c.List()[0]; got.Release != 3 || got.Begun != 3 || got.Account != nil {
		t.Errorf("got %+v, want nothing but the beginning of the copy", got)
	}
}

// TestCopyWhoseMakingWasCutShortIsGone: it holds nothing that anybody was told of.
func TestCopyWhoseMakingWasCutShortIsGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "copies")
	folder := filepath.Join(dir, "000000000000004d")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "of"), []byte("000000000000004d mem_a 5 shared 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := openCopies(t, dir)
	defer closeCopies(t, c)
	if _, err := os.Stat(folder); !os.IsNotExist(err) || len(c.List()) != 0 {
		t.Errorf("the folder is still there: %v, %v", err, c.List())
	}
}

// TestRetiredJournalIsACopy: a journal of an earlier life is moved, read as before and gone on
// from its account.
func TestRetiredJournalIsACopy(t *testing.T) {
	t.Parallel()
	lane := filepath.Join(t.TempDir(), "shared")
	j, err := storage.OpenJournal(lane, 77, storage.JournalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	event := &engine.Event{Topic: "trip.created", Data: []byte(`1`), AcceptedAt: time.Now(), Timestamp: time.Now()}
	if _, err := j.Append([]engine.Record{{Event: event}}, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c := openCopies(t, filepath.Join(t.TempDir(), "copies"))
	defer closeCopies(t, c)
	if err := c.Retire(lane, copyOf, 1, []byte("account")); err != nil {
		t.Fatal(err)
	}
	copied, err := c.Journal(77)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := copied.Get(1); err != nil || got.Event.ID != event.ID {
		t.Errorf("the event is %+v, %v", got.Event, err)
	}
	if _, err := os.Stat(lane); !os.IsNotExist(err) {
		t.Errorf("the lane's folder is still there: %v", err)
	}
	if got := c.List()[0]; string(got.Account) != "account" || got.Release != 1 || got.Next != 2 {
		t.Errorf("got %+v", got)
	}
}

// TestTrimKeepsWhatIsNeeded: only segments that are old and discharged leave a copy, and none of
// one that somebody keeps.
func TestTrimKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	j, _ := keeper(t, 200)
	c := openCopies(t, filepath.Join(t.TempDir(), "copies"))
	defer closeCopies(t, c)
	if err := c.Begin(copyOf, 1); err != nil {
		t.Fatal(err)
	}
	for at := uint64(1); at <= 200; { // segments end between groups: many small ones
		frames, next, err := j.ReadFrames(at, 2<<10)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		if err := c.Append(copyOf.Journal, at, frames, func() { close(done) }); err != nil {
			t.Fatal(err)
		}
		<-done
		at = next
	}
	hour := func(string) time.Duration { return time.Hour }
	first := func() uint64 { return c.List()[0].First }
	trim := func(release uint64, after time.Duration, but map[engine.JournalID]bool) uint64 {
		t.Helper()
		if err := c.SaveAccount(copyOf.Journal, release, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Trim(time.Now().Add(after), hour, but); err != nil {
			t.Fatal(err)
		}
		return first()
	}
	if got := trim(1, 2*time.Hour, nil); got != 1 {
		t.Errorf("what is not discharged was trimmed to %d", got)
	}
	if got := trim(201, time.Minute, nil); got != 1 {
		t.Errorf("what is not old was trimmed to %d", got)
	}
	if got := trim(201, 2*time.Hour, map[engine.JournalID]bool{77: true}); got != 1 {
		t.Errorf("what somebody keeps was trimmed to %d", got)
	}
	if got := trim(201, 2*time.Hour, nil); got == 1 {
		t.Error("what is old and discharged was not trimmed")
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	mark := engine.Watermark{
		Journal: 9, Sequence: 5, Routed: 8, Synced: 8, OpenThrough: 8, Released: []uint64{3},
		Open: []engine.OpenPairs{{Subscription: "sub_1", Sequences: []uint64{5, 7}}},
	}
	cursors := []engine.Cursor{
		{Subscription: "sub_2", Journal: 9, Ranges: []engine.Range{{From: 2, Through: 4}, {From: 6}}, Waiting: 5},
		{Subscription: "sub_3", Journal: 9, Ranges: []engine.Range{{From: 8}}},
	}
	b := storage.EncodeAccount(mark, cursors)
	gotMark, gotCursors, err := storage.DecodeAccount(b)
	if err != nil || !reflect.DeepEqual(gotMark, mark) || !reflect.DeepEqual(gotCursors, cursors) {
		t.Errorf("got %+v %+v %v", gotMark, gotCursors, err)
	}
	for n := range b {
		if _, _, err := storage.DecodeAccount(b[:n]); err == nil {
			t.Errorf("the first %d bytes pass for an account", n)
		}
	}
}

// FuzzAccount: accounts come from other members.
func FuzzAccount(f *testing.F) {
	f.Add(storage.EncodeAccount(engine.Watermark{Journal: 9, Sequence: 5}, []engine.Cursor{{Subscription: "sub_2", Journal: 9}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		mark, cursors, err := storage.DecodeAccount(b)
		if err != nil {
			return
		}
		if again := storage.EncodeAccount(mark, cursors); string(again) != string(b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

// appendCopy appends frames that begin with a sequence and waits for their sync.
func appendCopy(t *testing.T, c *storage.Copies, first uint64, frames []byte) {
	t.Helper()
	done := make(chan struct{})
	if err := c.Append(copyOf.Journal, first, frames, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

// TestCopyGoesOnBehindWhatIsLost: its keeper could not read sequences 6 to 10. What lies around
// them is there, after an opening too, and they are known to be lost.
func TestCopyGoesOnBehindWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, before := range []uint64{0, 5} { // records in front of what is lost
		j, _ := keeper(t, 20)
		dir := filepath.Join(t.TempDir(), "copies")
		c := openCopies(t, dir)
		if err := c.Begin(copyOf, 6-before); err != nil {
			t.Fatal(err)
		}
		if before > 0 {
			frames, _, err := j.ReadFrames(1, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			appendCopy(t, c, 1, frames[:len(frames)/4])
		}
		done := make(chan struct{})
		if err := c.Skip(copyOf.Journal, 6, 11, func() { close(done) }); err != nil {
			t.Fatal(err)
		}
		<-done
		rest, next, err := j.ReadFrames(11, 1<<20)
		if err != nil || next != 21 {
			t.Fatal(next, err)
		}
		appendCopy(t, c, 11, rest)
		for _, opened := range []string{"as it is", "opened again"} {
			journal, err := c.Journal(copyOf.Journal)
			if err != nil {
				t.Fatal(err)
			}
			var got, want []uint64
			for at := uint64(6) - before; at < 21; at++ {
				if at < 6 || at > 10 {
					want = append(want, at)
				}
				if found, err := journal.Get(at); err == nil && found.Event != nil {
					got = append(got, at)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, with %d before: %v can be read, want %v", opened, before, got, want)
			}
			if lost := journal.Damage(); !slices.Equal(lost, []engine.Range{{From: 6, Through: 10}}) {
				t.Errorf("%s, with %d before: %v is known to be lost", opened, before, lost)
			}
			if damage, err := c.Examine(t.Context(), copyOf.Journal, 6-before); damage != 10 || err != nil {
				t.Errorf("%s, with %d before: examined, it is damaged at %d, %v; want 10", opened, before, damage, err)
			}
			if damage, err := c.Examine(t.Context(), copyOf.Journal, 11); damage != 0 || err != nil {
				t.Errorf("%s, with %d before: examined behind it, it is damaged at %d, %v", opened, before, damage, err)
			}
			closeCopies(t, c)
			c = openCopies(t, dir)
		}
		closeCopies(t, c)
	}
}

// TestSkipIsRefused where the copy does not end there.
func TestSkipIsRefused(t *testing.T) {
	t.Parallel()
	c := openCopies(t, filepath.Join(t.TempDir(), "copies"))
	defer closeCopies(t, c)
	if err := c.Skip(copyOf.Journal, 1, 2, func() {}); engine.ErrorCode(err) != engine.CodeNotFound {
		t.Errorf("without a copy: %v, want not_found", err)
	}
	if err := c.Begin(copyOf, 6); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ first, next uint64 }{{5, 9}, {7, 9}, {6, 6}} {
		gap := (*storage.GapError)(nil)
		if err := c.Skip(copyOf.Journal, tt.first, tt.next, func() {}); !errors.As(err, &gap) || gap.Want != 6 {
			t.Errorf("from %d to %d: %v, want a gap", tt.first, tt.next, err)
		}
	}
}

// TestExamineFindsWhatTheDiskLost: one record of a copy that was closed well is spoiled.
func TestExamineFindsWhatTheDiskLost(t *testing.T) {
	t.Parallel()
	_, frames := keeper(t, 20)
	dir := filepath.Join(t.TempDir(), "copies")
	c := openCopies(t, dir)
	if err := c.Begin(copyOf, 1); err != nil {
		t.Fatal(err)
	}
	appendCopy(t, c, 1, frames)
	closeCopies(t, c)
	segments, err := filepath.Glob(filepath.Join(dir, "000000000000004d", "journal", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	content, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(content, []byte(`{"at":1}`))
	content[at]++
	if err := os.WriteFile(segments[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	c = openCopies(t, dir)
	defer closeCopies(t, c)
	if damage, err := c.Examine(t.Context(), copyOf.Journal, 1); damage != 20 || err != nil {
		t.Errorf("damaged at %d, %v; want 20", damage, err)
	}
}
