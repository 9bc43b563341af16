package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// startTimeout bounds the start of a server with an empty folder.
	startTimeout = 30 * time.Second
	// stopTimeout is longer than the server's own; after it the process is killed.
	stopTimeout = 30 * time.Second
	// maxLogLines bounds what is kept of the child's log.
	maxLogLines = 40
)

// childConfig gives positions a lane of their own, as a fleet's operator would, and keeps
// everything long enough for the comparison at the end.
const childConfig = `retention: 72h
lanes:
  - name: positions
    topics: ["vehicle.position"]
    retention: 72h
`

// Child is a server that this process has started.
type Child struct {
	URL   string
	PID   int
	Ready time.Duration // from the exec until it said that it is ready

	folder  string // of this process alone
	data    string
	command *exec.Cmd
	logs    *tail
	ended   chan struct{}
	failure error // of the process; read after ended
}

// Options are how a child is started.
type Options struct {
	Binary      string   // the program; "": it is built
	Data        string   // its data folder, which stays; "": a new one, which does not
	Environment []string // on top of this process's own, as NAME=value
	Flags       []string // on top of those of every server on loopback
}

// Build builds a command of this module.
func Build(ctx context.Context, name, binary string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, name) //nolint:gosec // a package of this module
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, output)
	}
	return nil
}

// Start builds the server, unless the options name one, and starts it on loopback. progress
// gets a line for each step.
func Start(ctx context.Context, o Options, progress io.Writer) (*Child, error) {
	folder, err := os.MkdirTemp("", "pannier-load-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	c := &Child{folder: folder, data: o.Data, ended: make(chan struct{})}
	if c.data == "" {
		c.data = filepath.Join(folder, "data")
	}
	if err := c.start(ctx, o, progress); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return c, nil
}

func (c *Child) start(ctx context.Context, o Options, progress io.Writer) error {
	binary := o.Binary
	if binary == "" {
		binary = filepath.Join(c.folder, "pannier")
		_, _ = fmt.Fprintln(progress, "building the server")
		if err := Build(ctx, "pannier/cmd/pannier", binary); err != nil {
			return err
		}
	}
	config := filepath.Join(c.folder, "config.yaml")
	if err := os.WriteFile(config, []byte(childConfig), 0o600); err != nil {
		return fmt.Errorf("write the config: %w", err)
	}
	// Not CommandContext: an interrupted run still stops the server in good order.
	flags := append([]string{
		"serve", "--data", c.data, "--listen", "127.0.0.1:0", "--config", config,
		"--allow-insecure-endpoints", "--allow-private", "127.0.0.0/8",
	}, o.Flags...)
	c.command = exec.Command(binary, flags...) //nolint:gosec,noctx // the operator names the binary
	c.command.Env = append(childEnvironment(os.Environ()), o.Environment...)
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process first
	output, err := c.command.StderrPipe()
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	began := time.Now()
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	c.PID = c.command.Process.Pid
	c.logs = &tail{ready: make(chan string, 1)}
	go func() {
		c.logs.follow(output)
		c.failure = c.command.Wait()
		close(c.ended)
	}()
	err = c.await(ctx)
	c.Ready = time.Since(began)
	return err
}

// await waits until the server says where it listens.
func (c *Child) await(ctx context.Context) error {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case c.URL = <-c.logs.ready:
		return nil
	case <-c.ended:
		return fmt.Errorf("the server ended at once: %w\n%s", c.failure, c.logs)
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.stop())
	case <-timeout.C:
		return errors.Join(fmt.Errorf("the server is not ready after %v\n%s", startTimeout, c.logs), c.stop())
	}
}

// childEnvironment leaves out the settings of a server: they are those of another one.
func childEnvironment(environment []string) []string {
	kept := make([]string, 0, len(environment))
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "PANNIER_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// Ended is closed when the process has ended, by itself or by Stop.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Log gives the last lines of the server's log.
func (c *Child) Log() string { return c.logs.String() }

// Kill ends the server at once and leaves its data folder, as a crash does.
func (c *Child) Kill() error {
	_ = c.command.Process.Kill() // it has ended already
	<-c.ended
	return os.RemoveAll(c.folder)
}

// Stop ends the server in good order, or by force when that takes too long, and removes
// its folder. Errors: the server had ended by itself, did not end in time, or failed.
func (c *Child) Stop() error { return errors.Join(c.stop(), os.RemoveAll(c.folder)) }

func (c *Child) stop() error {
	select {
	case <-c.ended:
		return fmt.Errorf("the server ended by itself: %w\n%s", c.failure, c.logs)
	default:
	}
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-c.ended:
		if c.failure != nil {
			return fmt.Errorf("the server ended badly: %w\n%s", c.failure, c.logs)
		}
		return nil
	case <-timeout.C:
		return errors.Join(fmt.Errorf("the server did not stop within %v\n%s", stopTimeout, c.logs), c.command.Process.Kill())
	}
}

// DiskBytes is how much the server's folder takes.
func (c *Child) DiskBytes() (int64, error) {
	sum := int64(0)
	err := filepath.WalkDir(c.data, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file that was removed meanwhile
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += stat.Blocks * 512
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure the data folder: %w", err)
	}
	return sum, nil
}

// tail keeps the last lines of a log and notices the one that says where the server is.
type tail struct {
	ready chan string

	mu    sync.Mutex
	lines []string
}

var readyLine = regexp.MustCompile(`pannier is ready.*\burl=(\S+)`)

func (t *tail) follow(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if found := readyLine.FindStringSubmatch(lines.Text()); found != nil {
			select {
			case t.ready <- found[1]:
			default:
			}
		}
		t.mu.Lock()
		if len(t.lines) == maxLogLines {
			t.lines = t.lines[1:]
		}
		t.lines = append(t.lines, lines.Text())
		t.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, log) // after a line that is too long: the server must not block
}

// String gives the lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// ClusterKey makes the key of a cluster and gives the file with it, in folder.
func ClusterKey(ctx context.Context, binary, folder string) (file string, err error) {
	key, err := exec.CommandContext(ctx, binary, "cluster", "keygen").Output()
	if err != nil {
		return "", fmt.Errorf("make the cluster's key: %w", err)
	}
	file = filepath.Join(folder, "key")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		return "", fmt.Errorf("write the cluster's key: %w", err)
	}
	return file, nil
}
