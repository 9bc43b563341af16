package storage_test

import (
	"log/slog"
	"testing"

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
