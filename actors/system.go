// Package actors carries accepted events to their end: an ingress actor for each lane, a
// supervised subscription actor for each subscription that has work, the sender pool, the
// timers, and the recovery of what a crash left. It drives the pure machines of
// engine/delivery and engine/ledger; it decides nothing about a delivery itself.
//
// A mailbox message is a hint: what is true is in the journal and in the state, and an
// actor that (re)starts is built from them. protoactor-go is used for its actors alone;
// mailbox, supervisor strategy and passivation are ours (see DESIGN.md).
package actors

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
)

// Options are what a System is made from.
type Options struct {
	Table   *engine.Table
	State   engine.State
	History engine.History
	Sender  engine.Sender
	// Cluster is nil for a member that runs alone.
	Cluster  engine.Cluster
	Recent   *engine.Recent
	Dropped  *engine.DroppedBatches
	Snapshot *engine.Snapshot

	Lanes           []engine.LaneConfig // configured ones, in order
	Retention       time.Duration       // of the shared lane
	AutoPromoteRate float64             // events a second that give a topic its own lane; 0: never
	// OpenJournal opens or makes the journal of a lane; synced is the last sequence the state
	// knows to be there. RemoveJournal deletes one that is drained and no longer configured.
	OpenJournal   func(lane engine.LaneRecord, synced uint64) (engine.Journal, error)
	RemoveJournal func(lane engine.LaneRecord) error

	Clock   engine.Clock
	Random  func() float64 // jitter in [0, 1)
	Logger  *slog.Logger
	Metrics Metrics
	// Tracer makes the spans `route`; nil makes none.
	Tracer trace.Tracer
	// Disable is called for a subscription whose endpoint said 410 and that asked for it.
	Disable func(engine.SubscriptionID)
	// Fatal is called when an ingress actor or a supervisor panicked: an invariant is violated
	// and the process must end.
	Fatal func(error)
}

// Metrics is told what happens; every function is set and does not block.
type Metrics struct {
	Accepted  func(lane string, events int)
	Attempted func(lane string, outcome engine.Outcome)
	Delivered func(lane string, after time.Duration)
	DeadEnded func(lane string, reason engine.Reason)
}

// System is the actors of one member. Safe for concurrent use.
type System struct {
	table   *engine.Table
	state   engine.State
	history engine.History
	sender  engine.Sender
	cluster engine.Cluster
	recent  *engine.Recent
	dropped *engine.DroppedBatches
	options Options
	clock   engine.Clock
	random  func() float64
	logger  *slog.Logger

	protoactor *actor.ActorSystem
	guardian   *guardian
	root       *actor.RootContext
	registry   *registry
	lanes      *laneSet
	attempts   *attempts
	readers    *readers
	timers     *timers
	totals     totals
	held       *heldParts
	loads      chan struct{} // a place for each of maxLoads
	// before is what the state held at start of the subscriptions that had any.
	before map[engine.SubscriptionID]*endings

	stopping    atomic.Bool
	indexing    atomic.Int64 // adopted journals whose latest ids are not indexed yet
	stopped     chan struct{}
	backgrounds sync.WaitGroup

	backgroundMu   sync.Mutex
	backgroundOver bool // Stop waits: nothing is added any more
}

// endings says which deliveries of a subscription had left the journal's care at start.
type endings struct {
	records bool
	dead    bool
	done    map[engine.EventRef]bool
}

// Start recovers what the state and the journals hold and starts the actors. Errors: those
// of OpenJournal and of the state.
func Start(o Options) (*System, error) {
	s := &System{
		table: o.Table, state: o.State, history: o.History, sender: o.Sender, cluster: o.Cluster, recent: o.Recent,
		dropped: o.Dropped, options: o, clock: o.Clock, random: o.Random, logger: o.Logger,
		held: newHeldParts(), before: make(map[engine.SubscriptionID]*endings),
		stopped: make(chan struct{}), loads: make(chan struct{}, maxLoads),
	}
	quiet := slog.New(slog.DiscardHandler)
	s.protoactor = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	s.root = s.protoactor.Root
	s.guardian = &guardian{fatal: o.Fatal}
	s.timers = newTimers(o.Clock)
	s.attempts = newAttempts(s)
	s.readers = newReaders(s)
	s.registry = newRegistry(s)
	if err := s.spawnSupervisors(); err != nil {
		return nil, err
	}
	lanes, err := openLanes(s)
	if err != nil {
		return nil, err
	}
	s.lanes = lanes
	s.restore(o.Snapshot)
	if err := s.recover(o.Snapshot); err != nil {
		return nil, err
	}
	if err := s.lanes.startAll(); err != nil {
		return nil, err
	}
	s.readers.start()
	s.background(s.tick)
	s.background(s.keepHouse)
	s.wakeAll(o.Snapshot)
	return s, nil
}

func (s *System) spawnSupervisors() error {
	for n := range groups {
		group := newSupervisor(s)
		props := actor.PropsFromProducer(func() actor.Actor { return group },
			actor.WithMailbox(newBatchMailbox), actor.WithSupervisor(group), actor.WithGuardian(s.guardian))
		pid, err := s.root.SpawnNamed(props, fmt.Sprintf("subscriptions-%d", n))
		if err != nil {
			return fmt.Errorf("start a supervisor: %w", err)
		}
		s.registry.groups = append(s.registry.groups, pid)
	}
	return nil
}

// wakeAll starts the actors of the subscriptions that have something behind a cursor, and
// plans the wake of those with retry records.
func (s *System) wakeAll(snapshot *engine.Snapshot) {
	for _, q := range snapshot.Queues {
		if e := s.entryOf(q.Subscription); e != nil {
			at := q.NextDue
			if at.IsZero() {
				at = s.clock()
			}
			s.timers.set(e, at)
		}
	}
	for _, e := range s.registry.all() {
		for _, slot := range e.allSlots() {
			if !slot.empty() {
				e.wake()
				break
			}
		}
	}
}

// entryOf finds or makes the entry of a subscription; deleted ones have one too, as long as
// something of theirs must be removed.
func (s *System) entryOf(id engine.SubscriptionID) *entry {
	handle, known := s.table.Known(id)
	if !known {
		return nil
	}
	return s.registry.get(handle)
}

// ingressOf finds the lane of a journal. The journal of a drained lane is gone, while
// retry records that carry their events are not: they go with the shared lane.
func (s *System) ingressOf(journal engine.JournalID) *ingress {
	if lane := s.lanes.byJournal(journal); lane != nil {
		return lane
	}
	return s.lanes.byName(engine.SharedLane)
}

// watermark is the durable watermark of a journal; beyond every sequence when the journal is
// gone.
func (s *System) watermark(journal engine.JournalID) uint64 {
	if lane := s.lanes.byJournal(journal); lane != nil {
		return lane.durable.Load()
	}
	return math.MaxUint64
}

// background runs work that Stop waits for; once Stop has begun to wait, work is left out.
func (s *System) background(work func()) {
	s.backgroundMu.Lock()
	defer s.backgroundMu.Unlock()
	if !s.backgroundOver {
		s.backgrounds.Go(work)
	}
}

// discharge tells the ingress actors which pairs of a subscription have ended. Of a journal that
// was adopted the protocol hears as well: another may have been its keeper, or become it.
func (s *System) discharge(e *entry, refs []engine.EventRef) {
	for len(refs) > 0 {
		journal := refs[0].Journal
		var sequences []uint64
		var others []engine.EventRef
		for _, ref := range refs {
			if ref.Journal == journal {
				sequences = append(sequences, ref.Sequence)
			} else {
				others = append(others, ref)
			}
		}
		lane := s.lanes.byJournal(journal)
		if s.cluster != nil && (lane == nil || lane.adopted) {
			s.cluster.Discharged(journal, e.id, sequences)
		}
		if lane == nil && s.cluster == nil {
			lane = s.lanes.byName(engine.SharedLane) // see ingressOf
		}
		if lane != nil {
			lane.send(discharged{e.handle, sequences})
		}
		refs = others
	}
}

// tick drives what happens by the clock.
func (s *System) tick() {
	watermarks := time.NewTicker(engine.WatermarkInterval)
	defer watermarks.Stop()
	sweeps := time.NewTicker(sweepInterval)
	defer sweeps.Stop()
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	for {
		select {
		case <-watermarks.C:
			for _, lane := range s.lanes.all() {
				lane.send(checkpoint{})
			}
		case <-sweeps.C:
			for _, group := range s.registry.groups {
				s.root.Send(group, sweep{})
			}
		case <-seconds.C:
			s.lanes.promote()
		case <-s.stopped:
			return
		}
	}
}

// maxLoads is how many subscriptions load their retry records at once: after a restart all
// that have some begin together, and whoever has its own may deliver.
const maxLoads = 4

// loadRecords gives an actor its retry records, page by page, behind every write that was
// queued before.
func (s *System) loadRecords(e *entry) {
	select {
	case s.loads <- struct{}{}:
		defer func() { <-s.loads }()
	case <-s.stopped:
	}
	barrier := make(chan struct{})
	s.write(nil, func() { close(barrier) })
	select {
	case <-barrier:
	case <-s.stopped:
	}
	const page = 1000
	var after engine.DeliveryKey
	for {
		records, err := s.state.RetryRecords(context.Background(), e.id, after, page)
		if err != nil {
			s.logger.Error("retry records could not be read", "subscription", string(e.id), "error", err)
			records = nil
		}
		for n := range records {
			after = records[n].Key
			records[n].Carried = records[n].Body != nil
			records[n].Body = nil // read again when it is due
		}
		last := len(records) < page
		e.send(loaded{records: records, last: last})
		if last {
			return
		}
	}
}
