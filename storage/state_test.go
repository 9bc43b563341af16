package storage_test

import (
	"log/slog"
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

func openState(t *testing.T, dir string, options storage.StateOptions) *storage.State {
	t.Helper()
	options.Logger = slog.New(slog.DiscardHandler)
	if options.Fatal == nil {
		options.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	state, err := storage.OpenState(dir, options)
	if err != nil {
		t.Fatalf("OpenState: %v", err)
	}
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return state
}

func TestState(t *testing.T) {
	t.Parallel()
	storagetest.State(t, func(t *testing.T, clock engine.Clock) engine.State {
		t.Helper()
		return openState(t, t.TempDir(), storage.StateOptions{Clock: clock})
	})
}

func TestMemoryState(t *testing.T) {
	t.Parallel()
	storagetest.State(t, func(_ *testing.T, clock engine.Clock) engine.State {
		return storage.NewMemoryState(clock)
	})
}
