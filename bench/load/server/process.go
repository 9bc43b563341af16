package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clockTick is the unit of times in /proc/<pid>/stat: USER_HZ is 100 on every Linux.
const clockTick = 10 * time.Millisecond

// Usage is what a process has used so far.
type Usage struct {
	CPU     time.Duration // user and system
	RSS     int64         // bytes
	RSSAnon int64         // bytes: without mapped files
	Written int64         // bytes handed to the disk
}

// ReadUsage reads the usage of a process of the same user from /proc.
func ReadUsage(pid int) (Usage, error) {
	var u Usage
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(folder, "stat")) //nolint:gosec // a number
	if err != nil {
		return u, fmt.Errorf("read usage: %w", err)
	}
	status, err := os.ReadFile(filepath.Join(folder, "status")) //nolint:gosec // a number
	if err != nil {
		return u, fmt.Errorf("read usage: %w", err)
	}
	written, err := os.ReadFile(filepath.Join(folder, "io")) //nolint:gosec // a number
	if err != nil {
		return u, fmt.Errorf("read usage: %w", err)
	}
	if u.CPU, err = cpuOf(string(stat)); err != nil {
		return u, err
	}
	u.RSS = 1024 * numberOf(string(status), "VmRSS:")
	u.RSSAnon = 1024 * numberOf(string(status), "RssAnon:")
	u.Written = numberOf(string(written), "write_bytes:")
	return u, nil
}

// cpuOf reads utime and stime: the 12th and 13th field after the command's name, which
// stands in parentheses and may hold anything.
func cpuOf(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("read usage: stat has %d fields", len(fields))
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	if userErr != nil || systemErr != nil {
		return 0, fmt.Errorf("read usage: stat has no times")
	}
	return time.Duration(user+system) * clockTick, nil
}

// numberOf is the number after a name at the start of a line; 0 when it is not there.
func numberOf(text, name string) int64 {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name)
		fields := strings.Fields(rest)
		if !found || len(fields) == 0 {
			continue
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// sampleEvery is how often a Meter looks.
const sampleEvery = 250 * time.Millisecond

// Meter watches what processes use together.
type Meter struct {
	pids  []int
	first Usage
	stop  chan struct{}
	done  sync.WaitGroup

	mu   sync.Mutex
	peak Usage // of RSS and RSSAnon
}

// NewMeter watches processes until Close.
func NewMeter(pids ...int) (*Meter, error) {
	first, err := readSum(pids)
	if err != nil {
		return nil, err
	}
	m := &Meter{pids: pids, first: first, peak: first, stop: make(chan struct{})}
	m.done.Go(m.watch)
	return m, nil
}

// readSum reads what processes have used together.
func readSum(pids []int) (sum Usage, err error) {
	for _, pid := range pids {
		u, err := ReadUsage(pid)
		if err != nil {
			return Usage{}, err
		}
		sum.CPU, sum.Written = sum.CPU+u.CPU, sum.Written+u.Written
		sum.RSS, sum.RSSAnon = sum.RSS+u.RSS, sum.RSSAnon+u.RSSAnon
	}
	return sum, nil
}

func (m *Meter) watch() {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
			if now, err := readSum(m.pids); err == nil { // an ended process has no peak any more
				m.mu.Lock()
				m.peak.RSS, m.peak.RSSAnon = max(m.peak.RSS, now.RSS), max(m.peak.RSSAnon, now.RSSAnon)
				m.mu.Unlock()
			}
		}
	}
}

// Reading is what the processes have used since their meter began, and their memory: now and at
// most.
type Reading struct {
	CPU         time.Duration
	Written     int64
	RSS         int64
	RSSAnon     int64
	RSSPeak     int64
	RSSAnonPeak int64
}

// Read reads the meter.
func (m *Meter) Read() (Reading, error) {
	now, err := readSum(m.pids)
	if err != nil {
		return Reading{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return Reading{
		CPU: now.CPU - m.first.CPU, Written: now.Written - m.first.Written, RSS: now.RSS, RSSAnon: now.RSSAnon,
		RSSPeak: max(m.peak.RSS, now.RSS), RSSAnonPeak: max(m.peak.RSSAnon, now.RSSAnon),
	}, nil
}

// Close stops watching.
func (m *Meter) Close() {
	close(m.stop)
	m.done.Wait()
}
