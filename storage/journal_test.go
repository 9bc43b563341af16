package storage_test

import (
	"testing"

	"pannier/engine"
	"pannier/storage"
	"pannier/storage/storagetest"
)

// suiteSegmentBytes makes segments of the suite's size.
const suiteSegmentBytes = storagetest.JournalSegmentRecords * (storagetest.JournalBodyBytes + 150)

func TestJournal(t *testing.T) {
	t.Parallel()
	storagetest.Journal(t, func(t *testing.T) engine.Journal {
		t.Helper()
		return openJournal(t, t.TempDir(), storage.JournalOptions{SegmentBytes: suiteSegmentBytes})
	})
}

func TestMemoryJournal(t *testing.T) {
	t.Parallel()
	storagetest.Journal(t, func(t *testing.T) engine.Journal {
		t.Helper()
		j := storage.NewMemoryJournal(testJournalID)
		j.SegmentRecords = storagetest.JournalSegmentRecords
		t.Cleanup(func() { _ = j.Close() })
		return j
	})
}
