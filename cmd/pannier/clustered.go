package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pannier/cluster"
	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/storage"
)

// clustered is what a member of a cluster has beside a member that runs alone: the node, and
// the copies of journals on its disk.
type clustered struct {
	member    *member
	node      *cluster.Node
	copies    *storage.Copies
	logger    *slog.Logger
	retention func(lane string) time.Duration
	peers     string // the file with where other members were seen
	api       http.Handler
	ready     chan struct{} // closed when api is set
	left      sync.Once
	stopped   chan struct{}
	work      sync.WaitGroup
}

// clusterName is the name of every cluster: its key tells it from others.
const clusterName = "pannier"

// copiesFolder is where a member of a cluster keeps the journals that no lane of this life writes.
const copiesFolder = "copies"

// startCluster joins the cluster. The journals of earlier lives become copies; snapshot has
// only what is of this life afterwards.
func (m *member) startCluster(ctx context.Context, cfg Config, o memberOptions, table *engine.Table, snapshot *engine.Snapshot) (*clustered, error) {
	key, err := readClusterKey(cfg.ClusterKey)
	if err != nil {
		return nil, err
	}
	c := &clustered{retention: retentionOf(cfg), member: m, logger: o.logger, peers: filepath.Join(cfg.Data, "peers"), ready: make(chan struct{}), stopped: make(chan struct{})}
	folder := filepath.Join(cfg.Data, copiesFolder)
	c.copies, err = storage.OpenCopies(folder, storage.JournalOptions{Space: m.journals.space, Logger: o.logger})
	if err != nil {
		return nil, err
	}
	if err := c.retireJournals(snapshot); err != nil {
		return nil, err
	}
	if err := c.convert(ctx, cfg.Data, snapshot); err != nil {
		return nil, err
	}
	holding, err := m.state.EntryShards(ctx)
	if err != nil {
		return nil, err
	}
	c.node, err = cluster.Start(ctx, cluster.Options{
		Self: placement.Member{
			ID: placement.MemberID(m.folder.Member()), Boot: m.folder.Boot(), State: placement.Joining, Salt: m.folder.Salt(),
			API: o.address, StartedAt: time.Now().UTC().Truncate(time.Millisecond),
		},
		CertFile: cfg.ClusterCert, KeyFile: cfg.ClusterCertKey, CAFile: cfg.ClusterCA,
		Cluster: clusterName, Key: key, Bind: cfg.Bind, Advertise: cfg.Advertise, RPC: cfg.RPC, Seeds: cfg.Join,
		Replication: cfg.Replication, AllowDegraded: cfg.AllowDegraded, Table: table, Copies: c.protocolCopies(),
		Holding: holding, Peers: c.readPeers(), Disk: clusterDisk{c}, Logger: o.logger, Handle: c.handle,
		Codec: cluster.Codec{
			EncodeEvent: storage.EncodeEvent, DecodeEvent: storage.DecodeEvent,
			EncodeAccount: storage.EncodeAccount, EntriesOf: storage.EntriesOf,
		},
		KeepSalt: m.folder.KeepSalt,
		Fatal: func(err error) {
			o.logger.Error("the cluster's state cannot be written; the process ends", "error", err)
			os.Exit(1)
		},
	})
	return c, err
}

// retentionOf says how long the events of a lane are kept.
func retentionOf(cfg Config) func(lane string) time.Duration {
	lanes := make(map[string]time.Duration)
	for _, lane := range withRetention(cfg.Lanes, cfg.Retention) {
		lanes[lane.Name] = lane.Retention
	}
	return func(lane string) time.Duration {
		if retention, configured := lanes[lane]; configured {
			return retention
		}
		return cfg.Retention
	}
}

// retireJournals turns the journals of earlier lives into copies: each life writes journals of
// its own, so that nobody ever writes what another has a copy of.
func (c *clustered) retireJournals(snapshot *engine.Snapshot) error {
	m := c.member
	var promoted []engine.LaneRecord
	var writes []engine.Write
	for _, lane := range snapshot.Lanes {
		folder := filepath.Join(m.folder.Journal(), lane.Name)
		if _, err := os.Stat(folder); err == nil {
			mark, cursors := accountIn(snapshot, lane.Journal)
			of := storage.CopyOf{Journal: lane.Journal, Origin: m.folder.Member(), Boot: m.folder.Boot() - 1, Lane: lane.Name}
			if err := c.copies.Retire(folder, of, mark.Release(cursors), storage.EncodeAccount(mark, cursors)); err != nil {
				return err
			}
		}
		if lane.Promoted {
			lane.Journal = engine.NewJournalID()
			promoted = append(promoted, lane)
			writes = append(writes, engine.PutLane{LaneRecord: lane})
		} else {
			writes = append(writes, engine.DropLane{Name: lane.Name})
		}
	}
	snapshot.Lanes = promoted
	// The next life must find the journal that this one opens by the id that it has.
	return m.writeAndWait(writes...)
}

// accountIn is what the state knows of a journal.
func accountIn(snapshot *engine.Snapshot, journal engine.JournalID) (mark engine.Watermark, cursors []engine.Cursor) {
	mark = engine.Watermark{Journal: journal, Sequence: 1}
	for _, w := range snapshot.Watermarks {
		if w.Journal == journal {
			mark = w
		}
	}
	for _, cursor := range snapshot.Cursors {
		if cursor.Journal == journal {
			cursors = append(cursors, cursor)
		}
	}
	return mark, cursors
}

func (c *clustered) protocolCopies() []protocol.Copy {
	list := c.copies.List()
	copies := make([]protocol.Copy, len(list))
	for n, held := range list {
		copies[n] = protocol.Copy{
			Journal: protocol.JournalRef{
				ID: held.Journal, Origin: placement.MemberID(held.Origin), Boot: held.Boot, Lane: held.Lane,
			},
			Base: held.Begun, Next: held.Next, Release: held.Release, State: held.Account,
		}
	}
	return copies
}

// missingIn finds where a journal goes on that lacks what was asked for.
func missingIn(err error) (missing *storage.MissingError, found bool) {
	found = errors.As(err, &missing)
	return missing, found
}

// openJournal opens the journal of a lane of this life, which other members copy.
func (c *clustered) openJournal(lane engine.LaneRecord, synced uint64) (engine.Journal, error) {
	journal, err := c.member.journals.open(lane, synced)
	if err != nil {
		return nil, err
	}
	return c.node.Keep(lane.Name, journal), nil
}

// leave hands the subscriptions of this member on. A second time does nothing.
func (c *clustered) leave() {
	c.left.Do(func() {
		if err := c.node.Leave(); err != nil {
			c.logger.Warn("the other members could not be told that this one leaves", "error", err)
		}
	})
}

// drain leaves, and waits until nothing of this member's journals is undischarged and the others
// know what it has delivered for them, for as long as a stop may take.
func (c *clustered) drain(ctx context.Context) {
	c.leave()
	ctx, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for c.member.system.Undischarged() > 0 || c.node.OwesAnswers() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

const (
	// drainFor is how long a member waits for its subscriptions' deliveries to end or to be
	// handed on; what is left then is adopted by others.
	drainFor  = 8 * time.Second
	drainPoll = 50 * time.Millisecond
)

// run gives the node the actors, once they are there.
func (c *clustered) run() {
	c.node.Run(clusterActors{c})
	c.work.Go(c.compareKeys)
	c.work.Go(c.trimCopies)
}

// trimEvery is how often copies are rid of what left the retention.
const trimEvery = 30 * time.Second

// trimCopies removes from copies that nobody here keeps what left the retention; who keeps one
// trims it like its own.
func (c *clustered) trimCopies() {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			kept := make(map[engine.JournalID]bool)
			for _, lane := range c.member.system.Journals(context.Background()) {
				kept[lane.Journal.ID()] = true
			}
			if err := c.copies.Trim(time.Now(), c.retention, kept); err != nil {
				c.logger.Error("copies of journals could not be trimmed", "error", err)
			}
		case <-c.stopped:
			return
		}
	}
}

// Close leaves the cluster.
func (c *clustered) Close() error {
	close(c.stopped)
	c.work.Wait()
	var errs []error
	if c.node != nil {
		errs = append(errs, c.node.Close())
	}
	if c.copies != nil {
		errs = append(errs, c.copies.Close())
	}
	return errors.Join(errs...)
}

func (c *clustered) readPeers() map[placement.MemberID]string {
	var saved map[placement.MemberID]string
	if content, err := os.ReadFile(c.peers); err == nil {
		if err := json.Unmarshal(content, &saved); err != nil {
			c.logger.Warn("remembered peers could not be read", "error", err)
		}
	}
	return saved
}

// handle answers other members.
func (c *clustered) handle(ctx context.Context, _ placement.MemberID, method string, request []byte) ([]byte, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if method == callHTTP {
		return c.serveForwarded(ctx, request)
	}
	answer, known := c.calls()[method]
	if !known {
		return nil, engine.Errorf(engine.CodeInvalid, "unknown call %q", method)
	}
	return answer(ctx, request)
}
