package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"pannier/engine"
)

const (
	// HistoryBuffer bounds the attempts that wait for the history's writer; more are dropped
	// and counted. With full excerpts it is 16 MiB.
	HistoryBuffer = 16_384
	// historyBatch is how many waiting attempts are written without waiting for the interval:
	// the more, the larger are the blocks.
	historyBatch = 4096
	// historyInterval is how long an attempt waits at most.
	historyInterval = time.Second
	// DefaultHistoryRetention is how long attempts are kept unless told otherwise.
	DefaultHistoryRetention = 30 * 24 * time.Hour
	// MaxAttemptsListed bounds what Attempts lists of one delivery.
	MaxAttemptsListed = 1000
)

var errHistoryClosed = &engine.Error{Code: engine.CodeUnavailable, Message: "the history is closed"}

// HistoryOptions are the options of a History; the zero value is ready for use.
type HistoryOptions struct {
	// Logger; slog.Default() when nil.
	Logger *slog.Logger
	// Retention is how long attempts are kept; DefaultHistoryRetention when zero.
	Retention time.Duration
}

// History is engine.History on a Badger of its own, without syncs: a power cut takes the
// last seconds of it, and a damaged one is begun anew. No delivery depends on it. It is
// safe for concurrent use.
type History struct {
	options HistoryOptions
	db      *badger.DB

	mu      sync.Mutex
	waiting []engine.Attempt
	closed  bool
	wake    chan struct{} // a full batch waits
	end     chan struct{}
	ended   chan struct{}
	close   func() error

	writing sync.Mutex   // one batch is written at a time
	written uint32       // blocks
	reading sync.RWMutex // held shared by reads, and exclusively to close
	dropped atomic.Uint64
}

// OpenHistory opens the history in dir. When it is missing or damaged it is made anew, the
// latter with a warning.
func OpenHistory(dir string, options HistoryOptions) (*History, error) {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Retention == 0 {
		options.Retention = DefaultHistoryRetention
	}
	db, err := openHistoryTables(dir, options.Logger)
	if err != nil {
		options.Logger.Warn("history is damaged and begins anew; no delivery is affected", "error", err)
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
		if db, err = openHistoryTables(dir, options.Logger); err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
	}
	h := &History{
		options: options, db: db,
		wake: make(chan struct{}, 1), end: make(chan struct{}), ended: make(chan struct{}),
	}
	h.close = sync.OnceValue(h.closeOnce)
	go h.run()
	return h, nil
}

func openHistoryTables(dir string, logger *slog.Logger) (db *badger.DB, err error) {
	defer func() {
		// Badger panics on some damage instead of returning an error.
		if fault := recover(); fault != nil {
			db, err = nil, fmt.Errorf("badger: %v", fault)
		}
	}()
	if err := removeEmptyLogs(dir); err != nil {
		return nil, err
	}
	db, err = badger.Open(badgerOptions(dir, logger).WithSyncWrites(false))
	if err != nil {
		return nil, err
	}
	if err := verifyTables(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Record implements engine.History. It never blocks on the disk.
func (h *History) Record(attempts ...engine.Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	room := HistoryBuffer - len(h.waiting)
	if h.closed {
		room = 0
	}
	if len(attempts) > room {
		h.dropped.Add(unsigned(int64(len(attempts) - room)))
		attempts = attempts[:room]
	}
	h.waiting = append(h.waiting, attempts...)
	if len(h.waiting) >= historyBatch {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// Dropped counts the attempts that were not recorded: the buffer was full, or the disk
// refused them.
func (h *History) Dropped() uint64 { return h.dropped.Load() }

// Attempts implements engine.History; it lists at most MaxAttemptsListed. It sees what was
// recorded before.
func (h *History) Attempts(ctx context.Context, sub engine.SubscriptionID, key engine.DeliveryKey) ([]engine.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.flush()
	h.reading.RLock()
	defer h.reading.RUnlock()
	var attempts []engine.Attempt
	at := placeOf(sub, key)
	err := h.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: at[:]})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			err := iterator.Item().Value(func(value []byte) error {
				found, err := findAttempts(value, sub, key)
				attempts = append(attempts, found...)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, badger.ErrDBClosed) {
		return nil, errHistoryClosed
	}
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	slices.Reverse(attempts) // of two that are the same the later one stands
	slices.SortStableFunc(attempts, compareAttempts)
	attempts = slices.CompactFunc(attempts, func(a, b engine.Attempt) bool { return compareAttempts(a, b) == 0 })
	return attempts[:min(len(attempts), MaxAttemptsListed)], nil
}

// Close writes what waits and closes the history; later attempts are dropped and counted.
func (h *History) Close() error { return h.close() }

func (h *History) closeOnce() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	close(h.end)
	<-h.ended
	h.flush()
	h.reading.Lock()
	defer h.reading.Unlock()
	if err := h.db.Close(); err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}

func (h *History) run() {
	defer close(h.ended)
	ticker := time.NewTicker(historyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-h.end:
			return
		case <-h.wake:
		case <-ticker.C:
		}
		h.flush()
	}
}

// flush writes what waits.
func (h *History) flush() {
	h.writing.Lock()
	defer h.writing.Unlock()
	h.mu.Lock()
	attempts := h.waiting
	h.waiting = nil
	h.mu.Unlock()
	if len(attempts) == 0 {
		return
	}
	if err := h.write(attempts); err != nil {
		h.dropped.Add(uint64(len(attempts)))
		h.options.Logger.Error("attempts not recorded", "attempts", len(attempts), "error", err)
	}
}

func (h *History) write(attempts []engine.Attempt) error {
	batch := h.db.NewWriteBatch()
	defer batch.Cancel()
	blocks := makeBlocks(attempts, time.Now(), h.written)
	h.written += uint32(len(blocks)) //nolint:gosec // it may wrap: the time differs as well
	for _, b := range blocks {
		if err := batch.SetEntry(badger.NewEntry(b.key, b.value).WithTTL(h.options.Retention)); err != nil {
			return fmt.Errorf("record attempts: %w", err)
		}
	}
	if err := batch.Flush(); err != nil {
		return fmt.Errorf("record attempts: %w", err)
	}
	return nil
}
