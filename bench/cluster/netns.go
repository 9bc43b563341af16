package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// namespaces has every member in a network namespace of its own, on a bridge in a further one.
type namespaces struct {
	addresses
	made []string // namespaces, in order
	veth string   // the harness's end; "" until it is made
}

// commandTimeout bounds one call of ip or nft.
const commandTimeout = 10 * time.Second

// errNoNamespaces says what to do without the right to make namespaces.
var errNoNamespaces = errors.New("network namespaces cannot be made (they need root, ip and nft); --no-netns runs everything on loopback, without partitions")

// newNamespaces makes the network for a number of members.
func newNamespaces(ctx context.Context, members int) (*namespaces, error) {
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoNamespaces, err)
		}
	}
	s := &namespaces{addresses: addresses{10}}
	err := s.build(ctx, members)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errNoNamespaces, err), s.close())
	}
	return s, nil
}

func (s *namespaces) build(ctx context.Context, members int) error {
	hub := spaceName("hub")
	if err := s.space(ctx, hub); err != nil {
		return err
	}
	if err := ipAll(ctx, "-n "+hub+" link add br0 type bridge", "-n "+hub+" link set br0 up"); err != nil {
		return err
	}
	outside := "pn" + strconv.Itoa(os.Getpid()) // an interface's name has 15 bytes at most
	if err := ipAll(ctx, "link add "+outside+" type veth peer name out netns "+hub); err != nil {
		return err
	}
	s.veth = outside
	err := ipAll(ctx,
		"-n "+hub+" link set out master br0", "-n "+hub+" link set out up",
		"addr add "+s.gateway()+"/24 dev "+outside, "link set "+outside+" up")
	for n := 0; n < members && err == nil; n++ {
		err = s.join(ctx, hub, n)
	}
	return err
}

// join makes the namespace of a member and ties it to the bridge.
func (s *namespaces) join(ctx context.Context, hub string, n int) error {
	name, port := s.name(n), "m"+strconv.Itoa(n)
	if err := s.space(ctx, name); err != nil {
		return err
	}
	err := ipAll(ctx,
		"-n "+hub+" link add "+port+" type veth peer name eth0 netns "+name,
		"-n "+hub+" link set "+port+" master br0", "-n "+hub+" link set "+port+" up",
		"-n "+name+" addr add "+s.host(n)+"/24 dev eth0",
		"-n "+name+" link set lo up", "-n "+name+" link set eth0 up")
	if err != nil {
		return err
	}
	_, err = s.nft(ctx, n, "add table inet cuts")
	return err
}

func (s *namespaces) space(ctx context.Context, name string) error {
	if err := ipAll(ctx, "netns add "+name); err != nil {
		return err
	}
	s.made = append(s.made, name)
	return nil
}

func (s *namespaces) name(n int) string { return spaceName("m" + strconv.Itoa(n)) }

// ipAll runs ip with one line of arguments after the other.
func ipAll(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if _, err := call(ctx, "", "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

func call(ctx context.Context, input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own arguments
	command.Stdin = strings.NewReader(input)
	var words bytes.Buffer
	command.Stderr = &words
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(words.Bytes()))
	}
	return string(out), nil
}

// command runs a program in a member's namespace; ip becomes it, under the same process id.
func (s *namespaces) command(n int, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", s.name(n), name}, args...)...) //nolint:gosec,noctx // the binary to be tried; it is ended by signals
}

func (s *namespaces) nft(ctx context.Context, n int, script string) (string, error) {
	return call(ctx, script, "ip", "netns", "exec", s.name(n), "nft", "-f", "-")
}

func (s *namespaces) cuts() bool { return true }

// cut drops what comes from the senders, where it arrives.
func (s *namespaces) cut(ctx context.Context, name string, links []link) error {
	for to, from := range senders(links) {
		var script strings.Builder
		script.WriteString("add chain inet cuts " + name + " { type filter hook input priority 0; policy accept; }\n")
		for _, sender := range from {
			script.WriteString("add rule inet cuts " + name + " ip saddr " + s.host(sender) + " counter drop\n")
		}
		if _, err := s.nft(ctx, to, script.String()); err != nil {
			return err
		}
	}
	return nil
}

// senders groups links by where they end.
func senders(links []link) map[int][]int {
	from := make(map[int][]int)
	for _, l := range links {
		from[l.to] = append(from[l.to], l.from)
	}
	return from
}

var packets = regexp.MustCompile(`packets (\d+)`)

func (s *namespaces) restore(ctx context.Context, name string, links []link) (dropped int, err error) {
	var errs []error
	for to := range senders(links) {
		list, err := call(ctx, "", "ip", "netns", "exec", s.name(to), "nft", "list", "chain", "inet", "cuts", name)
		errs = append(errs, err)
		for _, found := range packets.FindAllStringSubmatch(list, -1) {
			n, err := strconv.Atoi(found[1])
			errs = append(errs, err)
			dropped += n
		}
		_, err = s.nft(ctx, to, "flush chain inet cuts "+name+"\ndelete chain inet cuts "+name+"\n")
		errs = append(errs, err)
	}
	return dropped, errors.Join(errs...)
}

// close removes whatever was made; the members in it must have ended.
func (s *namespaces) close() error {
	ctx := context.Background() // a run that was interrupted is cleaned up as well
	var errs []error
	if s.veth != "" {
		errs = append(errs, ipAll(ctx, "link del "+s.veth))
		s.veth = ""
	}
	for len(s.made) > 0 {
		last := len(s.made) - 1
		errs = append(errs, ipAll(ctx, "netns del "+s.made[last]))
		s.made = s.made[:last]
	}
	return errors.Join(errs...)
}
