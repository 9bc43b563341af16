package storage

import (
	"fmt"
	"sync"
	"time"

	"pannier/engine"
)

const (
	// DefaultReserve is the free space below which nothing more is accepted: enough for the
	// state to settle what is already there and for retention to make room.
	DefaultReserve = 512 << 20
	// freeSpaceInterval is how long one look at the filesystem holds.
	freeSpaceInterval = time.Second
	// storageFullRetryAfter is what a refused caller is told to wait.
	storageFullRetryAfter = 30 * time.Second
)

// FreeSpace tells whether a filesystem still has more than its reserve. It looks at most
// once a second. Journals and state on one filesystem may share it. Safe for concurrent
// use.
type FreeSpace struct {
	dir     string
	reserve uint64
	free    func(dir string) (uint64, error)

	mu     sync.Mutex
	looked time.Time
	full   error
}

// NewFreeSpace watches the filesystem of dir. reserve is in bytes; 0 is DefaultReserve.
// free gives the bytes that an ordinary user may still write; nil asks the system.
func NewFreeSpace(dir string, reserve uint64, free func(dir string) (uint64, error)) *FreeSpace {
	if reserve == 0 {
		reserve = DefaultReserve
	}
	if free == nil {
		free = freeBytes
	}
	return &FreeSpace{dir: dir, reserve: reserve, free: free}
}

// Check returns nil while there is room. Errors: storage_full (below the reserve, or the
// filesystem could not be asked).
func (f *FreeSpace) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.looked.IsZero() || now.Sub(f.looked) >= freeSpaceInterval {
		f.looked, f.full = now, f.look()
	}
	return f.full
}

func (f *FreeSpace) look() error {
	free, err := f.free(f.dir)
	if err == nil && free >= f.reserve {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%d bytes free, the reserve is %d", free, f.reserve)
	}
	return &engine.Error{
		Code: engine.CodeStorageFull, Message: "the storage is full",
		RetryAfter: storageFullRetryAfter, Err: err,
	}
}
