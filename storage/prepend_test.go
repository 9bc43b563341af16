package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
)

// readable lists the sequences that a copy has.
func readable(t *testing.T, c *storage.Copies) (sequences []uint64) {
	t.Helper()
	journal, err := c.Journal(copyOf.Journal)
	if err != nil {
		t.Fatal(err)
	}
	_, err = journal.Read(1, 1000, func(sequence uint64, _ engine.Record) bool {
		sequences = append(sequences, sequence)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return sequences
}

// TestCopyReachesBack: what is in front of a copy is put there part by part, from the newest to the
// oldest, while it goes on at its end; an opening in between loses nothing.
func TestCopyReachesBack(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 700, 1 << 20} {
		j, _ := keeper(t, 40)
		dir := filepath.Join(t.TempDir(), "copies")
		c := openCopies(t, dir)
		if err := c.Begin(copyOf, 31); err != nil {
			t.Fatal(err)
		}
		frames, next, err := j.ReadFrames(31, 700)
		if err != nil {
			t.Fatal(err)
		}
		appendCopy(t, c, 31, frames)
		parts := 0
		for before := uint64(31); before > 1; parts++ {
			first, frames, err := j.ReadFramesBefore(before, limit)
			if err != nil || first >= before || len(frames) == 0 || (limit > 1 && len(frames) > limit) {
				t.Fatalf("before %d: %d bytes from %d, %v", before, len(frames), first, err)
			}
			if err := c.Prepend(copyOf.Journal, first, before, frames); err != nil {
				t.Fatal(err)
			}
			before = first
			if parts == 1 {
				leftOver := filepath.Join(dir, "000000000000004d", "journal", "0000000000000001.seg.new")
				if err := os.WriteFile(leftOver, []byte("torn"), 0o600); err != nil {
					t.Fatal(err)
				}
				closeCopies(t, c)
				if c = openCopies(t, dir); c.List()[0].Begun != first {
					t.Errorf("opened again it was begun at %d, want %d", c.List()[0].Begun, first)
				}
				if _, err := os.Stat(leftOver); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("what a crash left of a part is still there: %v", err)
				}
			}
		}
		if first, frames, err := j.ReadFramesBefore(1, limit); first != 1 || len(frames) != 0 || err != nil {
			t.Errorf("before the first record there are %d bytes from %d, %v", len(frames), first, err)
		}
		rest, _, err := j.ReadFrames(next, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		appendCopy(t, c, next, rest)
		var want []uint64
		for sequence := range uint64(40) {
			want = append(want, sequence+1)
		}
		for range 2 {
			if got := readable(t, c); !slices.Equal(got, want) {
				t.Errorf("%d bytes a part: %v can be read, want all 40", limit, got)
			}
			if described := c.List()[0]; described.Begun != 1 || described.First != 1 || described.Next != 41 {
				t.Errorf("%d bytes a part: it is described as %+v", limit, described)
			}
			closeCopies(t, c)
			c = openCopies(t, dir)
		}
		closeCopies(t, c)
	}
}

// TestPrependIsRefused where the frames do not end where the copy begins, or are too many.
func TestPrependIsRefused(t *testing.T) {
	t.Parallel()
	j, _ := keeper(t, 20)
	c := openCopies(t, filepath.Join(t.TempDir(), "copies"))
	defer closeCopies(t, c)
	if err := c.Prepend(copyOf.Journal, 1, 11, nil); engine.ErrorCode(err) != engine.CodeNotFound {
		t.Errorf("without a copy: %v, want not_found", err)
	}
	if err := c.Begin(copyOf, 11); err != nil {
		t.Fatal(err)
	}
	first, frames, err := j.ReadFramesBefore(12, 300)
	if err != nil {
		t.Fatal(err)
	}
	gap := (*storage.GapError)(nil)
	if err := c.Prepend(copyOf.Journal, first, 11, frames); !errors.As(err, &gap) {
		t.Errorf("frames that end behind the beginning: %v, want a gap", err)
	}
	if err := c.Prepend(copyOf.Journal, 1, 10, nil); !errors.As(err, &gap) {
		t.Errorf("for a copy that was begun elsewhere: %v, want a gap", err)
	}
	if err := c.Prepend(copyOf.Journal, 1, 11, make([]byte, storage.MaxAppendFrames+1)); engine.ErrorCode(err) != engine.CodeTooLarge {
		t.Errorf("too many frames: %v, want too_large", err)
	}
	if err := c.Prepend(copyOf.Journal, 1, 11, []byte("no frames at all")); err == nil {
		t.Error("what are no frames was taken")
	}
	if got := c.List()[0]; got.Begun != 11 || got.First != 11 {
		t.Errorf("after that it is described as %+v", got)
	}
}

// TestWhatLeftTheRetentionIsNotPutBack: the copy was trimmed while its front was filled. It reaches
// back as far as the retention lets it.
func TestWhatLeftTheRetentionIsNotPutBack(t *testing.T) {
	t.Parallel()
	j, _ := keeper(t, 20)
	c := openCopies(t, filepath.Join(t.TempDir(), "copies"))
	defer closeCopies(t, c)
	if err := c.Begin(copyOf, 16); err != nil {
		t.Fatal(err)
	}
	frames, _, err := j.ReadFrames(16, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	appendCopy(t, c, 16, frames)
	part := func(before uint64) uint64 {
		t.Helper()
		first, frames, err := j.ReadFramesBefore(before, 300)
		if err == nil {
			err = c.Prepend(copyOf.Journal, first, before, frames)
		}
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	first := part(16)
	if err := c.SaveAccount(copyOf.Journal, 21, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Trim(time.Now(), func(string) time.Duration { return 0 }, nil); err != nil {
		t.Fatal(err)
	}
	first = part(first)
	if got := c.List()[0]; got.Begun != first || got.First != 16 {
		t.Errorf("it is described as %+v, want it begun at %d and to hold from 16 on", got, first)
	}
}

// TestCopyIsNotedToReachBack where nothing older is retained.
func TestCopyIsNotedToReachBack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "copies")
	c := openCopies(t, dir)
	if err := c.Begin(copyOf, 11); err != nil {
		t.Fatal(err)
	}
	if err := c.Prepend(copyOf.Journal, 1, 11, nil); err != nil {
		t.Fatal(err)
	}
	closeCopies(t, c)
	c = openCopies(t, dir)
	defer closeCopies(t, c)
	if got := c.List()[0]; got.Begun != 1 || got.First != 11 {
		t.Errorf("it is described as %+v, want it begun at 1 and to hold from 11 on", got)
	}
}
