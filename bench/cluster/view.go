package main

import (
	"context"
	"fmt"
	"net"
	"time"
)

// view is what a member says of the cluster.
type view struct {
	UnderReplicated int `json:"under_replicated"`
	Members         []struct {
		ID      string `json:"id"`
		Address string `json:"address"`
		State   string `json:"state"`
		Backlog uint64 `json:"backlog"`
	} `json:"members"`
}

// active counts the members that are active.
func (v *view) active() (n int) {
	for _, m := range v.Members {
		if m.State == "active" {
			n++
		}
	}
	return n
}

// others says who is not active.
func (v *view) others() (words string) {
	for _, m := range v.Members {
		if m.State != "active" {
			words += "; " + m.ID + " at " + m.Address + " is " + m.State
		}
	}
	return words
}

func (v *view) backlog() (sum uint64) {
	for _, m := range v.Members {
		sum += m.Backlog
	}
	return sum
}

// at finds the member with an address.
func (v *view) at(host string) (id string) {
	for _, m := range v.Members {
		if m.Address == net.JoinHostPort(host, portAPI) && m.State == "active" {
			id = m.ID
		}
	}
	return id
}

// whole tells whether every member that runs says that all of them are active and that nothing
// has too few copies; reason is why not, backlog the most that anybody sees pending.
func (g *group) whole(ctx context.Context, c *client) (reason string, backlog uint64) {
	present := g.present()
	if len(present) < g.size {
		return fmt.Sprintf("%d of %d members run", len(present), g.size), 0
	}
	for _, p := range present {
		var v view
		if err := c.get(ctx, g.net.host(p.number), "/v1/cluster", &v); err != nil {
			return err.Error(), 0
		}
		if v.active() != len(present) {
			return fmt.Sprintf("member %d sees %d active members of %d%s", p.number, v.active(), len(present), v.others()), 0
		}
		if v.UnderReplicated != 0 {
			return fmt.Sprintf("member %d says that %d are under-replicated", p.number, v.UnderReplicated), 0
		}
		backlog = max(backlog, v.backlog())
	}
	return "", backlog
}

// lookEvery is how often the cluster is asked how it is.
const lookEvery = 250 * time.Millisecond

// awaitWhole waits until the cluster is whole, twice in a row.
func (g *group) awaitWhole(ctx context.Context, c *client, within time.Duration) error {
	reason, good := "", 0
	for end := time.Now().Add(within); time.Now().Before(end); {
		if reason, _ = g.whole(ctx, c); reason == "" {
			if good++; good == 2 {
				return nil
			}
		} else {
			good = 0
		}
		if !pause(ctx, lookEvery) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("the cluster is not whole after %v: %s", within, reason)
}
