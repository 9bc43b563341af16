package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Badger reads its log up to the first entry that does not check and silently drops what
// comes after: right for a write that a crash cut short, wrong for a flipped bit, which
// takes acknowledged commits with it. The state notices by itself:
//
//   - every commit has the next number, which it writes under one key (prefixCommit);
//   - the mark, a small file of its own, holds the last number that was synced at most
//     markInterval ago: a lower number after opening means that the log lost its end;
//   - versions of that key are only released once they are in tables, so those above
//     mark.flushed must follow each other without a gap: a gap means that a log in the
//     middle lost its end.
//
// What is younger than the mark and at the very end cannot be told from a write cut short.

// ErrStateLoss means that acknowledged commits are missing, or that tables are damaged.
var ErrStateLoss = errors.New("the state has lost data")

// markInterval is how often the mark follows the commits.
const markInterval = time.Second

// commitMark is the content of the mark file.
type commitMark struct {
	memTableBytes uint64
	committed     uint64 // number of a synced commit
	flushed       uint64 // commits up to this one are in tables, their versions released
}

const (
	markMagic = "PANNIER1"
	markBytes = len(markMagic) + 3*8 + crc32.Size
)

var markTable = crc32.MakeTable(crc32.Castagnoli)

func (m commitMark) encode() []byte {
	b := append(make([]byte, 0, markBytes), markMagic...)
	b = binary.BigEndian.AppendUint64(b, m.memTableBytes)
	b = binary.BigEndian.AppendUint64(b, m.committed)
	b = binary.BigEndian.AppendUint64(b, m.flushed)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, markTable))
}

func decodeMark(b []byte) (commitMark, error) {
	if len(b) != markBytes || string(b[:len(markMagic)]) != markMagic ||
		crc32.Checksum(b[:markBytes-crc32.Size], markTable) != binary.BigEndian.Uint32(b[markBytes-crc32.Size:]) {
		return commitMark{}, errors.New("the mark of the state is damaged")
	}
	numbers := b[len(markMagic):]
	return commitMark{
		memTableBytes: max(binary.BigEndian.Uint64(numbers), memTableBytes),
		committed:     binary.BigEndian.Uint64(numbers[8:]),
		flushed:       binary.BigEndian.Uint64(numbers[16:]),
	}, nil
}

// openMark reads the mark, or makes the first one of a new state.
func openMark(path, tables string, options StateOptions) (commitMark, error) {
	first := commitMark{memTableBytes: memTableBytes}
	raw, err := os.ReadFile(path) //nolint:gosec // a path in the operator's folder
	if err == nil {
		var known commitMark
		if known, err = decodeMark(raw); err == nil {
			return known, nil
		}
	}
	missing := errors.Is(err, os.ErrNotExist)
	if missing {
		if _, statErr := os.Stat(tables); errors.Is(statErr, os.ErrNotExist) {
			return first, createMark(path, first)
		}
	}
	if !options.AcceptLoss {
		return commitMark{}, fmt.Errorf("%w: its mark cannot be read, so missing commits would go unnoticed (%w)", ErrStateLoss, err)
	}
	options.Logger.Warn("state opened without its mark", "error", err)
	return first, createMark(path, first)
}

func createMark(path string, m commitMark) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return replaceFile(path, m.encode())
}

// saveMark overwrites the mark in place: it lies in one sector, so it is never torn.
func (s *State) saveMark(m commitMark) error {
	if m == s.mark {
		return nil
	}
	file, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open mark: %w", err)
	}
	_, err = file.WriteAt(m.encode(), 0)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	s.mark = m
	return nil
}

// tick moves the mark until the state closes.
func (s *State) tick() {
	ticker := time.NewTicker(markInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ticksEnd:
			return
		case <-ticker.C:
			if err := s.moveMark(); err != nil {
				s.committer.fail(fmt.Errorf("mark state: %w", err))
				return
			}
		}
	}
}

// moveMark brings the mark up to the last commit and lets Badger drop the versions that
// nobody can ask for any more.
func (s *State) moveMark() error {
	s.marking.Lock()
	defer s.marking.Unlock()
	committed := s.number.Load()
	flushed := uint64(0)
	for _, table := range s.db.Tables() {
		flushed = max(flushed, table.MaxVersion)
	}
	flushed = max(min(flushed, committed), s.mark.flushed)
	if err := s.saveMark(commitMark{memTableBytes: s.mark.memTableBytes, committed: committed, flushed: flushed}); err != nil {
		return err
	}
	// A read under way may be older: then the next tick does it.
	if s.reading.TryLock() {
		s.db.SetDiscardTs(flushed)
		s.reading.Unlock()
	}
	return nil
}

// check compares what Badger opened with the mark and sets the number of the last commit.
func (s *State) check() error {
	last, missing, err := s.countMissing()
	if err != nil {
		return err
	}
	damage := verifyTables(s.db)
	s.number.Store(last)
	if missing == 0 && damage == nil {
		s.db.SetDiscardTs(s.mark.flushed)
		return nil
	}
	if !s.options.AcceptLoss {
		return fmt.Errorf("%w: %d of its commits are missing, damaged tables: %v; "+
			"the journals and the history of attempts are not affected; "+
			"put back a copy of the folder, or accept the loss once", ErrStateLoss, missing, damage)
	}
	s.options.Logger.Warn("loss of the state accepted", "missing_commits", missing, "damage", damage)
	// From here on the numbers are without gaps again.
	s.number.Store(max(last, s.mark.committed, s.db.MaxVersion()))
	accepted := s.number.Load()
	if err := s.commit(nil); err != nil {
		return err
	}
	return s.saveMark(commitMark{memTableBytes: s.mark.memTableBytes, committed: accepted + 1, flushed: accepted})
}

// countMissing finds the number of the last commit and how many commits are missing.
func (s *State) countMissing() (last, missing uint64, err error) {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	item, err := txn.Get([]byte(prefixCommit))
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return 0, s.mark.committed, nil
	case err != nil:
		return 0, 0, fmt.Errorf("read number of commits: %w", err)
	}
	last = item.Version()
	if s.mark.committed > last {
		missing = s.mark.committed - last
	}
	iterator := txn.NewKeyIterator([]byte(prefixCommit), badger.IteratorOptions{AllVersions: true})
	defer iterator.Close()
	next := last // the number that must come next, newest first
	for iterator.Rewind(); iterator.Valid(); iterator.Next() {
		version := iterator.Item().Version()
		if version <= s.mark.flushed {
			break
		}
		missing += next - version
		next = version - 1
	}
	if next > s.mark.flushed {
		missing += next - s.mark.flushed
	}
	return last, missing, nil
}
