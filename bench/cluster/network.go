package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
)

// network is where members live.
type network interface {
	// host is the address of a member.
	host(n int) string
	// gateway is the address of the harness.
	gateway() string
	// prefix holds all of them, as CIDR.
	prefix() string
	// command runs a program where a member lives.
	command(n int, name string, args ...string) *exec.Cmd
	// cut makes the links drop every packet; name tells one cut from others at the same time.
	cut(ctx context.Context, name string, links []link) error
	// restore ends a cut and gives the number of packets that it dropped.
	restore(ctx context.Context, name string, links []link) (dropped int, err error)
	// cuts tells whether links can be cut.
	cuts() bool
	close() error
}

// The ports of every member: each has an address of its own.
const (
	portAPI    = "8080"
	portGossip = "7946"
	portRPC    = "7947"
)

// firstHost is the last part of the first member's address.
const firstHost = 11

// addresses are those of one run; they carry the process's id, so that runs do not meet.
type addresses struct{ class int }

func (a addresses) at(last int) string {
	pid := os.Getpid()
	return fmt.Sprintf("%d.%d.%d.%d", a.class, 64+pid%128, pid/128%256, last)
}

func (a addresses) host(n int) string { return a.at(firstHost + n) }
func (a addresses) gateway() string   { return a.at(1) }
func (a addresses) prefix() string    { return a.at(0) + "/24" }

func api(host string) string { return "http://" + net.JoinHostPort(host, portAPI) }

// loopback has every member on this host: its links cannot be cut.
type loopback struct{ addresses }

func newLoopback() loopback { return loopback{addresses{127}} }

func (loopback) command(_ int, name string, args ...string) *exec.Cmd {
	return exec.Command(name, args...) //nolint:gosec,noctx // the binary to be tried; it is ended by signals
}

func (loopback) cut(context.Context, string, []link) error {
	return errors.New("links on loopback cannot be cut")
}

func (loopback) restore(context.Context, string, []link) (int, error) { return 0, nil }
func (loopback) cuts() bool                                           { return false }
func (loopback) close() error                                         { return nil }

// spaceName is the name of a namespace of this run.
func spaceName(part string) string { return "pannier" + strconv.Itoa(os.Getpid()) + part }
