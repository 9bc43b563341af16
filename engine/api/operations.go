package api

import (
	"context"
	"maps"
	"net/http"

	"pannier/engine"
)

// ClusterAnswer describes the cluster.
type ClusterAnswer struct {
	Name            string         `json:"name"`
	Replication     int            `json:"replication"`
	Shards          int            `json:"shards"`
	UnderReplicated int            `json:"under_replicated" doc:"Shards with fewer replicas than asked for."`
	Members         []MemberAnswer `json:"members" nullable:"false"`
}

// MemberAnswer describes one member of the cluster.
type MemberAnswer struct {
	ID                 string  `json:"id"`
	Address            string  `json:"address"`
	State              string  `json:"state" enum:"joining,active,draining,dead"`
	Boot               uint64  `json:"boot" doc:"One life of the member."`
	StartedAt          instant `json:"started_at" nullable:"true"`
	OwnedShards        int     `json:"owned_shards"`
	OwnedSubscriptions int     `json:"owned_subscriptions"`
	Backlog            uint64  `json:"backlog" doc:"Deliveries not settled."`
	Replicas           int     `json:"replicas" doc:"Shards whose retry state it keeps, owned ones included."`
	// Lag has a member for each of its followers.
	Lag    map[string]uint64 `json:"lag" nullable:"false" doc:"By follower: records of this member's journals that it has yet to copy."`
	Silent bool              `json:"silent,omitempty" doc:"It does not answer: its backlog and lag are not known."`
}

// LaneAnswer describes a lane on the member that answers.
type LaneAnswer struct {
	Name            string   `json:"name"`
	Topics          []string `json:"topics" nullable:"false"`
	Promoted        bool     `json:"promoted" doc:"Made by the engine for one busy topic."`
	EventsPerSecond float64  `json:"events_per_second"`
	Backlog         uint64   `json:"backlog" doc:"Deliveries that wait for their first attempt."`
	OldestAgeMS     int64    `json:"oldest_age_ms" doc:"Age of the oldest delivery that is due."`
	InFlight        int      `json:"in_flight"`
	Retention       duration `json:"retention"`
}

// StatsAnswer are the totals since the data folder was made.
type StatsAnswer struct {
	Accepted   uint64 `json:"accepted"`
	Matched    uint64 `json:"matched"`
	Delivered  uint64 `json:"delivered"`
	Retried    uint64 `json:"retried" doc:"Attempts beyond the first of a delivery."`
	Dead       uint64 `json:"dead"`
	Pending    uint64 `json:"pending"`
	Waiting    uint64 `json:"waiting" doc:"Pending without an attempt under way."`
	Attempting uint64 `json:"attempting"`
	// SilentMembers is not there where everybody answered.
	SilentMembers []string `json:"silent_members,omitempty" doc:"Members of the cluster that did not answer: what they count is missing."`
}

func (s *Server) addOperations() {
	handle(s, operation(tagOperations, http.MethodGet, "/v1/cluster", "get-cluster",
		"Look at the members; a single member is a cluster of one"), observers, s.cluster)
	handle(s, operation(tagOperations, http.MethodGet, "/v1/lanes", "list-lanes",
		"Look at the lanes of this member"), observers, s.lanes)
	handle(s, operation(tagOperations, http.MethodGet, "/v1/stats", "get-stats",
		"Totals since the data folder was made"), observers, s.stats)
}

func (s *Server) cluster(ctx context.Context, _ engine.Caller, _ *nothing) (*struct{ Body ClusterAnswer }, error) {
	view := s.engine.Cluster(ctx)
	answer := ClusterAnswer{
		Name: view.Name, Replication: view.Replication, Shards: view.Shards,
		UnderReplicated: view.UnderReplicated, Members: make([]MemberAnswer, len(view.Members)),
	}
	for i, m := range view.Members {
		answer.Members[i] = MemberAnswer{
			ID: m.ID, Address: m.Address, State: m.State, Boot: m.Boot, StartedAt: instant(m.StartedAt),
			OwnedShards: m.OwnedShards, OwnedSubscriptions: m.OwnedSubscriptions, Backlog: m.Backlog,
			Replicas: m.Replicas, Lag: maps.Clone(m.Lag), Silent: m.Silent,
		}
		if m.Lag == nil {
			answer.Members[i].Lag = map[string]uint64{}
		}
	}
	return &struct{ Body ClusterAnswer }{answer}, nil
}

func (s *Server) lanes(ctx context.Context, _ engine.Caller, _ *nothing) (*listAnswer[LaneAnswer], error) {
	views := engine.Listed[engine.LaneView]{Items: s.engine.Lanes(ctx)}
	return listed(ctx, views, func(v engine.LaneView) LaneAnswer {
		return LaneAnswer{
			Name: v.Name, Topics: append([]string{}, v.Topics...), Promoted: v.Promoted,
			EventsPerSecond: v.EventsPerSecond, Backlog: v.Backlog, OldestAgeMS: v.OldestAge.Milliseconds(),
			InFlight: v.InFlight, Retention: duration(v.Retention),
		}
	}), nil
}

func (s *Server) stats(ctx context.Context, _ engine.Caller, _ *nothing) (*struct{ Body StatsAnswer }, error) {
	v := s.engine.Stats(ctx)
	return &struct{ Body StatsAnswer }{StatsAnswer{
		Accepted: v.Accepted, Matched: v.Matched, Delivered: v.Delivered, Retried: v.Retried, Dead: v.Dead,
		Pending: v.Pending, Waiting: v.Waiting, Attempting: v.Attempting, SilentMembers: engine.SilentMembers(ctx),
	}}, nil
}
