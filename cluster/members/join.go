package members

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"pannier/cluster/placement"
)

const (
	// joinsAtOnce is how many addresses are asked at a time: one that swallows packets must
	// not keep the others waiting for its timeout.
	joinsAtOnce = 8
	// seekEvery is the time between two rounds of asking the seeds, plus up to seekJitter so
	// that members that started together do not ask in step.
	seekEvery  = time.Second
	seekJitter = time.Second / 4
)

// Join exchanges lists with the members at these addresses (host:port, a name may stand for
// many) and tells how many answered, this member's own address not counted. The error is nil
// when one did; otherwise it holds what was wrong with each. It takes up to 4 seconds for every
// 8 addresses that do not answer, and 4 to return when ctx or the membership ends. After Close
// it is an error.
func (m *Members) Join(ctx context.Context, addresses []string) (int, error) {
	var (
		asking sync.WaitGroup
		slots  = make(chan struct{}, joinsAtOnce)
		mu     sync.Mutex
		joined int
		errs   []error
	)
	for _, address := range addresses {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			n, err := m.joinOne(ctx, address)
			mu.Lock()
			defer mu.Unlock()
			joined, errs = joined+n, append(errs, err)
		})
	}
	asking.Wait()
	if err := errors.Join(errs...); err != nil && joined == 0 {
		return 0, fmt.Errorf("join members: %w", err)
	}
	return joined, nil
}

// joinOne asks every member that one address stands for.
func (m *Members) joinOne(ctx context.Context, address string) (int, error) {
	targets, err := resolve(ctx, address)
	if err != nil {
		return 0, err
	}
	joined := 0
	for _, target := range targets {
		if target.String() == m.address {
			continue
		}
		if ctx.Err() != nil {
			return joined, ctx.Err()
		}
		if m.life.Err() != nil {
			return joined, errClosed
		}
		n, joinErr := m.list.Join([]string{target.String()})
		joined, err = joined+n, errors.Join(err, joinErr)
	}
	return joined, err
}

// resolve gives the numeric addresses of a host:port, one at least; no host is every address
// of this machine. memberlist would look names up without a context, and over TCP at first.
func resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("address %s: its port is not a number below 65536", address)
	}
	ips := []netip.Addr{netip.IPv4Unspecified()}
	if host != "" {
		if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, err
		}
	}
	resolved := make([]netip.AddrPort, len(ips))
	for n, ip := range ips {
		resolved[n] = netip.AddrPortFrom(ip.Unmap(), uint16(number))
	}
	return resolved, nil
}

// seek asks the seeds again until another member is seen.
func (m *Members) seek() {
	for len(m.options.Seeds) > 0 && m.alone() {
		select {
		case <-m.life.Done():
			return
		case <-time.After(seekEvery + rand.N(seekJitter)): //nolint:gosec // nothing depends on who guesses it
		}
		if m.alone() {
			m.askSeeds(m.life, slog.LevelDebug)
		}
	}
}

// askSeeds tells the log when none answers: that may be the first member, or a wrong address.
func (m *Members) askSeeds(ctx context.Context, level slog.Level) {
	if _, err := m.Join(ctx, m.options.Seeds); err != nil {
		m.options.Logger.Log(ctx, level, "no seed answers", "error", err)
	}
}

// alone tells whether no other member is seen.
func (m *Members) alone() bool {
	return !slices.ContainsFunc(m.List(), func(other placement.Member) bool { return other.ID != m.options.Self.ID })
}
