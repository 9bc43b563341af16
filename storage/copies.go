package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pannier/engine"
)

const (
	copyJournalFolder = "journal"
	copyOfFile        = "of"
	copyAccountFile   = "account"
)

// CopyOf names a closed journal: who wrote it, in which life, for which lane.
type CopyOf struct {
	Journal engine.JournalID
	Origin  string
	Boot    uint64
	Lane    string
}

// Copy describes a journal of Copies.
type Copy struct {
	CopyOf

	Begun       uint64 // it held the sequences from there on once: 1 for what this member wrote
	First, Next uint64 // it holds those from First to Next, Next excluded
	// Release and Account are the keeper's account, as last saved: nothing below Release is
	// needed.
	Release uint64
	Account []byte
}

// Copies are the journals on this disk that no lane of this life writes: copies of other
// members' journals, and those that this member wrote in earlier lives. Safe for concurrent use.
//
//	copies/<journal>/of        who wrote it
//	                 account   the keeper's account, replaced without a sync: the latest may be
//	                           lost, which repeats a few deliveries
//	                 journal/  segments
type Copies struct {
	dir     string
	options JournalOptions

	mu   sync.Mutex
	held map[engine.JournalID]*heldCopy
}

type heldCopy struct {
	of      CopyOf
	begun   uint64
	journal *Replica
	filling sync.Mutex // held by Prepend and Drop
	release uint64
	account []byte
}

// reachesBack is where the copy was begun, or what was put in front of it begins: a crash may have
// come before that was noted.
func (h *heldCopy) reachesBack() uint64 {
	first, _ := h.journal.Bounds()
	return min(h.begun, first)
}

// OpenCopies opens every copy below dir.
func OpenCopies(dir string, options JournalOptions) (*Copies, error) {
	c := &Copies{dir: dir, options: options, held: make(map[engine.JournalID]*heldCopy)}
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open copies: %w", err)
	}
	for _, entry := range entries {
		if err := c.open(filepath.Join(dir, entry.Name())); err != nil {
			return nil, errors.Join(fmt.Errorf("open copy %s: %w", entry.Name(), err), c.Close())
		}
	}
	return c, nil
}

// open opens one copy; one whose making was cut short is removed.
func (c *Copies) open(folder string) error {
	of, begun, err := readCopyOf(filepath.Join(folder, copyOfFile))
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, copyJournalFolder))
	}
	if errors.Is(err, os.ErrNotExist) {
		return os.RemoveAll(folder)
	}
	if err != nil {
		return err
	}
	journal, err := OpenReplica(filepath.Join(folder, copyJournalFolder), of.Journal, 1, c.options)
	if err != nil {
		return err
	}
	h := &heldCopy{of: of, begun: begun, journal: journal}
	h.release, h.account = readAccount(filepath.Join(folder, copyAccountFile))
	c.held[of.Journal] = h
	return nil
}

func (c *Copies) folder(id engine.JournalID) string {
	return filepath.Join(c.dir, fmt.Sprintf("%016x", uint64(id)))
}

// List describes every copy.
func (c *Copies) List() []Copy {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]Copy, 0, len(c.held))
	for _, h := range c.held {
		first, next := h.journal.Bounds()
		list = append(list, Copy{
			CopyOf: h.of, Begun: h.reachesBack(), First: first, Next: next, Release: max(h.release, first), Account: h.account,
		})
	}
	return list
}

// Begin makes an empty copy that begins with the sequence first, in the place of one that is
// there. It is durable when it returns.
func (c *Copies) Begin(of CopyOf, first uint64) error {
	if err := c.Drop(of.Journal); err != nil {
		return err
	}
	folder := c.folder(of.Journal)
	if err := c.makeCopy(folder, of, first); err != nil {
		return err
	}
	journal, err := OpenReplica(filepath.Join(folder, copyJournalFolder), of.Journal, first, c.options)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.held[of.Journal] = &heldCopy{of: of, begun: first, journal: journal, release: first}
	c.mu.Unlock()
	return nil
}

func (c *Copies) makeCopy(folder string, of CopyOf, begun uint64) error {
	if err := makeFolder(folder); err != nil {
		return err
	}
	text := fmt.Sprintf("%016x %s %d %s %d\n", uint64(of.Journal), of.Origin, of.Boot, of.Lane, begun)
	return replaceFile(filepath.Join(folder, copyOfFile), []byte(text))
}

// Retire makes a copy of a journal that this member wrote in an earlier life: its folder is
// moved, so that a crash leaves it here or there. Nothing may have it open.
func (c *Copies) Retire(journalFolder string, of CopyOf, release uint64, account []byte) error {
	folder := c.folder(of.Journal)
	if err := c.makeCopy(folder, of, 1); err != nil {
		return err
	}
	if err := writeAccount(filepath.Join(folder, copyAccountFile), release, account); err != nil {
		return err
	}
	if err := os.Rename(journalFolder, filepath.Join(folder, copyJournalFolder)); err != nil {
		return fmt.Errorf("retire journal: %w", err)
	}
	if err := errors.Join(syncFolder(folder), syncFolder(filepath.Dir(journalFolder))); err != nil {
		return err
	}
	return c.open(folder)
}

// Append adds frames to a copy; see Replica.AppendFrames. Errors: those, and not_found.
func (c *Copies) Append(id engine.JournalID, first uint64, frames []byte, done func()) error {
	journal, err := c.Journal(id)
	if err != nil {
		return err
	}
	return journal.AppendFrames(first, frames, done)
}

// Skip has a copy go on behind what its keeper has lost; see Replica.Skip. Errors: those, and
// not_found.
func (c *Copies) Skip(id engine.JournalID, first, next uint64, done func()) error {
	journal, err := c.Journal(id)
	if err != nil {
		return err
	}
	return journal.Skip(first, next, done)
}

// Prepend has a copy that was begun at next reach back to the sequence first: with frames in front
// of it, see Replica.Prepend, or as it is where there are none to be had. It is durable when it
// returns.
// Errors: those of Replica.Prepend, not_found, and the disk failed.
func (c *Copies) Prepend(id engine.JournalID, first, next uint64, frames []byte) error {
	h := c.find(id)
	if h == nil {
		return errNoCopy
	}
	h.filling.Lock()
	defer h.filling.Unlock()
	if begun := h.reachesBack(); c.find(id) != h || begun != next {
		return &GapError{Want: begun, Got: next} // it was begun again meanwhile
	}
	if len(frames) > 0 {
		err := h.journal.Prepend(first, frames)
		gap := (*GapError)(nil)
		if trimmed := errors.As(err, &gap) && gap.Want > gap.Got; err != nil && !trimmed {
			return err // what is in front of a copy that was trimmed has left the retention too
		}
	}
	if err := c.makeCopy(c.folder(id), h.of, first); err != nil {
		return err
	}
	c.mu.Lock()
	h.begun = first
	c.mu.Unlock()
	return nil
}

var errNoCopy = engine.Errorf(engine.CodeNotFound, "no such copy")

func (c *Copies) find(id engine.JournalID) *heldCopy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[id]
}

// Examine reads what is synced of a copy from a sequence on and gives the last one that cannot be
// read; 0: none. Errors: not_found, those of ctx.
func (c *Copies) Examine(ctx context.Context, id engine.JournalID, from uint64) (damage uint64, err error) {
	journal, err := c.Journal(id)
	if err != nil {
		return 0, err
	}
	next := journal.Synced() + 1
	for from < next {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		_, behind, err := journal.ReadFrames(from, examineBytes)
		if missing := (*MissingError)(nil); errors.As(err, &missing) {
			damage, behind = missing.Next-1, missing.Next
		} else if err != nil || behind <= from {
			return next - 1, nil //nolint:nilerr // a disk that cannot be read has lost all of it
		}
		from = behind
	}
	return damage, nil
}

// examineBytes is how much Examine reads at once.
const examineBytes = 1 << 20

// Journal is a copy, to be read. Errors: not_found.
func (c *Copies) Journal(id engine.JournalID) (*Replica, error) {
	if h := c.find(id); h != nil {
		return h.journal, nil
	}
	return nil, errNoCopy
}

// SaveAccount keeps the keeper's account of a copy.
func (c *Copies) SaveAccount(id engine.JournalID, release uint64, account []byte) error {
	c.mu.Lock()
	h := c.held[id]
	if h != nil {
		h.release, h.account = release, account
	}
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	return writeAccount(filepath.Join(c.folder(id), copyAccountFile), release, account)
}

// Drop removes a copy, if there is one.
func (c *Copies) Drop(id engine.JournalID) error {
	c.mu.Lock()
	h := c.held[id]
	delete(c.held, id)
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	h.filling.Lock() // nothing is written into the folder of a copy that takes its place
	defer h.filling.Unlock()
	err := h.journal.Close()
	// Without the file `of` it is no copy any more, whatever else is left.
	return errors.Join(err, os.Remove(filepath.Join(c.folder(id), copyOfFile)), os.RemoveAll(c.folder(id)))
}

// Trim removes the segments that are discharged and older than their lane's retention, of every
// copy but those that others trim.
func (c *Copies) Trim(now time.Time, retention func(lane string) time.Duration, but map[engine.JournalID]bool) error {
	c.mu.Lock()
	held := slices.Collect(maps.Values(c.held))
	c.mu.Unlock()
	var errs []error
	for _, h := range held {
		if but[h.of.Journal] {
			continue
		}
		c.mu.Lock()
		release := h.release
		c.mu.Unlock()
		for _, segment := range h.journal.Segments() {
			if segment.Last >= release || now.Sub(segment.LastAt) < retention(h.of.Lane) {
				break
			}
			errs = append(errs, h.journal.Trim(segment))
		}
	}
	return errors.Join(errs...)
}

// Close closes every copy.
func (c *Copies) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, h := range c.held {
		errs = append(errs, h.journal.Close())
	}
	c.held = make(map[engine.JournalID]*heldCopy)
	return errors.Join(errs...)
}

func readCopyOf(path string) (of CopyOf, begun uint64, err error) {
	content, err := os.ReadFile(path) //nolint:gosec // a path in the operator's folder
	if err != nil {
		return CopyOf{}, 0, err
	}
	fields := strings.Fields(string(content))
	if len(fields) != 5 {
		return CopyOf{}, 0, errors.New("its file `of` is damaged")
	}
	journal, err := strconv.ParseUint(fields[0], 16, 64)
	boot, bootErr := strconv.ParseUint(fields[2], 10, 64)
	begun, begunErr := strconv.ParseUint(fields[4], 10, 64)
	if err = errors.Join(err, bootErr, begunErr); err != nil {
		return CopyOf{}, 0, fmt.Errorf("its file `of` is damaged: %w", err)
	}
	return CopyOf{Journal: engine.JournalID(journal), Origin: fields[1], Boot: boot, Lane: fields[3]}, begun, nil
}

// writeAccount replaces an account without a sync; its CRC tells a torn one.
func writeAccount(path string, release uint64, account []byte) error {
	b := binary.LittleEndian.AppendUint64(make([]byte, 4, 12+len(account)), release)
	b = append(b, account...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	if err := os.WriteFile(path+".tmp", b, 0o600); err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	return nil
}

// readAccount gives nothing where there is no whole one: everything is handed out again then.
func readAccount(path string) (release uint64, account []byte) {
	const head = 12
	b, err := os.ReadFile(path) //nolint:gosec // a path in the operator's folder
	if err != nil || len(b) < head || crc32.Checksum(b[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return 0, nil
	}
	return binary.LittleEndian.Uint64(b[4:]), b[head:]
}
