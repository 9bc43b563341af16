package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"pannier/actors"
	"pannier/engine"
	"pannier/engine/telemetry"
)

// latencyBounds are the buckets of the time from accept to delivered: from a receiver in
// the same rack to the last retry of the default schedule and beyond.
var latencyBounds = []float64{
	0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600,
}

// syncBounds are the buckets of the time that a sync of a journal takes.
var syncBounds = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
}

// groupBounds are the buckets of the records that one sync makes durable.
var groupBounds = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096}

// The closed sets of values of the labels. Nothing else is a label but a lane: the number
// of subscriptions and tenants has no bound.
var (
	outcomes = []engine.Outcome{
		engine.OutcomeSuccess, engine.OutcomeFailure, engine.OutcomeGone, engine.OutcomeThrottled,
		engine.OutcomeBlocked, engine.OutcomeInterrupted,
	}
	deadReasons = []engine.Reason{
		engine.ReasonExhausted, engine.ReasonExpired, engine.ReasonGone, engine.ReasonBlocked, engine.ReasonQuarantined,
	}
)

// memberMetrics counts what a member does. What happens for each event is an atomic
// addition or one recording in a histogram; the rest is read when somebody looks. Safe for
// concurrent use.
type memberMetrics struct {
	meter       metric.Meter
	latency     metric.Float64Histogram
	syncTime    metric.Float64Histogram
	syncRecords metric.Int64Histogram
	dead        map[engine.Reason]*counter

	lanes    atomic.Pointer[map[string]*laneMetrics] // replaced, never changed
	newLanes sync.Mutex
}

// laneMetrics are the counts of one lane, with its attributes made beforehand.
type laneMetrics struct {
	accepted counter
	attempts map[engine.Outcome]*counter
	latency  []metric.RecordOption
	labels   metric.MeasurementOption
}

// counter is a count and the label it is shown with.
type counter struct {
	count  atomic.Int64
	labels metric.MeasurementOption
}

// newMetrics makes the instruments that are written to.
func newMetrics(t *telemetry.Telemetry) (*memberMetrics, error) {
	m := &memberMetrics{meter: t.MeterProvider.Meter("pannier"), dead: make(map[engine.Reason]*counter)}
	m.lanes.Store(&map[string]*laneMetrics{})
	for _, reason := range deadReasons {
		m.dead[reason] = &counter{labels: labels(attribute.String("reason", string(reason)))}
	}
	var errs [3]error
	m.latency, errs[0] = m.meter.Float64Histogram(
		"pannier.delivery.latency", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(latencyBounds...),
		metric.WithDescription("Time from accept to the end of the attempt that delivered."),
	)
	m.syncTime, errs[1] = m.meter.Float64Histogram(
		"pannier.journal.sync", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(syncBounds...),
		metric.WithDescription("Time of one write and sync of a journal."),
	)
	m.syncRecords, errs[2] = m.meter.Int64Histogram(
		"pannier.journal.sync.records", metric.WithUnit("{record}"), metric.WithExplicitBucketBoundaries(groupBounds...),
		metric.WithDescription("Records made durable by one sync of a journal."),
	)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make the metrics: %w", err)
	}
	return m, nil
}

func labels(attributes ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

// lane finds or makes the counts of a lane.
func (m *memberMetrics) lane(name string) *laneMetrics {
	if found := (*m.lanes.Load())[name]; found != nil {
		return found
	}
	m.newLanes.Lock()
	defer m.newLanes.Unlock()
	lanes := maps.Clone(*m.lanes.Load())
	if lanes[name] == nil {
		lanes[name] = newLaneMetrics(name)
		m.lanes.Store(&lanes)
	}
	return lanes[name]
}

// keepOnly forgets the lanes that are gone: topics come and go over the years, and so do the
// lanes they are promoted to.
func (m *memberMetrics) keepOnly(views []engine.LaneView) {
	m.newLanes.Lock()
	defer m.newLanes.Unlock()
	lanes := maps.Clone(*m.lanes.Load())
	maps.DeleteFunc(lanes, func(name string, _ *laneMetrics) bool {
		return !slices.ContainsFunc(views, func(v engine.LaneView) bool { return v.Name == name })
	})
	m.lanes.Store(&lanes)
}

func newLaneMetrics(name string) *laneMetrics {
	lane := attribute.String("lane", name)
	l := &laneMetrics{labels: labels(lane), attempts: make(map[engine.Outcome]*counter, len(outcomes))}
	l.accepted.labels = l.labels
	l.latency = []metric.RecordOption{l.labels}
	for _, outcome := range outcomes {
		l.attempts[outcome] = &counter{labels: labels(lane, attribute.String("outcome", string(outcome)))}
	}
	return l
}

// journalSynced is told of each sync of a journal.
func (m *memberMetrics) journalSynced(d time.Duration, records int) {
	m.syncTime.Record(context.Background(), d.Seconds())
	m.syncRecords.Record(context.Background(), int64(records))
}

// forActors is what the actors tell.
func (m *memberMetrics) forActors() actors.Metrics {
	return actors.Metrics{
		Accepted:  func(lane string, events int) { m.lane(lane).accepted.count.Add(int64(events)) },
		Attempted: func(lane string, outcome engine.Outcome) { m.lane(lane).attempts[outcome].count.Add(1) },
		Delivered: func(lane string, after time.Duration) {
			m.latency.Record(context.Background(), after.Seconds(), m.lane(lane).latency...)
		},
		DeadEnded: func(_ string, reason engine.Reason) { m.dead[reason].count.Add(1) },
	}
}
