package engine

import "context"

// Ready says whether the member takes requests.
func (e *Engine) Ready() Readiness {
	r := Readiness{Ready: true, Reasons: []string{}, Warnings: []string{}}
	if e.unready != nil {
		if err := e.unready(); err != nil {
			r.Ready, r.Reasons = false, append(r.Reasons, ErrorMessage(err))
		}
	}
	if e.stopping.Load() {
		r.Ready, r.Reasons = false, append(r.Reasons, "the member is stopping")
	}
	if e.warnings != nil {
		r.Warnings = append(r.Warnings, e.warnings()...)
	}
	return r
}

// AnnounceStop has Ready say that the member stops. What is still asked for is answered as before.
func (e *Engine) AnnounceStop() { e.stopping.Store(true) }

// Cluster describes the cluster: this member alone owns every shard.
func (e *Engine) Cluster(ctx context.Context) ClusterView {
	if e.cluster != nil {
		return e.cluster.View(ctx)
	}
	stats := e.deliveries.Stats(ctx)
	return ClusterView{
		Name: "pannier", Replication: 1, Shards: Shards,
		Members: []MemberView{{
			ID: e.member.ID, Address: e.member.Address, State: "active", Boot: e.member.Boot,
			StartedAt: e.member.StartedAt, OwnedShards: Shards, Replicas: Shards, OwnedSubscriptions: e.table.Len(), Backlog: stats.Pending,
		}},
	}
}

// Lanes describes the lanes.
func (e *Engine) Lanes(ctx context.Context) []LaneView { return e.lanes.Views(ctx) }

// Stats gives the totals since the data folder was made.
func (e *Engine) Stats(ctx context.Context) StatsView { return e.deliveries.Stats(ctx) }
