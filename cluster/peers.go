package cluster

import (
	"maps"
	"net"
	"sync"
	"sync/atomic"

	"pannier/cluster/placement"
)

// peers is where other members were seen, for finding them again.
type peers struct {
	mu        sync.Mutex
	addresses map[placement.MemberID]string
	moved     atomic.Bool // the members changed since they were remembered
	rejoining atomic.Bool
}

// of gives the addresses of members.
func (p *peers) of(ids []placement.MemberID) (addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if address := p.addresses[id]; address != "" {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// Away are the members that were seen, in this life or an earlier one, and are not seen now,
// with where they talked to the others.
func (n *Node) Away() map[placement.MemberID]string {
	n.peers.mu.Lock()
	defer n.peers.mu.Unlock()
	away := make(map[placement.MemberID]string)
	view := n.View()
	for id, address := range n.peers.addresses {
		if _, seen := view.Member(id); !seen {
			away[id] = address
		}
	}
	return away
}

// rememberPeers keeps where the members are that are seen now.
func (n *Node) rememberPeers() {
	n.peers.mu.Lock()
	defer n.peers.mu.Unlock()
	if n.peers.addresses == nil {
		n.peers.addresses = make(map[placement.MemberID]string)
	}
	maps.Copy(n.peers.addresses, n.members.Addresses())
	n.forgetReplaced()
	all := make(map[string]string, len(n.peers.addresses))
	for id, address := range n.peers.addresses {
		all[string(id)] = address
	}
	if err := n.options.Disk.SavePeers(all); err != nil {
		n.options.Logger.Warn("peers could not be remembered", "error", err)
	}
}

// forgetReplaced forgets the members at whose address another one lives now: a machine got a new
// disk, and with it a new name.
func (n *Node) forgetReplaced() {
	view := n.View()
	living := map[string]bool{n.members.Address(): true}
	for id, address := range n.peers.addresses {
		if _, seen := view.Member(id); seen {
			living[address] = true
		}
	}
	maps.DeleteFunc(n.peers.addresses, func(id placement.MemberID, address string) bool {
		_, seen := view.Member(id)
		return !seen && living[address]
	})
}

// reachableAt is a bound address with the host at which others reach it.
func reachableAt(bound, advertise string) string {
	if advertise == "" {
		return bound
	}
	host := advertise
	if h, _, err := net.SplitHostPort(advertise); err == nil {
		host = h
	}
	_, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	return net.JoinHostPort(host, port)
}
