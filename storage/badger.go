package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// memTableBytes is the size of Badger's memory tables. A log written with a larger size
// cannot be opened with a smaller one, so the mark of the state remembers the largest.
const memTableBytes = 16 << 20

// badgerOptions are those of a small node: Badger's defaults take half a gigabyte.
func badgerOptions(dir string, logger *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(3).
		// Everything is kept out of the value log: see MaxWriteBytes.
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(64 << 20).
		WithBlockCacheSize(32 << 20).
		WithIndexCacheSize(16 << 20).
		WithNumCompactors(2).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(10).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithNumGoroutines(2).
		WithCompression(options.Snappy).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithLogger(badgerLogger{logger})
}

// removeEmptyLogs removes the log files without a byte that a kill left: Badger empties a
// log before it removes it and makes one before it fills it, and refuses to open a folder
// with an empty one. Nothing is in them; that nothing is missing either is checked by the
// numbers of the commits.
func removeEmptyLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for empty logs: %w", err)
	}
	for _, entry := range entries {
		if extension := filepath.Ext(entry.Name()); extension != ".vlog" && extension != ".mem" {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("look for empty logs: %w", err)
		}
		if !info.Mode().IsRegular() || info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("remove an empty log: %w", err)
		}
	}
	return nil
}

// badgerLogger hands Badger's warnings and errors to slog; what it merely tells is dropped
// to the debug level. Badger logs no values, and keys hold no secrets.
type badgerLogger struct{ logger *slog.Logger }

func (l badgerLogger) Errorf(format string, args ...any) {
	l.logger.Error("badger", "detail", badgerText(format, args))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.logger.Warn("badger", "detail", badgerText(format, args))
}

func (l badgerLogger) Infof(format string, args ...any) {
	l.logger.Debug("badger", "detail", badgerText(format, args))
}

func (l badgerLogger) Debugf(string, ...any) {}

func badgerText(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}

// verifyTables checks the checksum of every block of every table. Badger itself reads
// past a damaged block as if the rest of its table did not exist.
func verifyTables(db *badger.DB) (err error) {
	defer func() {
		// Badger's report of a damaged block dereferences the block it could not read.
		if fault := recover(); fault != nil {
			err = fmt.Errorf("verify tables: %v", fault)
		}
	}()
	if err := db.VerifyChecksum(); err != nil {
		return fmt.Errorf("verify tables: %w", err)
	}
	return nil
}
