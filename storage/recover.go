package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pannier/engine"
)

// OpenJournal opens the journal in dir, which it makes when it is missing. Only the newest
// segment is read, and only after a crash, so that the time does not grow with the
// journal; damage in older ones is found when they are read.
//
// Errors: dir holds another journal's segments or another format version; the disk failed.
// Close the journal to end its goroutine.
func OpenJournal(dir string, id engine.JournalID, o JournalOptions) (*Journal, error) {
	j := newJournal(dir, id, o)
	if err := j.open(1); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	return j, nil
}

// open loads what is in the folder and sets the writer going; a journal that is made begins
// with the sequence first.
func (j *Journal) open(first uint64) error {
	if err := j.load(first); err != nil {
		return err
	}
	go j.write()
	return nil
}

func (j *Journal) load(first uint64) error {
	for _, dir := range []string{filepath.Dir(j.dir), j.dir} {
		if err := makeFolder(dir); err != nil {
			return err
		}
	}
	segments, err := j.listFiles()
	if err != nil {
		return err
	}
	r := recovery{journal: j, last: first - 1}
	for i, first := range segments {
		if i == len(segments)-1 {
			err = r.loadNewest(first)
		} else {
			err = r.load(first, segments[i+1])
		}
		if err != nil {
			return err
		}
	}
	return r.begin()
}

// listFiles gives the first sequences of the segments, in order.
func (j *Journal) listFiles() (segments []uint64, err error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), unfinished) { // a crash cut its making short
			if err := os.Remove(filepath.Join(j.dir, entry.Name())); err != nil {
				return nil, err
			}
			continue
		}
		first, ok := parseSegmentName(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			j.options.Logger.Warn("journal folder holds a foreign file; it is ignored", "file", filepath.Join(j.dir, entry.Name()))
			continue
		}
		segments = append(segments, first)
	}
	slices.Sort(segments)
	return segments, nil
}

// recovery puts the files together in order.
type recovery struct {
	journal *Journal
	last    uint64 // of what was loaded; at first what comes before the journal
	floor   int64  // the latest accept time loaded
	loaded  bool
	// empty is the path of a newest segment without records.
	empty string
	// copied says that a replica wrote the file that was opened last.
	copied bool
}

// load loads a segment that others follow.
func (r *recovery) load(first, next uint64) error {
	path := segmentPath(r.journal.dir, first)
	file, size, err := r.openFile(path, first, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer closeRead(file)
	s := &segment{first: first, path: path, bytes: size}
	s.summary, s.end, err = readFooter(file, size)
	if errors.Is(err, errFooter) {
		s.end = size
		s.summary, err = r.summarise(file, s, next)
	}
	if err != nil {
		return fmt.Errorf("segment %s: %w", path, err)
	}
	if s.last+1 < first || s.last >= next {
		return fmt.Errorf("segment %s: holds sequences up to %d that are not its own", path, s.last)
	}
	r.place(s.first, s.last, s.lastAt)
	r.journal.segments.sealed = append(r.journal.segments.sealed, s)
	return nil
}

// openFile opens a file and checks its header. A damaged header is reported and no more:
// the name says the first sequence, and every frame that it is of this journal.
func (r *recovery) openFile(path string, first uint64, flag int) (*os.File, int64, error) {
	file, err := os.OpenFile(path, flag, 0) //nolint:gosec // a path in the operator's folder
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	r.copied = r.journal.replica // as long as the header does not say
	if err == nil {
		var h segmentHeader
		h, err = readHeader(file, r.journal.id)
		switch {
		case errors.Is(err, errHeader):
			r.journal.options.Logger.Error("journal segment has a damaged header", "file", path)
			err = nil
		case err == nil && h.first != first:
			err = fmt.Errorf("holds sequences from %d, not those of its name", h.first)
		case err == nil:
			r.floor, r.copied = max(r.floor, h.floor), h.copied
		}
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("segment %s: %w", path, err), file.Close())
	}
	return file, info.Size(), nil
}

// summarise reads a segment that lost its footer; whatever is missing before next is
// damage.
func (r *recovery) summarise(file *os.File, s *segment, next uint64) (summary, error) {
	last := next - 1
	if next == 0 {
		last = s.first + unsigned(s.end/minFrameBytes)
	}
	sc := newScanner(file, r.journal.seed, headerBytes, s.end, s.first, last)
	defer sc.release()
	sc.lost = func(from, through uint64, _ int64) { r.journal.lose(from, through) }
	sum := emptySummary(s.first, math.MinInt64)
	for {
		f, ok, err := sc.scan()
		if err != nil {
			return summary{}, err
		}
		if !ok {
			break
		}
		r.count(&sum, f)
	}
	if next > 0 && sum.last < last {
		r.journal.lose(sum.last+1, last)
		sum.last = last
	}
	return sum, nil
}

// count counts a frame in; one whose record cannot be read is damage.
func (r *recovery) count(sum *summary, f frame) {
	record, err := decodeRecord(f.payload(), engine.EventRef{Journal: r.journal.id, Sequence: f.sequence})
	if err != nil {
		r.journal.lose(f.sequence, f.sequence)
		sum.last = f.sequence
		return
	}
	sum.add(f.sequence, acceptedMilli(record), record.Event)
}

// loadNewest loads the segment that was written last, cuts a torn tail and seals it.
func (r *recovery) loadNewest(first uint64) error {
	path := segmentPath(r.journal.dir, first)
	file, size, err := r.openFile(path, first, os.O_RDWR)
	if err != nil {
		return err
	}
	defer closeRead(file)
	s := &segment{first: first, path: path, bytes: size}
	s.summary, s.end, err = readFooter(file, size)
	if errors.Is(err, errFooter) {
		err = r.recoverTail(file, s)
	}
	if err != nil {
		return fmt.Errorf("segment %s: %w", path, err)
	}
	r.place(first, s.last, s.lastAt)
	if s.last < first {
		r.empty = path
		return nil
	}
	r.journal.segments.sealed = append(r.journal.segments.sealed, s)
	return nil
}

// place puts a file behind those loaded before; what is missing between is damage.
func (r *recovery) place(first, last uint64, lastAt int64) {
	if r.loaded && first > r.last+1 {
		r.journal.lose(r.last+1, first-1)
	}
	r.loaded, r.last, r.floor = true, last, max(r.floor, lastAt)
}

// begin makes the active segment and sets the sequences going.
func (r *recovery) begin() error {
	j := r.journal
	if hint := j.options.SyncedHint; hint > r.last {
		j.lose(r.last+1, hint)
		r.last = hint
	}
	w, err := j.newSegmentWriter(r.last+1, r.floor)
	if err != nil {
		return err
	}
	if r.empty != "" && r.empty != w.segment.path {
		if err := os.Remove(r.empty); err != nil {
			return errors.Join(err, w.file.Close())
		}
	}
	j.writer, j.segments.active = w, w.segment
	j.next, j.lastAt = r.last+1, r.floor
	j.segments.synced.Store(r.last)
	return nil
}
