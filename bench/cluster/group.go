package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"pannier/bench/load/server"
)

// group is the cluster under trial: members that belong to it always, and some that join and
// leave.
type group struct {
	size        int // members that belong always
	replication int
	members     []*process // the extra ones last
	net         network
	key         string // of the administrator
}

// newGroup prepares members without starting them.
func newGroup(ctx context.Context, binary, dir string, n network, size, replication int) (*group, error) {
	keyFile, err := server.ClusterKey(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	g := &group{size: size, replication: replication, net: n, key: rand.Text()}
	var seeds []string
	for i := range size {
		seeds = append(seeds, net.JoinHostPort(n.host(i), portGossip))
	}
	for i := range size + extra {
		host := n.host(i)
		data := filepath.Join(dir, "member-"+strconv.Itoa(i))
		args := []string{
			"serve", "--data", data, "--listen", net.JoinHostPort(host, portAPI), "--bind", net.JoinHostPort(host, portGossip),
			"--rpc", net.JoinHostPort(host, portRPC), "--advertise", host, "--join", strings.Join(seeds, ","),
			"--cluster-key", keyFile, "--replication", strconv.Itoa(replication),
			"--allow-insecure-endpoints", "--allow-private", n.prefix(),
		}
		g.members = append(g.members, &process{
			number: i, dir: data, log: data + ".log",
			spawn: func() *exec.Cmd {
				command := n.command(i, binary, args...)
				command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOTRACEBACK=all", "PANNIER_ADMIN_KEY=" + g.key}
				return command
			},
		})
	}
	return g, nil
}

// present are the members that run, frozen or not.
func (g *group) present() (present []*process) {
	for _, p := range g.members {
		if p.running() {
			present = append(present, p)
		}
	}
	return present
}

// start starts every member that belongs to the cluster always and does not run.
func (g *group) start() error {
	var errs []error
	for _, p := range g.members[:g.size] {
		p.thaw()
		errs = append(errs, p.start())
	}
	return errors.Join(errs...)
}

// failures says which members ended by themselves since the last call.
func (g *group) failures() (found []string) {
	for _, p := range g.members {
		if words := p.failure(); words != "" {
			found = append(found, words)
		}
	}
	return found
}

// close ends every process: gently at first when asked for.
func (g *group) close(gently bool) error {
	errs := make([]error, len(g.members))
	var ending sync.WaitGroup
	for i, p := range g.members {
		ending.Go(func() {
			p.thaw()
			if gently {
				if _, _, err := p.end(syscall.SIGTERM, stopWithin); err == nil {
					return
				}
			}
			_, errs[i] = p.kill()
		})
	}
	ending.Wait()
	return errors.Join(errs...)
}

// pause lets time pass; it reports false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
