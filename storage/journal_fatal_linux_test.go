package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// breakFile puts another file behind the open descriptor of the newest segment in dir, as
// a disk that fails would look. Into /dev/null everything can be written and nothing can be
// synced; into /dev/full nothing can be written.
func breakFile(t *testing.T, dir, with string) {
	t.Helper()
	other, err := os.OpenFile(with, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range open {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name()))
		if err != nil || filepath.Dir(target) != dir {
			continue
		}
		fd, err := strconv.Atoi(entry.Name())
		if err == nil {
			err = syscall.Dup3(int(other.Fd()), fd, syscall.O_CLOEXEC)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no file of %s is open", dir)
}

func TestFailedWriteAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	for with, want := range map[string]string{"/dev/null": "sync segment", "/dev/full": "append to segment"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fatal := make(chan error, 2)
			j := openJournal(t, dir, storage.JournalOptions{Fatal: func(err error) { fatal <- err }})
			storagetest.AppendEvents(t, j, 1, 3)
			breakFile(t, dir, with)
			never := func() { t.Error("done was called after the failure") }
			if _, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(4)}}, never); err != nil {
				t.Fatal(err)
			}
			if err := <-fatal; !strings.Contains(err.Error(), want) {
				t.Errorf("fatal(%v), want %q", err, want)
			}
			if _, err := j.Append([]engine.Record{{Event: storagetest.JournalEvent(5)}}, never); engine.ErrorCode(err) != engine.CodeUnavailable {
				t.Errorf("Append = %v, want unavailable", err)
			}
			if j.Synced() != 3 {
				t.Errorf("Synced: got %d, want 3", j.Synced())
			}
			if err := j.Close(); err == nil {
				t.Error("Close reports nothing")
			}
			if len(fatal) > 0 {
				t.Error("fatal was called twice")
			}
		})
	}
}

const journalOfChild = "PANNIER_TEST_JOURNAL"

// TestFailedSyncEndsTheProcess runs itself a second time as the process that ends.
func TestFailedSyncEndsTheProcess(t *testing.T) {
	if dir := os.Getenv(journalOfChild); dir != "" {
		failSync(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFailedSyncEndsTheProcess$")
	child.Env = append(os.Environ(), journalOfChild+"="+dir)
	var out, log bytes.Buffer
	child.Stdout, child.Stderr = &out, &log
	var exit *exec.ExitError
	if err := child.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the process ended with %v, want exit status 1\n%s%s", err, &out, &log)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "journal failed; the process ends") || !strings.Contains(last, "sync segment") {
		t.Errorf("the last line is %q, want one that says why", last)
	}
	if got := strings.TrimSpace(out.String()); got != "synced 3" {
		t.Errorf("the process said %q, want that 3 are synced and no more", got)
	}
	j := openJournal(t, dir, storage.JournalOptions{Logger: quiet()})
	wantRecords(t, j, upTo(3))
}

// failSync is the other process: three events are synced, the fourth cannot be.
func failSync(t *testing.T, dir string) {
	t.Helper()
	j, err := storage.OpenJournal(dir, testJournalID, storage.JournalOptions{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	storagetest.AppendEvents(t, j, 1, 3)
	fmt.Fprintln(os.Stdout, "synced", j.Synced())
	breakFile(t, dir, "/dev/null")
	storagetest.AppendEvents(t, j, 4, 4) // waits for ever, or until the process ends
	fmt.Fprintln(os.Stdout, "synced", j.Synced())
}
