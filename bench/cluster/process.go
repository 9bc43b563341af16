package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// killWithin bounds how long a process takes to be gone after SIGKILL.
	killWithin = 20 * time.Second
	// stopWithin bounds a graceful end: the member drains before it stops.
	stopWithin = 45 * time.Second
)

// process is one member: a data folder, and one process after another. Safe for concurrent use.
type process struct {
	number int
	dir    string // its data folder
	spawn  func() *exec.Cmd
	log    string

	mu     sync.Mutex
	life   *life
	frozen bool
}

// life is one process; gone is closed when it has ended.
type life struct {
	command  *exec.Cmd
	gone     chan struct{}
	wanted   bool // somebody ended it
	reported bool // that nobody had
}

// running tells whether there is a process; one that is frozen counts.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive()
}

func (p *process) alive() bool {
	if p.life == nil {
		return false
	}
	select {
	case <-p.life.gone:
		return false
	default:
		return true
	}
}

// answering tells whether there is a process that is not frozen.
func (p *process) answering() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive() && !p.frozen
}

// start begins a process unless there is one.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() {
		return nil
	}
	logs, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the member's log: %w", err)
	}
	defer logs.Close() //nolint:errcheck // the child has its own descriptor
	command := p.spawn()
	command.Stderr, command.Stdout = logs, logs
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the harness
	if err := command.Start(); err != nil {
		return fmt.Errorf("start member %d: %w", p.number, err)
	}
	l := &life{command: command, gone: make(chan struct{})}
	p.life, p.frozen = l, false
	go func() {
		_ = command.Wait() // its status is in ProcessState
		close(l.gone)
	}()
	return nil
}

// end sends a signal that ends the process and waits until it is gone; did tells whether there
// was one, code is how it exited, -1 by a signal.
func (p *process) end(signal syscall.Signal, within time.Duration) (did bool, code int, err error) {
	p.mu.Lock()
	l := p.life
	if !p.alive() {
		p.mu.Unlock()
		return false, 0, nil
	}
	l.wanted = true
	p.mu.Unlock()
	if err := l.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false, 0, fmt.Errorf("end member %d: %w", p.number, err)
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-l.gone:
		return true, l.command.ProcessState.ExitCode(), nil
	case <-timer.C:
		return true, 0, fmt.Errorf("member %d did not end within %v of %v", p.number, within, signal)
	}
}

// kill ends the process with SIGKILL; killed tells that it really died of that.
func (p *process) kill() (killed bool, err error) {
	did, code, err := p.end(syscall.SIGKILL, killWithin)
	return did && code == -1, err
}

// freeze stops the process without ending it; it tells whether the kernel says so.
func (p *process) freeze() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.alive() || p.frozen || p.life.command.Process.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	p.frozen = true
	return eventually(time.Second, func() bool { return stateOf(p.life.command.Process.Pid) == 'T' })
}

// thaw lets it go on.
func (p *process) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen && p.alive() {
		_ = p.life.command.Process.Signal(syscall.SIGCONT) // it may have been killed meanwhile
	}
	p.frozen = false
}

// stateOf is the letter of a process in /proc; 0 when there is none.
func stateOf(pid int) byte {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	text := string(stat)
	rest := strings.TrimSpace(text[strings.LastIndexByte(text, ')')+1:])
	if rest == "" {
		return 0
	}
	return rest[0]
}

// eventually polls for a fact.
func eventually(within time.Duration, fact func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-tick.C {
		if fact() {
			return true
		}
	}
	return fact()
}

// failure says, once, that the process ended although nobody ended it.
func (p *process) failure() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil || p.alive() || p.life.wanted || p.life.reported {
		return ""
	}
	p.life.reported = true
	return fmt.Sprintf("member %d ended by itself: %v; see %s", p.number, p.life.command.ProcessState, p.log)
}

// lose removes the data folder; lost tells that it had been there and is gone.
func (p *process) lose() (lost bool, err error) {
	if _, err := os.Stat(p.dir); err != nil {
		return false, nil //nolint:nilerr // there was nothing to lose
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return false, fmt.Errorf("lose the disk of member %d: %w", p.number, err)
	}
	return true, nil
}

// spoil changes a few bytes of every segment of the journals in the data folder.
func (p *process) spoil(random *rand.Rand) (spoiled int, err error) {
	for _, pattern := range []string{"journal/*/*", "copies/*/journal/*"} {
		segments, err := filepath.Glob(filepath.Join(p.dir, pattern))
		if err != nil {
			return spoiled, fmt.Errorf("find the segments of member %d: %w", p.number, err)
		}
		for _, path := range segments {
			content, err := os.ReadFile(path) //nolint:gosec // a path in the run's own folder
			if err != nil {
				return spoiled, fmt.Errorf("read a segment of member %d: %w", p.number, err)
			}
			end := len(bytes.TrimRight(content, "\x00"))
			for range min(end, spoiledBytes) {
				content[random.IntN(end)] ^= 0xff
				spoiled++
			}
			if err := os.WriteFile(path, content, 0o600); err != nil { //nolint:gosec // as above
				return spoiled, fmt.Errorf("spoil a segment of member %d: %w", p.number, err)
			}
		}
	}
	return spoiled, nil
}

// spoiledBytes are changed in each segment.
const spoiledBytes = 5

// copyDisk copies the data folder as a crash would find it: the process stands still meanwhile.
func (p *process) copyDisk() (copied bool, err error) {
	if !p.freeze() {
		return false, nil
	}
	defer p.thaw()
	if err := os.RemoveAll(p.older()); err != nil {
		return false, fmt.Errorf("remove the older copy: %w", err)
	}
	// cp keeps holes, modes and all; a library's copy would not.
	if _, err := call(context.Background(), "", "cp", "-a", p.dir, p.older()); err != nil {
		return false, fmt.Errorf("copy the disk of member %d: %w", p.number, err)
	}
	return true, nil
}

func (p *process) older() string { return p.dir + "-older" }

// swapDisk puts the older copy in the place of the data folder.
func (p *process) swapDisk() error {
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove the disk of member %d: %w", p.number, err)
	}
	if err := os.Rename(p.older(), p.dir); err != nil {
		return fmt.Errorf("put the older disk of member %d in place: %w", p.number, err)
	}
	return nil
}
