package storage

import (
	"errors"
	"os"
	"syscall"
)

// allocateAhead gives a file its size before it is filled, so that a sync has no size to
// write. A filesystem that cannot do it, or has no room for it, is no error: the file then
// grows as it is filled.
func allocateAhead(file *os.File, size int64) error {
	err := control(file, func(fd int) error { return syscall.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// syncData makes the bytes of a file durable, and its size where that changed.
func syncData(file *os.File) error { return control(file, syscall.Fdatasync) }

// control runs one system call on a file, again while a signal interrupts it.
func control(file *os.File, call func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) {
		for {
			if err = call(int(fd)); !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	})
	return errors.Join(failed, err)
}

func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return s.Bavail * unsigned(s.Bsize), nil
}
