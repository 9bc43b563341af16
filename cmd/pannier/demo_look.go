package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// lookTimeout bounds one question to one member.
const lookTimeout = 2 * time.Second

// clusterSeen is the cluster as one member sees it.
type clusterSeen struct {
	UnderReplicated int         `json:"under_replicated"`
	Members         []memberRow `json:"members"`
}

// look asks the first member that answers.
func (d *clusterDemo) look(ctx context.Context) (seen clusterSeen, err error) {
	err = d.ask(ctx, func(ctx context.Context, api *client) error {
		seen = clusterSeen{}
		_, err := api.get(ctx, pathOf("cluster"), nil, &seen)
		return err
	})
	return seen, err
}

// ask asks the members that live, one after the other, until one answers.
func (d *clusterDemo) ask(ctx context.Context, question func(ctx context.Context, api *client) error) error {
	failed := errors.New("no member lives")
	for _, m := range d.members {
		if !m.lives() {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, lookTimeout)
		failed = question(asking, m.api)
		cancel()
		if failed == nil {
			return nil
		}
	}
	return failed
}

// of finds a member's row.
func (s clusterSeen) of(m *demoMember) memberRow {
	for _, row := range s.Members {
		if row.ID == m.id {
			return row
		}
	}
	return memberRow{State: "gone"}
}

// identify finds the names that the members have given themselves.
func (s clusterSeen) identify(members []*demoMember) error {
	for _, m := range members {
		for _, row := range s.Members {
			if row.Address == m.listen {
				m.id = row.ID
			}
		}
		if m.id == "" {
			return fmt.Errorf("the cluster does not know %s", m.name)
		}
	}
	return nil
}

// whole tells whether all members see all members, and what each keeps has its copies.
func (d *clusterDemo) whole(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, m := range d.members {
		var seen clusterSeen
		if _, err := m.api.get(ctx, pathOf("cluster"), nil, &seen); err != nil || seen.UnderReplicated > 0 {
			return false
		}
		for _, other := range d.members {
			if seen.of(other).State != "active" {
				return false
			}
		}
	}
	return true
}

// states is one line: what each member is to the others, and how many shards it owns.
func (d *clusterDemo) states(seen clusterSeen) string {
	states := make([]string, len(d.members))
	for n, m := range d.members {
		row := seen.of(m)
		states[n] = fmt.Sprintf("%d %s %d", n+1, printable(row.State), row.OwnedShards)
	}
	return strings.Join(states, ", ")
}

// membersTable is the same as a table, with the processes.
func (d *clusterDemo) membersTable(seen clusterSeen) string {
	lines := make([][]string, len(d.members))
	for n, m := range d.members {
		row, process := seen.of(m), fmt.Sprint(m.pid())
		if !m.lives() {
			process = "none"
		}
		lines[n] = []string{
			m.name, process, printable(row.State), fmt.Sprint(row.OwnedShards), fmt.Sprint(row.OwnedSubscriptions), fmt.Sprint(row.Backlog),
		}
	}
	return table([]string{"MEMBER", "PROCESS", "STATE", "SHARDS", "SUBSCRIPTIONS", "BACKLOG"}, lines)
}
