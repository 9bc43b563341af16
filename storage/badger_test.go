package storage

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pannier/engine"
)

// A kill between two calls of Badger leaves log files without a byte. They must neither
// keep a member from starting nor cost the history.
func TestEmptyLogsOfAKill(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file string }{
		{"a value log being removed", "000001.vlog"},
		{"a value log being made", "000099.vlog"},
		{"a log of a memory table being removed", "00001.mem"},
		{"a log of a memory table being made", "00099.mem"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir, false)
			commitRecords(t, s, 0, 10)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			empty(t, filepath.Join(dir, "badger", tt.file))
			if got := countRecords(t, mustOpen(t, dir, false)); got != 10 {
				t.Errorf("state: %d records, want 10", got)
			}
			historyKeeps(t, tt.file)
		})
	}
}

func historyKeeps(t *testing.T, file string) {
	t.Helper()
	dir := t.TempDir()
	var log bytes.Buffer
	options := HistoryOptions{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	attempt := engine.Attempt{Subscription: "sub_a", Key: engine.DeliveryKey{AcceptedMilli: 1}, Number: 1, StartedAt: time.Now()}
	h, err := OpenHistory(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	h.Record(attempt)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	empty(t, filepath.Join(dir, file))
	if h, err = OpenHistory(dir, options); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	found, err := h.Attempts(t.Context(), attempt.Subscription, attempt.Key)
	if err != nil || len(found) != 1 {
		t.Errorf("history: %d attempts, %v; want the one; %s", len(found), err, log.String())
	}
}

// empty makes an empty file, unless a log with content has that name.
func empty(t *testing.T, path string) {
	t.Helper()
	if info, err := os.Stat(path); err == nil && info.Size() > 20 {
		path = filepath.Join(filepath.Dir(path), "000098"+filepath.Ext(path))
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
