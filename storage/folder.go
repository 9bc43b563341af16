package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"pannier/engine"
)

// FolderFormat is the format of data folders that this program reads and writes.
const FolderFormat = 1

const (
	formatFile  = "format"
	lockFile    = "lock"
	bootFile    = "boot"
	memberFile  = "member"
	saltFile    = "salt"
	formatWords = "pannier data folder, format "
	memberName  = "mem_"
)

// Folder is the data folder of a member. While it is open no other process can open it.
//
//	format    "pannier data folder, format 1"
//	lock      locked while a process has the folder open
//	boot      number of the last life of the member
//	member    the member's id
//	salt      the place it chose in its cluster; none before it was in one
//	journal/  state/  history/
type Folder struct {
	path   string
	lock   *os.File
	boot   uint64
	member string
	salt   uint16
	close  func() error
}

// OpenFolder opens the data folder at path, which it makes when it is missing, begins a new
// boot, and locks the folder against other processes. A folder of a newer format, one that
// holds something else, or one in use is refused and left as it is.
func OpenFolder(path string) (*Folder, error) {
	f := &Folder{path: path}
	f.close = sync.OnceValue(f.closeOnce)
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("open data folder %s: %w", path, err)
	}
	return f, nil
}

func (f *Folder) open() error {
	fresh, err := f.checkFormat()
	if err != nil {
		return err
	}
	if err := makeFolder(f.path); err != nil {
		return err
	}
	if err := f.takeLock(); err != nil {
		return err
	}
	if err := f.begin(fresh); err != nil {
		return errors.Join(err, f.close())
	}
	return nil
}

// begin is the part of open under the lock.
func (f *Folder) begin(fresh bool) error {
	if fresh {
		// Another process may have made the folder before this one had the lock.
		stillFresh, err := f.checkFormat()
		if err != nil {
			return err
		}
		if stillFresh {
			if err := replaceFile(f.file(formatFile), []byte(formatWords+strconv.Itoa(FolderFormat)+"\n")); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(f.readMember(), f.readSalt()); err != nil {
		return err
	}
	return f.beginBoot(time.Now())
}

// Journal is the path of the journals.
func (f *Folder) Journal() string { return f.file("journal") }

// State is the path of the state.
func (f *Folder) State() string { return f.file("state") }

// History is the path of the history.
func (f *Folder) History() string { return f.file("history") }

// Boot numbers this life of the member. It grows with every opening, whatever the clock
// does, and is durable before the folder is open.
func (f *Folder) Boot() uint64 { return f.boot }

// Member is the member's id: drawn when the folder was made, and kept.
func (f *Folder) Member() string { return f.member }

// Salt is the place that the member chose in its cluster; 0 when it was never in one.
func (f *Folder) Salt() uint16 { return f.salt }

// KeepSalt remembers the member's place.
func (f *Folder) KeepSalt(salt uint16) error {
	if err := f.writeNumber(saltFile, uint64(salt)); err != nil {
		return fmt.Errorf("keep the member's place: %w", err)
	}
	f.salt = salt
	return nil
}

// Close lets another process open the folder.
func (f *Folder) Close() error { return f.close() }

func (f *Folder) closeOnce() error {
	// Removed while it is still locked: see takeLock.
	if err := errors.Join(os.Remove(f.file(lockFile)), f.lock.Close()); err != nil {
		return fmt.Errorf("close data folder: %w", err)
	}
	return nil
}

func (f *Folder) file(name string) string { return filepath.Join(f.path, name) }

// checkFormat only reads; fresh tells that the folder is missing or empty.
func (f *Folder) checkFormat() (fresh bool, err error) {
	content, err := os.ReadFile(f.file(formatFile))
	if errors.Is(err, os.ErrNotExist) {
		return true, f.checkEmpty()
	}
	if err != nil {
		return false, fmt.Errorf("read format: %w", err)
	}
	number, known := strings.CutPrefix(strings.TrimSuffix(string(content), "\n"), formatWords)
	format, err := strconv.Atoi(number)
	switch {
	case !known || err != nil || format < 1:
		return false, errors.New("its file `format` is not one of a data folder")
	case format > FolderFormat:
		return false, fmt.Errorf("it has format %d, this program knows formats up to %d; use a newer program", format, FolderFormat)
	}
	return false, nil
}

// checkEmpty refuses a folder that holds something else. What an opening that was cut
// short leaves behind does not count, nor does what a file system puts into its root.
func (f *Folder) checkEmpty() error {
	entries, err := os.ReadDir(f.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read folder: %w", err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case lockFile, formatFile + ".tmp", "lost+found":
		default:
			return fmt.Errorf("it is not empty and not a data folder (it holds %q)", entry.Name())
		}
	}
	return nil
}

func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// takeLock locks the file `lock`. The process that holds it removes it at the end, so one
// that was waiting at the old file looks whether it is still the one in the folder.
func (f *Folder) takeLock() error {
	for {
		file, err := os.OpenFile(f.file(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("open lock: %w", err)
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			_ = file.Close() // nothing was written
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return errors.New("another process has it open")
			}
			return fmt.Errorf("lock: %w", err)
		}
		locked, err := file.Stat()
		if err != nil {
			return errors.Join(fmt.Errorf("lock: %w", err), file.Close())
		}
		if named, err := os.Stat(f.file(lockFile)); err == nil && os.SameFile(locked, named) {
			f.lock = file
			return nil
		}
		_ = file.Close() // nothing was written
	}
}

func (f *Folder) readMember() error {
	content, err := os.ReadFile(f.file(memberFile))
	if errors.Is(err, os.ErrNotExist) {
		f.member = engine.NewID(memberName)
		return replaceFile(f.file(memberFile), []byte(f.member+"\n"))
	}
	if err != nil {
		return fmt.Errorf("read member: %w", err)
	}
	f.member = strings.TrimSuffix(string(content), "\n")
	if !strings.HasPrefix(f.member, memberName) || strings.ContainsAny(f.member, " \n") {
		return errors.New("its file `member` is damaged")
	}
	return nil
}

func (f *Folder) readSalt() error {
	salt, err := f.readNumber(saltFile, 16)
	f.salt = uint16(salt) //nolint:gosec // of 16 bits
	return err
}

func (f *Folder) beginBoot(now time.Time) error {
	last, err := f.readNumber(bootFile, 64)
	if err != nil {
		return err
	}
	f.boot = max(uint64(max(now.UnixMilli(), 0)), last+1)
	return f.writeNumber(bootFile, f.boot)
}

// readNumber is 0 where there is no such file.
func (f *Folder) readNumber(name string, bits int) (uint64, error) {
	content, err := os.ReadFile(f.file(name))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	number, err := strconv.ParseUint(strings.TrimSuffix(string(content), "\n"), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("its file `%s` is damaged", name)
	}
	return number, nil
}

func (f *Folder) writeNumber(name string, number uint64) error {
	return replaceFile(f.file(name), []byte(strconv.FormatUint(number, 10)+"\n"))
}

// replaceFile writes a small file so that a crash leaves the old content or the new one.
func replaceFile(path string, content []byte) error {
	temporary := path + ".tmp"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a path in the operator's folder
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // a path in the operator's folder
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
