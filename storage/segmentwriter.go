package storage

import (
	"fmt"
	"os"
	"time"
)

// segmentWriter writes the active segment. It is used by one goroutine.
type segmentWriter struct {
	file    *os.File
	segment *segment
	offset  int64       // behind the last frame
	age     *time.Timer // set with the first record
}

// newSegmentWriter makes the file of the journal's next segment durable, name included. It
// replaces a file of the same name, which can only be one without records.
func (j *Journal) newSegmentWriter(first uint64, floor int64) (*segmentWriter, error) {
	path := segmentPath(j.dir, first)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a path in the operator's folder
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	header := segmentHeader{journal: j.id, first: first, created: time.Now(), floor: floor, copied: j.replica}
	if _, err = file.WriteAt(header.encode(), 0); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = syncFolder(j.dir)
	}
	if err != nil {
		_ = file.Close() // the first error is the one that counts
		return nil, fmt.Errorf("create segment: %w", err)
	}
	s := &segment{first: first, path: path, summary: emptySummary(first, floor), end: headerBytes}
	return &segmentWriter{file: file, segment: s, offset: headerBytes}, nil
}

func (w *segmentWriter) empty() bool { return w.offset == headerBytes }

// full tells whether n bytes more belong into the next segment.
func (w *segmentWriter) full(n int, size int64) bool {
	return !w.empty() && w.offset+int64(n)+footerBytes > size
}

// aged gives when the segment is too old; nil, which blocks for ever, while it is empty.
func (w *segmentWriter) aged() <-chan time.Time {
	if w.age == nil {
		return nil
	}
	return w.age.C
}

// append writes frames behind the last ones and syncs them.
func (w *segmentWriter) append(frames []byte, o JournalOptions) error {
	if w.empty() {
		if err := allocateAhead(w.file, o.SegmentBytes); err != nil {
			return fmt.Errorf("allocate segment: %w", err)
		}
		w.age = time.NewTimer(o.SegmentAge)
	}
	if _, err := w.file.WriteAt(frames, w.offset); err != nil {
		return fmt.Errorf("append to segment: %w", err)
	}
	if err := syncData(w.file); err != nil {
		return fmt.Errorf("sync segment: %w", err)
	}
	w.offset += int64(len(frames))
	return nil
}

// seal cuts off what was allocated ahead, writes the footer and gives the file's size.
func (w *segmentWriter) seal(s summary) (size int64, err error) {
	return sealFile(w.file, s, w.offset)
}

// sealFile seals a file whose frames end at end.
func sealFile(file *os.File, s summary, end int64) (size int64, err error) {
	if err := file.Truncate(end); err != nil {
		return 0, fmt.Errorf("seal segment: %w", err)
	}
	if _, err := file.WriteAt(encodeFooter(s, end), end); err != nil {
		return 0, fmt.Errorf("seal segment: %w", err)
	}
	if err := file.Sync(); err != nil {
		return 0, fmt.Errorf("seal segment: %w", err)
	}
	return end + footerBytes, nil
}

// close gives up the file; everything that counts was synced before.
func (w *segmentWriter) close() {
	if w.age != nil {
		w.age.Stop()
	}
	_ = w.file.Close()
}
