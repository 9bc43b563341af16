package storage_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
	"pannier/storage"
)

func TestFreeSpace(t *testing.T) {
	t.Parallel()
	const reserve = 1000
	for _, test := range []struct {
		name string
		free uint64
		err  error
		want engine.Code
	}{
		{"plenty", 1 << 40, nil, ""},
		{"just the reserve", reserve, nil, ""},
		{"a byte less", reserve - 1, nil, engine.CodeStorageFull},
		{"nothing", 0, nil, engine.CodeStorageFull},
		{"not known", 1 << 40, errors.New("no such device"), engine.CodeStorageFull},
	} {
		space := storage.NewFreeSpace("/data", reserve, func(string) (uint64, error) { return test.free, test.err })
		if err := space.Check(); engine.ErrorCode(err) != test.want {
			t.Errorf("%s: Check = %v, want code %q", test.name, err, test.want)
		}
	}
}

func TestFreeSpaceLooksOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks, free := 0, uint64(0)
		space := storage.NewFreeSpace("/data", 1000, func(string) (uint64, error) { looks++; return free, nil })
		for range 10 {
			if space.Check() == nil {
				t.Error("room where there is none")
			}
		}
		free = 5000
		<-time.After(time.Second - time.Nanosecond)
		if space.Check() == nil || looks != 1 {
			t.Errorf("looked %d times within a second, want once", looks)
		}
		<-time.After(time.Nanosecond)
		if err := space.Check(); err != nil || looks != 2 {
			t.Errorf("after a second: %v, looked %d times", err, looks)
		}
	})
}

func TestFreeSpaceOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := storage.NewFreeSpace(dir, 1, nil).Check(); err != nil {
		t.Errorf("a byte in %s: %v", dir, err)
	}
	if err := storage.NewFreeSpace(dir, 1<<62, nil).Check(); engine.ErrorCode(err) != engine.CodeStorageFull {
		t.Errorf("four exabytes: %v, want storage_full", err)
	}
	if err := storage.NewFreeSpace(dir+"/missing", 1, nil).Check(); engine.ErrorCode(err) != engine.CodeStorageFull {
		t.Errorf("a folder that is not there: %v, want storage_full", err)
	}
}
