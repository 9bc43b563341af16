//go:build !linux

package storage

import (
	"math"
	"os"
)

// allocateAhead does nothing: the file grows as it is filled.
func allocateAhead(*os.File, int64) error { return nil }

func syncData(file *os.File) error { return file.Sync() }

// freeBytes knows no bound here.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }
