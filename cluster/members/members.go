// Package members tells who else is in the cluster: which members live, what each says of
// itself, and where they were seen. It is memberlist behind one type, with what memberlist
// leaves to its users: a list of our own that nothing changes under its reader, names that
// are new with each life, the refusal of members with which there can be no cluster, and a
// search for the first other member.
//
//	memberlist ──callbacks──► delegate ──► roster ──kick──► tell ──► Options.Changed
//	    ▲                                    ▲
//	    └── Join, SetState, Leave, seeds     └── List, Addresses
//
// It does not look for members that were lost: memberlist does not heal a partition, so who
// uses this package has to call Join for them. A false alarm costs duplicates, so that fast
// detection is worth more than certainty.
package members

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"pannier/cluster/placement"

	"github.com/hashicorp/memberlist"
)

const (
	// announceTimeout bounds how long SetState waits until its message has been sent often
	// enough. Members that missed it hear of it with the next exchange.
	announceTimeout = 2 * time.Second
	// leaveTimeout is how long Leave waits when it is given no time: memberlist would wait
	// without end.
	leaveTimeout = time.Second
)

var errClosed = errors.New("the membership is over")

// Members is a member's seat in the cluster. Safe for concurrent use.
type Members struct {
	options Options
	roster  *roster
	list    *memberlist.Memberlist
	address string // of our gossip, as others have it

	life context.Context // ended by Close
	end  context.CancelFunc
	work sync.WaitGroup

	// turn is held by what makes memberlist announce something: the last word of the last
	// call is the one that others hear last.
	turn   sync.Mutex
	left   bool
	closed bool
}

// Start opens the gossip's sockets, asks the seeds once and goes on with those that answer; when
// none does, it goes on alone and asks again every second until it sees another member.
// ctx bounds the start only. Errors: options that are wrong, an address that is not known or in
// use.
func Start(ctx context.Context, options Options) (*Members, error) {
	m, err := start(ctx, options.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("start membership: %w", err)
	}
	return m, nil
}

func start(ctx context.Context, options Options) (*Members, error) {
	self, err := options.self()
	if err != nil {
		return nil, err
	}
	m := &Members{options: options, roster: newRoster(self)}
	m.life, m.end = context.WithCancel(context.WithoutCancel(ctx))
	config, err := options.config(ctx, m.life, self.name())
	if err != nil {
		m.end()
		return nil, err
	}
	d := newDelegate(m.roster, options.Logger)
	config.Delegate, config.Events, config.Alive, config.Merge = d, d, d, d
	if m.list, err = memberlist.Create(config); err != nil {
		m.end()
		return nil, fmt.Errorf("open gossip at %s: %w", options.Bind, err)
	}
	m.address = m.list.LocalNode().Address()
	m.askSeeds(ctx, slog.LevelWarn)
	m.work.Go(m.tell)
	m.work.Go(m.seek)
	return m, nil
}

// List is the members that live, in order of ID, one life of each: the newest. This member is
// among them until it is closed; should its place be taken by a life with another boot, then
// another process has a copy of its disk. The list is the caller's.
func (m *Members) List() []placement.Member { return m.roster.list() }

// Addresses tells where the others talk to each other (host:port), those included that are away
// by now: what Join can be called with, also in a later life. The map is the caller's.
func (m *Members) Addresses() map[placement.MemberID]string { return m.roster.addresses() }

// Address is where this member's gossip is, as the others have it.
func (m *Members) Address() string { return m.address }

// SetState announces a state to the others and waits up to 2 seconds until that is sent. The
// state holds even with an error: others hear of it within the next exchanges of lists, of
// which there is one every 10 seconds. After Leave or Close it is an error, and nothing changes.
func (m *Members) SetState(state placement.State) error {
	if state < placement.Joining || state > placement.Draining {
		return fmt.Errorf("announce state: there is no state %d", state)
	}
	return m.announce("state", func(self *meta) { self.State = state })
}

// SetSalt announces a place like SetState a state.
func (m *Members) SetSalt(salt uint16) error {
	if salt > placement.Salts {
		return fmt.Errorf("announce place: there is no place %d", salt)
	}
	return m.announce("place", func(self *meta) { self.Salt = salt })
}

func (m *Members) announce(what string, change func(self *meta)) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.left || m.closed {
		return fmt.Errorf("announce %s: %w", what, errClosed)
	}
	m.roster.change(change)
	if err := m.list.UpdateNode(announceTimeout); err != nil {
		return fmt.Errorf("announce %s: %w", what, err)
	}
	return nil
}

// Leave tells the others that this member goes, and waits until that is sent, at most for
// timeout (1 second when it is not positive). The members can still be listed; Close comes next.
// A second Leave, or one after Close, does nothing.
func (m *Members) Leave(timeout time.Duration) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.left || m.closed {
		return nil
	}
	m.left = true
	if timeout <= 0 {
		timeout = leaveTimeout
	}
	if err := m.list.Leave(timeout); err != nil {
		return fmt.Errorf("leave members: %w", err)
	}
	return nil
}

// Close ends the gossip and what belongs to it; Changed is not called any more afterwards, and
// must not call Close itself. Without Leave the others take this member for dead once they miss
// its answers. A probe that is under way ends on its own, within 8 intervals. A second Close does
// nothing.
func (m *Members) Close() error {
	m.end()
	m.work.Wait()
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	if err := m.list.Shutdown(); err != nil {
		return fmt.Errorf("close membership: %w", err)
	}
	return nil
}

// tell calls Changed whenever the list is another one than at the last call.
func (m *Members) tell() {
	var last []placement.Member
	for {
		list := m.roster.list()
		if m.options.Changed != nil && !slices.Equal(list, last) {
			m.options.Changed(slices.Clone(list))
			last = list
		}
		select {
		case <-m.life.Done():
			return
		case <-m.roster.changed:
		}
	}
}
