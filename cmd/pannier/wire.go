package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pannier/actors"
	"pannier/engine"
	"pannier/engine/egress"
	"pannier/engine/telemetry"
	"pannier/storage"
)

// member is a wired engine: the adapters meet here and nowhere else.
type member struct {
	folder   *storage.Folder
	state    *storage.State
	history  *storage.History
	sender   *egress.Sender
	system   *actors.System
	engine   *engine.Engine
	table    *engine.Table
	cluster  *clustered // nil: it runs alone
	journals journals
}

type memberOptions struct {
	logger    *slog.Logger
	telemetry *telemetry.Telemetry
	own       func() []netip.AddrPort
	address   string
}

// endpointPolicy judges what subscriptions ask for.
type endpointPolicy struct{ *egress.Guard }

func (endpointPolicy) CheckHeaders(headers map[string]string) error {
	return egress.CheckHeaders(headers)
}

// openMember opens the data folder, recovers and starts the actors.
func openMember(ctx context.Context, cfg Config, o memberOptions) (_ *member, err error) {
	m := &member{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close(ctx))
		}
	}()
	if m.folder, err = storage.OpenFolder(cfg.Data); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(o.telemetry)
	if err != nil {
		return nil, err
	}
	if err := m.openStores(o.logger); err != nil {
		return nil, err
	}
	guard := egress.NewGuard(egress.GuardOptions{
		AllowInsecure: cfg.AllowInsecureEndpoints, AllowPrivate: cfg.AllowPrivate, Own: o.own,
	})
	if m.sender, err = newSender(cfg, o, guard); err != nil {
		return nil, err
	}
	if err := m.start(ctx, cfg, o, guard, metrics); err != nil {
		return nil, err
	}
	return m, nil
}

// openStores opens the state and the history side by side: after a crash either has a log to
// read.
func (m *member) openStores(logger *slog.Logger) error {
	var opening sync.WaitGroup
	var failed error
	opening.Go(func() {
		if m.history, failed = storage.OpenHistory(m.folder.History(), storage.HistoryOptions{Logger: logger}); failed != nil {
			failed = fmt.Errorf("open the history: %w", failed)
		}
	})
	state, err := storage.OpenState(m.folder.State(), storage.StateOptions{Logger: logger})
	if err != nil {
		err = fmt.Errorf("open the state: %w", err)
	}
	opening.Wait()
	m.state = state
	return errors.Join(err, failed)
}

func newSender(cfg Config, o memberOptions, guard *egress.Guard) (*egress.Sender, error) {
	roots, err := endpointRoots(cfg.EndpointCA)
	if err != nil {
		return nil, err
	}
	return egress.NewSender(egress.SenderOptions{
		Guard: guard, Version: version(), Roots: roots, TracerProvider: o.telemetry.TracerProvider,
	}), nil
}

func (m *member) start(ctx context.Context, cfg Config, o memberOptions, guard *egress.Guard, metrics *memberMetrics) error {
	snapshot, err := m.state.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the state: %w", err)
	}
	table := engine.NewTable(snapshot.Versions)
	recent, dropped := engine.NewRecent(), engine.NewDroppedBatches(snapshot.Dropped)
	space := storage.NewFreeSpace(m.folder.Journal(), 0, nil)
	m.table = table
	m.journals = journals{dir: m.folder.Journal(), logger: o.logger, observe: metrics.journalSynced, space: space}
	made := make(chan struct{}) // the actors are at work before the engine is there
	state, openJournal := engine.State(m.state), m.journals.open
	var peers engine.Cluster
	if !cfg.clustered() {
		if left, err := os.ReadDir(filepath.Join(cfg.Data, copiesFolder)); err == nil && len(left) > 0 {
			return errors.New("the folder is that of a member of a cluster, and holds events that a server alone would leave behind; start it with --cluster-key and --join")
		}
	} else {
		if m.cluster, err = m.startCluster(ctx, cfg, o, table, snapshot); err != nil {
			return fmt.Errorf("join the cluster: %w", err)
		}
		state, openJournal, peers = m.cluster.node.State(m.state), m.cluster.openJournal, m.cluster.node
	}
	m.system, err = actors.Start(actors.Options{
		Table: table, State: state, Cluster: peers, History: m.history, Sender: m.sender, Recent: recent, Dropped: dropped,
		Snapshot: snapshot, Lanes: withRetention(cfg.Lanes, cfg.Retention), Retention: cfg.Retention,
		AutoPromoteRate: cfg.AutoPromoteRate, OpenJournal: openJournal, RemoveJournal: m.journals.remove,
		Clock: time.Now, Random: rand.Float64, Logger: o.logger, Metrics: metrics.forActors(), Tracer: o.telemetry.Tracer("pannier/actors"),
		Fatal: func(err error) {
			o.logger.Error("the engine failed; the process ends", "error", err)
			os.Exit(1)
		},
		Disable: func(id engine.SubscriptionID) {
			<-made
			if err := m.engine.Disable(context.Background(), id); err != nil {
				o.logger.Error("subscription could not be disabled", "subscription", string(id), "error", err)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("start the actors: %w", err)
	}
	m.engine = engine.New(engine.Options{
		State: state, Members: m.members(), History: m.history, Lanes: m.lanes(), Deliveries: m.deliveries(), Table: table, Recent: recent,
		Endpoints: endpointPolicy{guard}, Dropped: dropped, APIKeys: snapshot.APIKeys, Replays: snapshot.Replays,
		AdminKey: cfg.AdminKey, Clock: time.Now, Logger: o.logger,
		Member: engine.Member{
			ID: m.folder.Member(), Address: o.address, Boot: m.folder.Boot(), StartedAt: time.Now(),
		},
		Unready: m.unready(space), Warnings: m.warnings,
	})
	close(made)
	if m.cluster != nil {
		m.cluster.run()
	}
	m.engine.Resume()
	return metrics.observe(m)
}

// writeAndWait writes to this member's own state, behind every write before.
func (m *member) writeAndWait(changes ...engine.Write) error {
	written := make(chan struct{})
	if err := m.state.Write(changes, func() { close(written) }); err != nil {
		return err
	}
	<-written
	return nil
}

// lanes and deliveries are the actors as the engine sees them: in a cluster those of all members.
func (m *member) lanes() engine.Lanes {
	if m.cluster == nil {
		return m.system
	}
	return gathered{m.system, m.cluster}
}

func (m *member) deliveries() engine.Deliveries {
	if m.cluster == nil {
		return m.system
	}
	return gathered{m.system, m.cluster}
}

// members is the cluster as the API sees it.
func (m *member) members() engine.Members {
	if m.cluster == nil {
		return nil
	}
	return m.cluster
}

// unready says why events would be refused.
func (m *member) unready(space *storage.FreeSpace) func() error {
	return func() error {
		if err := space.Check(); err != nil || m.cluster == nil {
			return err
		}
		return m.cluster.node.Ready()
	}
}

// warnings names the records that could not be read, of adopted journals too: an operator should
// restore them from the producer.
func (m *member) warnings() []string {
	var warnings []string
	for _, lane := range m.system.Journals(context.Background()) {
		for _, r := range lane.Journal.Damage() {
			warnings = append(warnings, fmt.Sprintf("lane %s: records %d to %d are damaged", lane.Lane, r.From, r.Through))
		}
	}
	return warnings
}

// withRetention gives lanes without a retention of their own that of the server.
func withRetention(lanes []engine.LaneConfig, retention time.Duration) []engine.LaneConfig {
	result := make([]engine.LaneConfig, len(lanes))
	for n, lane := range lanes {
		if lane.Retention == 0 {
			lane.Retention = retention
		}
		result[n] = lane
	}
	return result
}

// stopNotice is how long a member of a cluster that stops still answers: a load balancer that asks
// /readyz sends requests to others by then.
const stopNotice = 2 * time.Second

// announceStop tells everybody who asks that the member stops. Others take its subscriptions over
// from then on.
func (m *member) announceStop(ctx context.Context) {
	m.engine.AnnounceStop()
	if m.cluster == nil {
		return
	}
	m.cluster.leave()
	notice := time.NewTimer(stopNotice)
	defer notice.Stop()
	select {
	case <-notice.C:
	case <-ctx.Done():
	}
}

// Close stops what was started, in the opposite order.
func (m *member) Close(ctx context.Context) error {
	var errs []error
	if m.engine != nil {
		m.engine.Close()
	}
	if m.cluster != nil && m.system != nil {
		m.cluster.drain(ctx)
	}
	if m.system != nil {
		m.system.Stop(ctx)
	}
	if m.cluster != nil {
		errs = append(errs, m.cluster.Close())
	}
	if m.sender != nil {
		m.sender.Close()
	}
	errs = append(errs, m.journals.close())
	if m.history != nil {
		errs = append(errs, m.history.Close())
	}
	if m.state != nil {
		errs = append(errs, m.state.Close())
	}
	if m.folder != nil {
		errs = append(errs, m.folder.Close())
	}
	return errors.Join(errs...)
}

// journals opens the journals of the lanes below one folder. Safe for concurrent use.
type journals struct {
	dir     string
	logger  *slog.Logger
	observe func(d time.Duration, records int)
	space   *storage.FreeSpace

	mu     sync.Mutex
	opened map[string]*storage.Journal
}

func (j *journals) open(lane engine.LaneRecord, synced uint64) (engine.Journal, error) {
	journal, err := storage.OpenJournal(filepath.Join(j.dir, lane.Name), lane.Journal, storage.JournalOptions{
		SyncedHint: synced, Space: j.space, Logger: j.logger, Observe: j.observe,
	})
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.opened == nil {
		j.opened = make(map[string]*storage.Journal)
	}
	j.opened[lane.Name] = journal
	return journal, nil
}

// byID finds an open journal.
func (j *journals) byID(id engine.JournalID) *storage.Journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, journal := range j.opened {
		if journal.ID() == id {
			return journal
		}
	}
	return nil
}

func (j *journals) remove(lane engine.LaneRecord) error {
	j.mu.Lock()
	delete(j.opened, lane.Name)
	j.mu.Unlock()
	return os.RemoveAll(filepath.Join(j.dir, lane.Name))
}

func (j *journals) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	for _, journal := range j.opened {
		errs = append(errs, journal.Close())
	}
	return errors.Join(errs...)
}
