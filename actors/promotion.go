package actors

import (
	"slices"
	"sync"
	"time"

	"pannier/engine"
	"pannier/engine/ledger"
	"pannier/engine/match"
)

const (
	// maxMeteredTopics bounds the topics whose rate is measured at once.
	maxMeteredTopics = 1000
	promotionWindow  = 10 * time.Second
	// quietShare and quietFor say when a promoted lane is given up: its rate stayed below this
	// share of the promotion rate for so long.
	quietShare = 0.1
	quietFor   = 10 * time.Minute
)

// topicMeter counts the events of each topic in the shared lane over a window. Safe for
// concurrent use; the zero value is ready.
type topicMeter struct {
	mu     sync.Mutex
	counts map[string]int
	since  time.Time
}

func (m *topicMeter) add(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = make(map[string]int)
	}
	if _, known := m.counts[topic]; known || len(m.counts) < maxMeteredTopics {
		m.counts[topic]++
	}
}

// fast ends a window and lists the topics that passed a rate in it.
func (m *topicMeter) fast(rate float64, now time.Time) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.since) < promotionWindow {
		return nil
	}
	var topics []string
	if !m.since.IsZero() {
		for topic, n := range m.counts {
			if float64(n)/now.Sub(m.since).Seconds() >= rate {
				topics = append(topics, topic)
			}
		}
	}
	m.counts, m.since = nil, now
	return topics
}

func (i *ingress) countTopics(events []*engine.Event) {
	if i.name != engine.SharedLane || i.system.options.AutoPromoteRate == 0 {
		return
	}
	for _, event := range events {
		i.topicRate.add(event.Topic)
	}
}

// promote gives each topic that passed the rate a lane of its own, and takes it from those
// that have been quiet. It is called once a second by one goroutine.
func (l *laneSet) promote() {
	rate, now := l.system.options.AutoPromoteRate, l.system.clock()
	if rate == 0 {
		return
	}
	for _, topic := range l.byName(engine.SharedLane).topicRate.fast(rate, now) {
		if topic != engine.TestTopic && l.promotedCount() < engine.MaxPromotedLanes {
			if err := l.add(topic); err != nil {
				l.system.logger.Error("topic could not be promoted to a lane", "topic", topic, "error", err)
			}
		}
	}
	for _, lane := range l.all() {
		l.demoteQuiet(lane, rate, now)
	}
}

func (l *laneSet) promotedCount() (n int) {
	for _, lane := range l.all() {
		if lane.promotedTopic() != "" {
			n++
		}
	}
	return n
}

// add makes a promoted lane: durable first, then in use.
func (l *laneSet) add(topic string) error {
	record := engine.LaneRecord{
		Name: engine.NewID("auto-")[:17], Journal: engine.NewJournalID(), Topic: topic, Promoted: true,
	}
	if err := l.system.writeAndWait(engine.PutLane{LaneRecord: record}); err != nil {
		return err
	}
	lane, err := newIngress(l.system, record, promotedConfig(record, l.system.options.Retention), 0)
	if err != nil {
		return err
	}
	lane.ledger = ledger.New(1)
	if err := l.start(lane); err != nil {
		return err
	}
	l.change(func(lanes []*ingress) []*ingress { return append([]*ingress{lane}, lanes...) })
	l.system.logger.Info("topic promoted to a lane of its own", "topic", topic, "lane", lane.name)
	return nil
}

// demoteQuiet sends a promoted topic back to the shared lane; its journal is drained.
func (l *laneSet) demoteQuiet(lane *ingress, rate float64, now time.Time) {
	if lane.promotedTopic() == "" {
		return
	}
	if lane.quietSince.IsZero() || lane.rate.perSecond(now) >= quietShare*rate {
		lane.quietSince = now
	}
	if now.Sub(lane.quietSince) < quietFor {
		return
	}
	record := engine.LaneRecord{Name: lane.name, Journal: lane.id, Topic: lane.promotedTopic()}
	if err := l.system.writeAndWait(engine.PutLane{LaneRecord: record}); err != nil {
		return
	}
	lane.setTopics(nil)
	lane.promoted.Store(new(string))
	l.change(func(lanes []*ingress) []*ingress { return lanes })
	l.system.logger.Info("quiet topic returned to the shared lane", "topic", record.Topic, "lane", lane.name)
}

// change puts another set of lanes in use, made from a copy of the present one. Promotion, removal
// and adoption come on goroutines of their own.
func (l *laneSet) change(to func(lanes []*ingress) []*ingress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lanes := to(slices.Clone(l.all()))
	l.lanes.Store(&lanes)
	l.topics = make(map[string]*ingress)
}

// setTopics changes what a promoted lane takes.
func (i *ingress) setTopics(topics []match.Pattern) { i.topics.Store(&topics) }
