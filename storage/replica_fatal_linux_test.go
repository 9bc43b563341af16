package storage_test

import (
	"strings"
	"testing"

	"pannier/engine"
	"pannier/storage"
)

func TestFailedWriteOfAReplicaAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	frames, starts := source(t)
	for with, want := range map[string]string{"/dev/null": "sync segment", "/dev/full": "append to segment"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fatal := make(chan error, 2)
			r := openReplica(t, dir, 1, storage.JournalOptions{Fatal: func(err error) { fatal <- err }})
			synced := make(chan struct{})
			if err := r.AppendFrames(1, frames[:starts[3]], func() { close(synced) }); err != nil {
				t.Fatal(err)
			}
			<-synced
			breakFile(t, dir, with)
			never := func() { t.Error("done was called after the failure") }
			if err := r.AppendFrames(4, frames[starts[3]:starts[4]], never); err != nil {
				t.Fatal(err)
			}
			if err := <-fatal; !strings.Contains(err.Error(), want) {
				t.Errorf("fatal(%v), want %q", err, want)
			}
			if err := r.AppendFrames(5, frames[starts[4]:], never); engine.ErrorCode(err) != engine.CodeUnavailable {
				t.Errorf("AppendFrames = %v, want unavailable", err)
			}
			if r.Synced() != 3 || r.Close() == nil || len(fatal) > 0 {
				t.Errorf("synced %d, want 3; Close must fail, fatal be called once", r.Synced())
			}
		})
	}
}
