package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// memberStart bounds a start.
	memberStart = 30 * time.Second
	memberPoll  = 50 * time.Millisecond
)

// demoMember is a member of the demo's cluster: this program, started once more.
type demoMember struct {
	name   string
	id     string // the cluster's name for it, once it was asked
	url    string
	listen string
	api    *client
	args   []string
	log    string
	life   atomic.Pointer[demoLife] // the latest; nil before the first
}

// demoLife is one process of a member.
type demoLife struct {
	command *exec.Cmd
	ended   chan struct{}
	killed  atomic.Bool // by the demo
}

// start begins a life on what earlier ones left.
func (m *demoMember) start() error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", m.name, err)
	}
	defer log.Close() //nolint:errcheck // the process has its own
	life := &demoLife{ended: make(chan struct{}), command: &exec.Cmd{
		Path: program, Args: slices.Concat([]string{filepath.Base(os.Args[0])}, m.args), Env: withoutSettings(os.Environ()),
		Stdout: log, Stderr: log, SysProcAttr: ofItsOwn(),
	}}
	if err := life.command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	m.life.Store(life)
	go func() {
		_ = life.command.Wait() // how it ended is in ProcessState
		close(life.ended)
	}()
	return nil
}

// withoutSettings leaves out what is meant for another server.
func withoutSettings(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		return strings.HasPrefix(variable, "PANNIER_")
	})
}

// The questions of await.
const (
	memberLives = "/healthz" // it answers
	memberReady = "/readyz"  // it would accept events
)

// await waits until the member answers a question with yes.
func (m *demoMember) await(ctx context.Context, question string) error {
	ctx, cancel := context.WithTimeout(ctx, memberStart)
	defer cancel()
	for {
		_, err := m.api.do(ctx, call{method: http.MethodGet, path: question})
		if err == nil {
			return nil
		}
		if failure := m.failure(); failure != nil {
			return failure
		}
		if !pause(ctx, memberPoll) {
			return fmt.Errorf("%s does not say yes to %s within %v", m.name, question, memberStart)
		}
	}
}

// lives tells whether the process runs.
func (m *demoMember) lives() bool {
	life := m.life.Load()
	if life == nil {
		return false
	}
	select {
	case <-life.ended:
		return false
	default:
		return true
	}
}

// failure is that the process ended by itself.
func (m *demoMember) failure() error {
	life := m.life.Load()
	if life == nil || life.killed.Load() || m.lives() {
		return nil
	}
	return fmt.Errorf("%s ended by itself: %v", m.name, life.command.ProcessState)
}

func (m *demoMember) pid() int { return m.life.Load().command.Process.Pid }

// kill ends the process as a power cut would.
func (m *demoMember) kill() error {
	life := m.life.Load()
	if life == nil {
		return nil
	}
	life.killed.Store(m.lives())
	if err := life.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", m.name, err)
	}
	<-life.ended
	return nil
}
