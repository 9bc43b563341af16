package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observed are the instruments that are filled in when somebody looks.
type observed struct {
	accepted, attempts, dead         metric.Int64ObservableCounter
	backlog, records, circuits, kept metric.Int64ObservableGauge
	inFlight, buildInfo              metric.Int64ObservableGauge
	members, adopted, underCopied    metric.Int64ObservableGauge // of a cluster
	oldestDue                        metric.Float64ObservableGauge
}

// observe shows the counts, and what the member knows of itself at that moment.
func (m *memberMetrics) observe(of *member) error {
	o, instruments, err := m.newObserved()
	if err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	build := labels(attribute.String("version", version()), attribute.String("go_version", runtime.Version()))
	_, err = m.meter.RegisterCallback(func(ctx context.Context, to metric.Observer) error {
		of.observe(ctx, m, to, o)
		m.observeCounts(to, o)
		to.ObserveInt64(o.buildInfo, 1, build)
		return nil
	}, instruments...)
	if err != nil {
		return fmt.Errorf("observe the member: %w", err)
	}
	return nil
}

func (m *memberMetrics) newObserved() (o observed, instruments []metric.Observable, err error) {
	var errs []error
	counter := func(name, unit, description string) metric.Int64ObservableCounter {
		i, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		errs, instruments = append(errs, err), append(instruments, i)
		return i
	}
	gauge := func(name, unit, description string) metric.Int64ObservableGauge {
		i, err := m.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		errs, instruments = append(errs, err), append(instruments, i)
		return i
	}
	o.accepted = counter("pannier.events.accepted", "{event}", "Events answered 202, by lane.")
	o.attempts = counter("pannier.attempts", "{attempt}", "HTTP requests to endpoints, by lane and outcome.")
	o.dead = counter("pannier.dead_letters", "{delivery}", "Deliveries that became dead letters, by reason.")
	o.backlog = gauge("pannier.backlog", "{delivery}", "Deliveries that wait in a lane for their first attempt.")
	o.inFlight = gauge("pannier.attempts.in_flight", "{attempt}", "Attempts under way, by lane.")
	o.records = gauge("pannier.retry_records", "{record}", "Deliveries that wait for another attempt.")
	o.circuits = gauge("pannier.circuits_open", "{subscription}", "Subscriptions whose circuit is open.")
	o.kept = gauge("pannier.dead_letters.kept", "{delivery}", "Dead letters that were not replayed.")
	o.members = gauge("pannier.cluster.members", "{member}", "Members of the cluster that this one sees, itself included.")
	o.adopted = gauge("pannier.cluster.adopted_journals", "{journal}", "Journals of earlier lives, its own or others', that this member keeps.")
	o.underCopied = gauge("pannier.cluster.under_replicated", "{copy}", "Shards and journals of this member with fewer copies than asked for.")
	o.buildInfo = gauge("pannier.build_info", "", "1, with the version as labels.")
	age, err := m.meter.Float64ObservableGauge(
		"pannier.oldest_due_age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest delivery of a lane that is due and has no attempt under way."),
	)
	o.oldestDue = age
	errs, instruments = append(errs, err), append(instruments, age)
	return o, instruments, errors.Join(errs...)
}

// observeCounts shows what was counted in this life of the member.
func (m *memberMetrics) observeCounts(to metric.Observer, o observed) {
	for _, lane := range *m.lanes.Load() {
		to.ObserveInt64(o.accepted, lane.accepted.count.Load(), lane.labels)
		for _, attempts := range lane.attempts {
			to.ObserveInt64(o.attempts, attempts.count.Load(), attempts.labels)
		}
	}
	for _, dead := range m.dead {
		to.ObserveInt64(o.dead, dead.count.Load(), dead.labels)
	}
}

// observe shows what the actors hold.
func (m *member) observe(ctx context.Context, names *memberMetrics, to metric.Observer, o observed) {
	views := m.system.Views(ctx)
	names.keepOnly(views)
	for _, lane := range views {
		label := names.lane(lane.Name).labels
		to.ObserveInt64(o.backlog, int64(lane.Backlog), label) //nolint:gosec // far below 2^63
		to.ObserveInt64(o.inFlight, int64(lane.InFlight), label)
		to.ObserveFloat64(o.oldestDue, lane.OldestAge.Seconds(), label)
	}
	if m.cluster != nil {
		to.ObserveInt64(o.members, int64(len(m.cluster.node.View().Members())))
		to.ObserveInt64(o.adopted, int64(m.system.Adopted()))
		to.ObserveInt64(o.underCopied, int64(m.cluster.node.UnderReplicated()))
	}
	to.ObserveInt64(o.records, m.system.RetryRecords())
	to.ObserveInt64(o.circuits, int64(m.system.OpenCircuits()))
	to.ObserveInt64(o.kept, int64(m.system.Stats(ctx).Dead)) //nolint:gosec // far below 2^63
}
