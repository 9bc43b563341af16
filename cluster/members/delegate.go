package members

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/memberlist"
)

// maxRefused bounds the lives that are remembered as refused, so that each is logged once.
const maxRefused = 1024

// refusal begins the errors of refusals, so that memberlist's lines about them are known.
const refusal = "member refused"

var (
	_ memberlist.Delegate      = (*delegate)(nil)
	_ memberlist.EventDelegate = (*delegate)(nil)
	_ memberlist.AliveDelegate = (*delegate)(nil)
	_ memberlist.MergeDelegate = (*delegate)(nil)

	errOtherName = errors.New("its name is not that of its description")
)

// delegate is what memberlist calls. Most calls come under memberlist's lock: none blocks, and
// none calls memberlist.
type delegate struct {
	roster *roster
	logger *slog.Logger

	mu      sync.Mutex
	refused map[string]bool // by name
}

func newDelegate(roster *roster, logger *slog.Logger) *delegate {
	return &delegate{roster: roster, logger: logger, refused: make(map[string]bool)}
}

// NodeMeta is what this member says of itself.
func (d *delegate) NodeMeta(int) []byte { return d.roster.own().encode() }

// NotifyMsg ignores messages: members talk over their own streams.
func (d *delegate) NotifyMsg([]byte) {}

// GetBroadcasts has none.
func (d *delegate) GetBroadcasts(_, _ int) [][]byte { return nil }

// LocalState has none.
func (d *delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState ignores it.
func (d *delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses a member with which this one cannot be in a cluster.
func (d *delegate) NotifyAlive(node *memberlist.Node) error {
	if _, err := d.judge(node); err != nil {
		d.logRefusal(node, err)
		return fmt.Errorf("%s: %w", refusal, err)
	}
	return nil
}

// NotifyMerge refuses to join a cluster, or to be joined by one, that has such a member alive.
func (d *delegate) NotifyMerge(nodes []*memberlist.Node) error {
	for _, node := range nodes {
		if node.State == memberlist.StateDead || node.State == memberlist.StateLeft {
			continue
		}
		if err := d.NotifyAlive(node); err != nil {
			return err
		}
	}
	return nil
}

// NotifyJoin notes a member that came.
func (d *delegate) NotifyJoin(node *memberlist.Node) {
	if m, err := d.judge(node); err == nil {
		d.roster.put(m.Member, node.Address())
	}
}

// NotifyUpdate notes what a member says of itself now.
func (d *delegate) NotifyUpdate(node *memberlist.Node) { d.NotifyJoin(node) }

// NotifyLeave notes a member that left or died.
func (d *delegate) NotifyLeave(node *memberlist.Node) {
	if m, err := d.judge(node); err == nil {
		d.roster.remove(m.Member)
	}
}

// judge reads what a member says of itself and tells why it is refused.
func (d *delegate) judge(node *memberlist.Node) (meta, error) {
	m, err := decodeMeta(node.Meta)
	if err != nil {
		return meta{}, err
	}
	if node.Name != m.name() {
		return meta{}, errOtherName
	}
	return m, d.roster.own().fits(m)
}

func (d *delegate) logRefusal(node *memberlist.Node, reason error) {
	if d.isNew(node.Name) {
		d.logger.Warn(refusal, "member", node.Name, "address", node.Address(), "error", reason)
	}
}

// isNew tells whether a life is refused for the first time.
func (d *delegate) isNew(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused[name] {
		return false
	}
	if len(d.refused) >= maxRefused {
		clear(d.refused)
	}
	d.refused[name] = true
	return true
}
