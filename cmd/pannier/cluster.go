package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// clusterKeyBytes is the length of a cluster key.
const clusterKeyBytes = 32

// clusterCommand shows the cluster; a server alone is a cluster of one.
type clusterCommand struct {
	Members clusterMembers `cmd:"" default:"withargs" help:"List the members."`
	Keygen  clusterKeygen  `cmd:"" help:"Print a new cluster key."`
}

type clusterMembers struct {
	outputFlags
}

type clusterAnswer struct {
	UnderReplicated int         `json:"under_replicated"`
	Members         []memberRow `json:"members"`
}

type memberRow struct {
	ID                 string `json:"id"`
	Address            string `json:"address"`
	State              string `json:"state"`
	StartedAt          string `json:"started_at"`
	OwnedShards        int    `json:"owned_shards"`
	Replicas           int    `json:"replicas"`
	OwnedSubscriptions int    `json:"owned_subscriptions"`
	Backlog            uint64 `json:"backlog"`
	// Lag are the records that each of its followers has yet to copy.
	Lag    map[string]uint64 `json:"lag"`
	Silent bool              `json:"silent"`
}

func (m memberRow) cells() []string {
	backlog, lag := strconv.FormatUint(m.Backlog, 10), m.lag()
	if m.Silent {
		backlog, lag = "no answer", ""
	}
	return []string{
		m.ID, m.Address, m.State, strconv.Itoa(m.OwnedShards), strconv.Itoa(m.Replicas), strconv.Itoa(m.OwnedSubscriptions),
		backlog, lag, m.StartedAt,
	}
}

// lag names the followers that are behind.
func (m memberRow) lag() string {
	var behind []string
	for _, follower := range slices.Sorted(maps.Keys(m.Lag)) {
		if n := m.Lag[follower]; n > 0 {
			behind = append(behind, follower+":"+strconv.FormatUint(n, 10))
		}
	}
	return cmp.Or(strings.Join(behind, ","), "0")
}

// Run prints the members.
func (m *clusterMembers) Run(ctx context.Context, c console) error {
	api, err := clientFromEnvironment()
	if err != nil {
		return err
	}
	body, err := api.do(ctx, call{method: http.MethodGet, path: pathOf("cluster")})
	if err != nil {
		return err
	}
	var answer clusterAnswer
	if err := decodeAnswer(body, &answer); err != nil {
		return err
	}
	head := []string{"ID", "ADDRESS", "STATE", "SHARDS", "REPLICAS", "SUBSCRIPTIONS", "BACKLOG", "LAG", "STARTED"}
	printPage(c, m.outputFlags, body, answer.Members, head)
	if n := answer.UnderReplicated; n > 0 {
		c.note(strconv.Itoa(n) + " shards and journals have fewer copies than asked for")
	}
	return nil
}

type clusterKeygen struct{}

// Run prints a random cluster key: the content of the file that --cluster-key names.
func (clusterKeygen) Run(c console) error { //nolint:unparam // kong wants it
	key := make([]byte, clusterKeyBytes)
	rand.Read(key) // it never fails: it ends the process
	c.print(base64.StdEncoding.EncodeToString(key) + "\n")
	return nil
}
