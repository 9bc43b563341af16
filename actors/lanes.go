package actors

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"pannier/engine"
	"pannier/engine/match"
)

const (
	// defaultMaxInFlight is the shared lane's cap on attempts under way.
	defaultMaxInFlight = 4096
	// defaultWindowShare is the part of a window that a promoted lane gets.
	defaultWindowShare = 0.5
	// maxTopicCache bounds the memory of which lane a topic belongs to.
	maxTopicCache = 10_000
)

// laneSet is the lanes of the member: the shared one, the configured ones, the promoted
// ones, and journals of lanes that are no longer configured, which are only drained. Safe
// for concurrent use.
type laneSet struct {
	system *System
	lanes  atomic.Pointer[[]*ingress]
	// started counts the actors of lanes.
	started atomic.Int64

	mu     sync.RWMutex
	topics map[string]*ingress // a cache
}

// openLanes opens the journal of every configured and every known lane.
func openLanes(s *System) (*laneSet, error) {
	l := &laneSet{system: s, topics: make(map[string]*ingress)}
	records := make(map[string]engine.LaneRecord)
	for _, record := range s.options.Snapshot.Lanes {
		records[record.Name] = record
	}
	synced := make(map[engine.JournalID]uint64)
	for _, mark := range s.options.Snapshot.Watermarks {
		synced[mark.Journal] = mark.Synced
	}
	var lanes []*ingress
	open := func(config engine.LaneConfig) error {
		record, known := records[config.Name]
		if !known {
			record = engine.LaneRecord{Name: config.Name, Journal: engine.NewJournalID()}
			if err := s.writeAndWait(engine.PutLane{LaneRecord: record}); err != nil {
				return err
			}
		}
		delete(records, config.Name)
		lane, err := newIngress(s, record, config, synced[record.Journal])
		lanes = append(lanes, lane)
		return err
	}
	for _, config := range s.options.Lanes {
		if err := open(config); err != nil {
			return nil, err
		}
	}
	for name, record := range records {
		if name == engine.SharedLane {
			continue
		}
		lane, err := newIngress(s, record, promotedConfig(record, s.options.Retention), synced[record.Journal])
		if err != nil {
			return nil, err
		}
		lanes = append(lanes, lane)
	}
	// The shared lane takes every topic that no lane before it took.
	if err := open(sharedConfig(s.options)); err != nil {
		return nil, err
	}
	l.lanes.Store(&lanes)
	for _, mark := range s.options.Snapshot.Watermarks {
		if lane := l.byJournal(mark.Journal); lane != nil {
			lane.totals.add(mark.Totals)
		}
	}
	return l, nil
}

func sharedConfig(o Options) engine.LaneConfig {
	return engine.LaneConfig{
		Name: engine.SharedLane, Topics: []match.Pattern{"*"}, Retention: o.Retention,
		MaxInFlight: defaultMaxInFlight, WindowShare: 1,
	}
}

// promotedConfig is that of a lane that nobody configured: promoted, or only drained.
func promotedConfig(record engine.LaneRecord, retention time.Duration) engine.LaneConfig {
	config := engine.LaneConfig{
		Name: record.Name, Retention: retention, MaxInFlight: defaultMaxInFlight / 4, WindowShare: defaultWindowShare,
	}
	if record.Promoted {
		config.Topics = []match.Pattern{match.Pattern(record.Topic)}
	}
	return config
}

func newIngress(s *System, record engine.LaneRecord, config engine.LaneConfig, synced uint64) (*ingress, error) {
	journal, err := s.options.OpenJournal(record, synced)
	if err != nil {
		return nil, fmt.Errorf("open the journal of lane %s: %w", record.Name, err)
	}
	lane := &ingress{
		system: s, id: record.Journal, name: record.Name, config: config,
		windowShare: config.WindowShare, maxInFlight: config.MaxInFlight, journal: journal,
	}
	lane.setTopics(config.Topics)
	if record.Promoted {
		lane.promoted.Store(&record.Topic)
	}
	return lane, nil
}

// promotedTopic is the topic of a promoted lane, "" for any other.
func (i *ingress) promotedTopic() string {
	if topic := i.promoted.Load(); topic != nil {
		return *topic
	}
	return ""
}

func (l *laneSet) startAll() error {
	for _, lane := range l.all() {
		if err := l.start(lane); err != nil {
			return err
		}
	}
	return nil
}

func (l *laneSet) start(lane *ingress) error {
	props := actor.PropsFromProducer(func() actor.Actor { return lane },
		actor.WithMailbox(newBatchMailbox), actor.WithGuardian(l.system.guardian))
	// A journal may be adopted again before the actor that it had here has ended.
	name := fmt.Sprintf("lane-%s-%d", lane.name, l.started.Add(1))
	pid, err := l.system.root.SpawnNamed(props, name)
	if err != nil {
		return fmt.Errorf("start lane %s: %w", lane.name, err)
	}
	lane.begin(pid)
	return nil
}

func (l *laneSet) all() []*ingress { return *l.lanes.Load() }

func (l *laneSet) byJournal(journal engine.JournalID) *ingress {
	for _, lane := range l.all() {
		if lane.id == journal {
			return lane
		}
	}
	return nil
}

func (l *laneSet) byName(name string) *ingress {
	for _, lane := range l.all() {
		if lane.name == name {
			return lane
		}
	}
	return nil
}

// of finds the lane of a topic: the first configured one that matches, a promoted one, or
// the shared one.
func (l *laneSet) of(topic string) *ingress {
	l.mu.RLock()
	lane := l.topics[topic]
	l.mu.RUnlock()
	if lane != nil {
		return lane
	}
	l.mu.Lock() // or what change forgot would be remembered again
	defer l.mu.Unlock()
	for _, candidate := range l.all() {
		if candidate.takes(topic) {
			lane = candidate
			break
		}
	}
	if len(l.topics) < maxTopicCache {
		l.topics[topic] = lane
	}
	return lane
}

func (i *ingress) takes(topic string) bool {
	for _, p := range *i.topics.Load() {
		if p.Matches(topic) {
			return true
		}
	}
	return false
}

// Lane implements engine.Lanes.
func (s *System) Lane(topic string) string { return s.lanes.of(topic).name }

// Append implements engine.Lanes.
func (s *System) Append(lane string, part *engine.Part) error {
	if s.stopping.Load() {
		return unavailable("the member is shutting down")
	}
	i := s.lanes.byName(lane)
	var size int64
	for _, event := range part.Events {
		size += int64(len(event.Data))
	}
	if i.submitted.Add(size) > maxSubmitted {
		i.submitted.Add(-size)
		return &engine.Error{
			Code: engine.CodeThrottled, Message: "events arrive faster than the disk takes them", RetryAfter: time.Second,
		}
	}
	m := &submission{part: part, bytes: size, done: make(chan error, 1)}
	i.send(m)
	var late <-chan time.Time
	if s.cluster != nil {
		timer := time.NewTimer(commitTimeout)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case err := <-m.done:
			return err
		case <-late:
			i.send(giveUp{m}) // it answers, unless the copies were there first
			late = nil
		case <-s.stopped:
			return unavailable("the member is shutting down")
		}
	}
}

// commitTimeout is how long a request waits for the copies of its events: longer than it takes
// to notice that a member is gone and to have another follow in its place.
const commitTimeout = 10 * time.Second

func unavailable(message string) error {
	return &engine.Error{Code: engine.CodeUnavailable, Message: message, RetryAfter: 5 * time.Second}
}

// Release implements engine.Lanes.
func (s *System) Release(lane string, part *engine.Part) {
	i := s.lanes.byName(lane)
	i.index(part) // before the caller lets the ids go
	i.send(release{part})
}

// Abandon implements engine.Lanes.
func (s *System) Abandon(lane string, part *engine.Part) { s.lanes.byName(lane).send(abandon{part}) }

// Journals implements engine.Lanes.
func (s *System) Journals(context.Context) []engine.LaneJournal {
	lanes := s.lanes.all()
	journals := make([]engine.LaneJournal, 0, len(lanes))
	for _, lane := range lanes {
		journals = append(journals, engine.LaneJournal{Lane: lane.name, Journal: lane.journal, Frontier: lane.frontier.Load()})
	}
	return journals
}

// writeAndWait makes changes durable before it returns.
func (s *System) writeAndWait(changes ...engine.Write) error {
	done := make(chan struct{})
	if err := s.state.Write(changes, func() { close(done) }); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	<-done
	return nil
}
