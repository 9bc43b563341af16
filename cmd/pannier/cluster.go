package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
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
	Members []memberRow `json:"members"`
}

type memberRow struct {
	ID                 string `json:"id"`
	Address            string `json:"address"`
	State              string `json:"state"`
	StartedAt          string `json:"started_at"`
	OwnedShards        int    `json:"owned_shards"`
	OwnedSubscriptions int    `json:"owned_subscriptions"`
	Backlog            uint64 `json:"backlog"`
}

func (m memberRow) cells() []string {
	return []string{
		m.ID, m.Address, m.State, strconv.Itoa(m.OwnedShards), strconv.Itoa(m.OwnedSubscriptions),
		strconv.FormatUint(m.Backlog, 10), m.StartedAt,
	}
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
	head := []string{"ID", "ADDRESS", "STATE", "SHARDS", "SUBSCRIPTIONS", "BACKLOG", "STARTED"}
	printPage(c, m.outputFlags, body, answer.Members, head)
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
