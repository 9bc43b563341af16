package fault

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startWithin bounds a start, recovery included.
	startWithin = 60 * time.Second
	// stopWithin bounds a graceful end.
	stopWithin = 40 * time.Second
	readyEvery = 10 * time.Millisecond
)

// member is the server under trial: one data folder, one process after another. Safe for
// concurrent use; start, kill and stop are called by one goroutine.
type member struct {
	binary string
	args   []string
	logs   *os.File

	mu    sync.Mutex
	url   string        // of the process that is ready
	ready chan struct{} // closed while one is
	life  *life
}

// life is one process.
type life struct {
	command *exec.Cmd
	url     chan string // once it listens
	gone    chan struct{}
	words   []string // its last lines
	mu      sync.Mutex
}

func newMember(binary, dir string) (*member, error) {
	config, err := writeLanes(dir)
	if err != nil {
		return nil, err
	}
	logs, err := os.Create(filepath.Join(dir, "server.log")) //nolint:gosec // below the caller's folder
	if err != nil {
		return nil, fmt.Errorf("create the server's log: %w", err)
	}
	return &member{
		binary: binary, logs: logs, ready: make(chan struct{}),
		args: []string{
			"serve", "--data", filepath.Join(dir, "data"), "--config", config, "--listen", "127.0.0.1:0",
			"--allow-insecure-endpoints", "--allow-private", "127.0.0.0/8",
		},
	}, nil
}

// start begins a process and waits until it is ready; it gives the time that took.
func (m *member) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	l, err := m.spawn()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	select {
	case url := <-l.url:
		if err := waitReady(ctx, url); err != nil {
			return 0, fmt.Errorf("the server is not ready: %w: %s", err, l.lastWords())
		}
		m.mu.Lock()
		m.url = url
		close(m.ready)
		m.mu.Unlock()
		return time.Since(began), nil
	case <-l.gone:
		return 0, fmt.Errorf("the server did not start: %s", l.lastWords())
	case <-ctx.Done():
		return 0, fmt.Errorf("the server does not listen: %w: %s", ctx.Err(), l.lastWords())
	}
}

// spawn begins a process without waiting for it.
func (m *member) spawn() (*life, error) {
	command := exec.Command(m.binary, m.args...) //nolint:gosec,noctx // the binary to be tried; ended by kill or stop
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOTRACEBACK=all"}
	out, err := command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	l := &life{command: command, url: make(chan string, 1), gone: make(chan struct{})}
	m.mu.Lock()
	m.life = l
	m.mu.Unlock()
	go func() {
		l.follow(out, m.logs)
		_ = command.Wait() // the exit status of a killed process says nothing
		close(l.gone)
	}()
	return l, nil
}

var listening = regexp.MustCompile(`msg="pannier is ready" url=(\S+)`)

// follow copies the log and finds the address in it.
func (l *life) follow(out io.Reader, logs io.Writer) {
	const remembered = 40
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		_, _ = fmt.Fprintln(logs, line) // a lost log line is no finding
		if found := listening.FindStringSubmatch(line); found != nil {
			select {
			case l.url <- found[1]:
			default:
			}
		}
		l.mu.Lock()
		if l.words = append(l.words, line); len(l.words) > remembered {
			l.words = l.words[1:]
		}
		l.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, out) // or the process would block on its log
}

func (l *life) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.words, "\n")
}

func waitReady(ctx context.Context, url string) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !pause(ctx, readyEvery) {
			return ctx.Err()
		}
	}
}

// kill ends the process with SIGKILL and returns when it is gone.
func (m *member) kill() error { return m.end(syscall.SIGKILL, stopWithin) }

// stop ends the process gracefully.
func (m *member) stop() error { return m.end(syscall.SIGTERM, stopWithin) }

func (m *member) end(signal syscall.Signal, within time.Duration) error {
	m.mu.Lock()
	l := m.life
	if m.url != "" {
		m.url, m.ready = "", make(chan struct{})
	}
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	if err := l.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the server: %w", err)
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-l.gone:
		return nil
	case <-timer.C:
		return fmt.Errorf("the server did not end within %v of %v: %s", within, signal, l.lastWords())
	}
}

// exited is closed when the present process is gone.
func (m *member) exited() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life.gone
}

func (m *member) lastWords() string {
	m.mu.Lock()
	l := m.life
	m.mu.Unlock()
	return l.lastWords()
}

// address waits until the server is ready.
func (m *member) address(ctx context.Context) (string, error) {
	for {
		m.mu.Lock()
		url, ready := m.url, m.ready
		m.mu.Unlock()
		if url != "" {
			return url, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// close kills what still runs.
func (m *member) close() error { return errors.Join(m.kill(), m.logs.Close()) }
