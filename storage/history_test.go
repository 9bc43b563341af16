package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

func openHistory(t *testing.T, dir string, options storage.HistoryOptions) *storage.History {
	t.Helper()
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	history, err := storage.OpenHistory(dir, options)
	if err != nil {
		t.Fatalf("OpenHistory: %v", err)
	}
	t.Cleanup(func() {
		if err := history.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return history
}

func TestHistory(t *testing.T) {
	t.Parallel()
	storagetest.History(t, func(t *testing.T) engine.History {
		t.Helper()
		return openHistory(t, t.TempDir(), storage.HistoryOptions{})
	})
}

func TestMemoryHistory(t *testing.T) {
	t.Parallel()
	storagetest.History(t, func(*testing.T) engine.History { return storage.NewMemoryHistory() })
}

func attempt(number int) engine.Attempt {
	return engine.Attempt{
		Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: 1}, Number: number,
		StartedAt: time.UnixMilli(int64(number)).UTC(), Outcome: engine.OutcomeFailure,
	}
}

func listAttempts(t *testing.T, history engine.History) []engine.Attempt {
	t.Helper()
	got, err := history.Attempts(t.Context(), "sub_a", engine.DeliveryKey{AcceptedMilli: 1})
	if err != nil {
		t.Fatalf("Attempts: %v", err)
	}
	return got
}

func TestHistoryIsWrittenByClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	history := openHistory(t, dir, storage.HistoryOptions{})
	history.Record(attempt(1), attempt(2))
	if err := history.Close(); err != nil {
		t.Fatal(err)
	}
	if got := listAttempts(t, openHistory(t, dir, storage.HistoryOptions{})); len(got) != 2 {
		t.Errorf("%d attempts after Close, want 2", len(got))
	}
}

func TestHistoryDropsPastItsBuffer(t *testing.T) {
	t.Parallel()
	history := openHistory(t, t.TempDir(), storage.HistoryOptions{})
	attempts := make([]engine.Attempt, storage.HistoryBuffer+1)
	for i := range attempts {
		attempts[i] = attempt(i)
	}
	history.Record(attempts...)
	if got := history.Dropped(); got != 1 {
		t.Errorf("%d attempts were dropped, want 1", got)
	}
	if got := len(listAttempts(t, history)); got != storage.MaxAttemptsListed {
		t.Errorf("%d attempts are listed, want the bound of %d", got, storage.MaxAttemptsListed)
	}
	if err := history.Close(); err != nil {
		t.Fatal(err)
	}
	history.Record(attempt(1), attempt(2))
	if got := history.Dropped(); got != 3 {
		t.Errorf("%d attempts were dropped, want 3", got)
	}
}

func TestMemoryHistoryDropsPastItsBound(t *testing.T) {
	t.Parallel()
	history := storage.NewMemoryHistory()
	for i := range storage.MaxMemoryAttempts + 1 {
		a := attempt(1)
		a.Key.Event.Sequence = uint64(i)
		history.Record(a)
	}
	if got := history.Dropped(); got != 1 {
		t.Errorf("%d attempts were dropped, want 1", got)
	}
}

func TestHistoryForgetsAfterItsRetention(t *testing.T) {
	t.Parallel()
	// Badger counts in whole seconds: a retention below one is over at once.
	history := openHistory(t, t.TempDir(), storage.HistoryOptions{Retention: time.Nanosecond})
	history.Record(attempt(1))
	if got := listAttempts(t, history); len(got) != 0 {
		t.Errorf("%d attempts after the retention, want none", len(got))
	}
}

func TestDamagedHistoryBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(dir string) error{
		"a file in the place of the folder": func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("x"), 0o600))
		},
		"manifest": func(dir string) error { return os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("x"), 0o600) },
		"table": func(dir string) error {
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				return fmt.Errorf("tables: %v, %w", tables, err)
			}
			content, err := os.ReadFile(tables[0])
			content[10] ^= 1
			return errors.Join(err, os.WriteFile(tables[0], content, 0o600))
		},
		"empty table": func(dir string) error {
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			return errors.Join(err, os.Truncate(tables[0], 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "history")
			history := openHistory(t, dir, storage.HistoryOptions{})
			history.Record(attempt(1))
			if err := history.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			history = openHistory(t, dir, storage.HistoryOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if !strings.Contains(log.String(), "history is damaged and begins anew") {
				t.Errorf("no warning in %q", log.String())
			}
			history.Record(attempt(2))
			if got := listAttempts(t, history); len(got) != 1 || got[0].Number != 2 {
				t.Errorf("got %+v, want attempt 2 alone", got)
			}
		})
	}
}
