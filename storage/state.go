package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"pannier/engine"
)

// StateOptions are the options of a State; the zero value is ready for use.
type StateOptions struct {
	// Logger; slog.Default() when nil.
	Logger *slog.Logger
	// Clock judges the 24 hours of identities and answers; time.Now when nil.
	Clock engine.Clock
	// Fatal is called once, when a commit or a sync failed: from then on nothing is
	// acknowledged. When nil the error is logged as the last line and the process ends.
	Fatal func(error)
	// Observe, when set, is told how long each commit took and how many keys it changed. It
	// must not block.
	Observe func(d time.Duration, changes int)
	// AcceptLoss opens a state of which commits are missing or tables are damaged. It is
	// the operator's decision, for one start.
	AcceptLoss bool
}

func (o *StateOptions) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Fatal == nil {
		logger := o.Logger
		o.Fatal = func(err error) {
			logger.Error("state cannot be written, the process ends", "error", err)
			os.Exit(1)
		}
	}
}

// State is engine.State on Badger: one committer goroutine, one synced transaction for all
// that waits. It is safe for concurrent use; one process opens a folder at a time.
//
// Badger runs in managed mode: the number of a commit is its timestamp. Reads are at the
// number of the last synced commit, so they see whole writes and nothing that a crash
// could take back, and they never wait for a commit under way (Badger's own transactions
// do). Old versions are released in mark.
type State struct {
	keyedState
	options   StateOptions
	path      string // of the mark
	db        *badger.DB
	committer *committer

	number atomic.Uint64 // of the last synced commit
	// reading is held shared by every read, and exclusively for the moment in which old
	// versions are released: no read may be older than what is released.
	reading sync.RWMutex

	marking  sync.Mutex // held while the mark moves
	mark     commitMark // as it is on disk
	ticking  sync.WaitGroup
	ticksEnd chan struct{}
	close    func() error
}

// OpenState opens the state in dir, which it makes when it is missing. Errors: ErrStateLoss
// when commits are missing or tables are damaged (see StateOptions.AcceptLoss).
func OpenState(dir string, options StateOptions) (*State, error) {
	options.setDefaults()
	s := &State{options: options, path: filepath.Join(dir, "mark"), ticksEnd: make(chan struct{})}
	s.view, s.apply, s.clock = s.viewBadger, s.writeAndWait, options.Clock
	s.close = sync.OnceValue(s.closeOnce)

	tables := filepath.Join(dir, "badger")
	var err error
	if s.mark, err = openMark(s.path, tables, options); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := removeEmptyLogs(tables); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s.db, err = badger.OpenManaged(badgerOptions(tables, options.Logger).
		WithSyncWrites(true).
		WithMemTableSize(signed(s.mark.memTableBytes)))
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, errors.Join(fmt.Errorf("open state: %w", err), s.db.Close())
	}
	s.committer = newCommitter(s.commit, options.Fatal, options.Observe)
	s.queue = s.committer.write
	s.ticking.Go(s.tick)
	return s, nil
}

// Write implements engine.State. The changes are encoded before it returns. Errors:
// unavailable (closed), too_large (see MaxWriteBytes).
func (s *State) Write(writes []engine.Write, done func()) error {
	changes, size, err := encodeChanges(writes)
	if err != nil {
		return err
	}
	return s.committer.write(write{changes: changes, size: size, done: done})
}

// Commits counts the synced commits of writes since the state was opened.
func (s *State) Commits() uint64 { return s.committer.commits.Load() }

// Changes counts the keys that those commits set or dropped; an entry that was merged counts
// once.
func (s *State) Changes() uint64 { return s.committer.committed.Load() }

// Close commits what is queued and closes the state; further writes are unavailable.
func (s *State) Close() error { return s.close() }

func (s *State) closeOnce() error {
	s.committer.close()
	close(s.ticksEnd)
	s.ticking.Wait()
	s.reading.Lock() // reads under way end first
	err := s.db.Close()
	s.reading.Unlock()
	if err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	if s.committer.failed.Load() {
		// What the last commit left behind is unknown, so the mark stays where it is.
		return nil
	}
	// Badger has moved everything into tables.
	number := s.number.Load()
	if err := s.saveMark(commitMark{memTableBytes: s.mark.memTableBytes, committed: number, flushed: number}); err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}

// commit is called by the committer alone. It takes more than one commit while a late change
// asks for another.
func (s *State) commit(changes []change) error {
	for {
		again, err := s.commitOnce(changes)
		if err != nil {
			return fmt.Errorf("commit state: %w", err)
		}
		if len(again) == 0 {
			return nil
		}
		changes = again
	}
}

func (s *State) commitOnce(changes []change) (again []change, err error) {
	number := s.number.Load() + 1
	txn := s.db.NewTransactionAt(math.MaxUint64, true)
	defer txn.Discard()
	for _, c := range changes {
		if c.late == nil {
			err = setChange(txn, c)
		} else {
			again, err = setLate(txn, c, again)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := txn.Set([]byte(prefixCommit), binary.BigEndian.AppendUint64(nil, number)); err != nil {
		return nil, err
	}
	if err := txn.CommitAt(number, nil); err != nil {
		return nil, err
	}
	s.number.Store(number)
	return again, nil
}

func setChange(txn *badger.Txn, c change) error {
	switch {
	case c.value == nil:
		return txn.Delete(c.key)
	case c.expires:
		return txn.SetEntry(badger.NewEntry(c.key, c.value).WithTTL(identityExpiry))
	default:
		return txn.Set(c.key, c.value)
	}
}

// setLate adds c to again when it asks for another transaction.
func setLate(txn *badger.Txn, c change, again []change) ([]change, error) {
	changes, more, err := c.late.resolve(badgerView{txn})
	for i := 0; i < len(changes) && err == nil; i++ {
		err = setChange(txn, changes[i])
	}
	if more {
		again = append(again, c)
	}
	return again, err
}

func (s *State) writeAndWait(ctx context.Context, changes []change) error {
	done := make(chan struct{})
	if err := s.committer.write(newWrite(changes, func() { close(done) })); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.committer.stopped:
	}
	select {
	case <-done: // it was among the last
		return nil
	default:
		return errClosed
	}
}

// viewBadger implements keyedState.view.
func (s *State) viewBadger(read func(stateView) error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	if s.db.IsClosed() {
		return errClosed
	}
	txn := s.db.NewTransactionAt(s.number.Load(), false)
	defer txn.Discard()
	return read(badgerView{txn})
}

// badgerView implements stateView.
type badgerView struct{ txn *badger.Txn }

func (v badgerView) get(key []byte) ([]byte, bool, error) {
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value, err := item.ValueCopy(nil)
	return value, err == nil, err
}

func (v badgerView) scan(prefix, from []byte, visit func(key, value []byte) (bool, error)) error {
	// Values lie beside their keys, so there is nothing to fetch ahead.
	iterator := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: false})
	defer iterator.Close()
	if from == nil {
		from = prefix
	}
	for iterator.Seek(from); iterator.Valid(); iterator.Next() {
		item, more := iterator.Item(), false
		err := item.Value(func(value []byte) (err error) {
			more, err = visit(item.Key(), value)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}
