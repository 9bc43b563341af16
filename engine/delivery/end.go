package delivery

import (
	"maps"
	"slices"
	"time"

	"pannier/engine"
)

// Ended settles an attempt that ended at now. event is the attempted event (fetched by the
// driver where the Attempt had none). An end that no flight waits for is ignored: the
// actor was restarted since.
func (m *Machine) Ended(key engine.DeliveryKey, event *engine.Event, result engine.Result, now time.Time) {
	f, found := m.flights[key.Event]
	if !found {
		return
	}
	if f.event == nil {
		f.event = event
	}
	m.handling = f // stays set if settling crashes
	m.land(f)
	if m.sub.Deleted {
		if result.Outcome != engine.OutcomeSuccess {
			m.out.Discarded++
		}
		m.discharge(f)
	} else {
		m.settle(f, result, now)
	}
	m.handling = nil
}

func (m *Machine) settle(f *flight, result engine.Result, now time.Time) {
	m.feedCircuit(f, result, now)
	decision := engine.Settle(m.sub, f.record.Used, f.record.Once, result, m.random())
	// What was cut off is a line of the log, too; what had not begun has no error.
	if decision.Kind != engine.Unchanged || result.Error != "" {
		m.out.Ends = append(m.out.Ends, End{
			Attempt: engine.Attempt{
				Subscription: m.sub.ID, Key: f.key, Number: f.record.Attempts + 1,
				StartedAt: f.started, Duration: now.Sub(f.started), Outcome: result.Outcome,
				Status: result.Status, Error: result.Error, Excerpt: result.Excerpt, TraceID: result.TraceID,
			},
			Event: f.event, Decision: decision, First: f.record.Attempts == 0, Again: f.record.Delivered,
		})
	}
	switch decision.Kind {
	case engine.Delivered:
		m.deliver(f)
	case engine.Later:
		f.record.Attempts++
		f.record.Used++
		m.keep(f, result, m.circuit.Own(now).Add(decision.Delay))
		m.retries.put(f.record)
	case engine.Dead:
		f.record.Attempts++
		m.die(f, result, decision.Reason, now)
		m.out.Disable = m.out.Disable || decision.Disable
	case engine.Unchanged:
		m.resume(f, now)
	}
}

// feedCircuit counts the end for the circuit. An interrupted attempt says nothing about the
// endpoint; a blocked one counts like any failure. A circuit that opened, probed or closed
// is durable: a restart sends one probe, not a storm.
func (m *Machine) feedCircuit(f *flight, result engine.Result, now time.Time) {
	wasOpen := m.circuit.Open
	switch result.Outcome {
	case engine.OutcomeInterrupted:
		return
	case engine.OutcomeSuccess:
		m.circuit.Succeeded(now)
	default:
		m.circuit.Failed(now, f.probe)
	}
	if wasOpen || m.circuit.Open {
		m.putQueue()
	}
}

// deliver ends a delivery with success: a first attempt leaves no trace in the state.
func (m *Machine) deliver(f *flight) {
	if f.kept {
		m.drop(f)
		return
	}
	if f.outlived {
		if m.arrived == nil {
			m.arrived = make(map[engine.EventRef]bool)
		}
		m.arrived[f.key.Event] = true
	}
	m.discharge(f)
}

// drop removes the retry record of a settled delivery.
func (m *Machine) drop(f *flight) {
	m.records--
	if l := m.lane(f.key.Event.Journal); l != nil {
		for _, s := range l.stretches {
			s.skip(f.key.Event.Sequence)
		}
		l.settled(f.key.Event.Sequence)
	}
	m.out.Writes = append(m.out.Writes, engine.DropRetryRecord{Subscription: m.sub.ID, Key: f.key})
	if f.key.Event.Sequence >= m.watermark(f.key.Event.Journal) {
		m.out.Writes = append(m.out.Writes, engine.PutDoneMark{DoneMark: engine.DoneMark{
			Subscription: m.sub.ID, Event: f.key.Event,
		}})
	}
	m.putQueue()
}

// keep writes the flight's retry record, due at a time of the subscription's own clock.
func (m *Machine) keep(f *flight, result engine.Result, due time.Time) {
	f.record.Due = due
	f.record.LastOutcome, f.record.LastStatus = result.Outcome, result.Status
	if !f.kept {
		m.noteRecord(f.key)
		m.afterWrites(f)
	}
	_, flying := m.flights[f.key.Event]
	if flying {
		m.count(f, -1)
	}
	f.kept = true
	if flying {
		m.count(f, 1)
	}
	m.writeRecord(f.record, f.event)
	m.putQueue()
}

// writeRecord writes a retry record, with the event where the record carries it.
func (m *Machine) writeRecord(record engine.RetryRecord, event *engine.Event) {
	if record.Carried {
		record.Body = event
	}
	m.out.Writes = append(m.out.Writes, engine.PutRetryRecord{RetryRecord: record})
}

// Embed puts the event into the retry record of its delivery, because the journal is about
// to lose it.
func (m *Machine) Embed(event *engine.Event) {
	key := event.Key()
	if record, waits := m.retries.get(key); waits && !record.Carried {
		record.Carried = true
		m.writeRecord(record, event)
		m.retries.put(record)
	}
	if f, flying := m.flights[key.Event]; flying && f.kept && !f.record.Carried {
		f.record.Carried, f.rewritten = true, true
		f.event = event
		m.writeRecord(f.record, event)
	}
}

// die ends a delivery as a dead letter. A manual retry of what was delivered once only
// loses its retry record.
func (m *Machine) die(f *flight, result engine.Result, reason engine.Reason, now time.Time) {
	if f.record.Delivered {
		m.drop(f)
		return
	}
	m.out.Writes = append(m.out.Writes, engine.PutDeadLetter{DeadLetter: engine.DeadLetter{
		Subscription: m.sub.ID, Key: f.key, Reason: reason, Attempts: f.record.Attempts,
		LastOutcome: result.Outcome, LastStatus: result.Status, DiedAt: now, Event: f.event,
	}})
	if f.kept {
		m.drop(f)
		return
	}
	m.afterWrites(f)
}

// resume puts an interrupted delivery back where it was.
func (m *Machine) resume(f *flight, now time.Time) {
	if f.kept {
		f.record.Due = earliest(f.record.Due, m.circuit.Own(now))
		m.retries.put(f.record)
		return
	}
	// A first attempt has nothing on disk: a retry record takes its place, so that neither the
	// ledger nor the cursor waits for it.
	m.keep(f, engine.Result{Outcome: engine.OutcomeInterrupted}, m.circuit.Own(now))
	m.retries.put(f.record)
}

// spillSlow writes retry records for first attempts that take too long: the lane's
// watermark no longer waits for them. It looks only when one may: at thousands of ends a
// second the flights are not gone through for each.
func (m *Machine) spillSlow(now time.Time) {
	if m.slowAt.IsZero() || now.Before(m.slowAt) {
		return
	}
	m.slowAt = time.Time{}
	for _, f := range m.inOrder() {
		if f.kept {
			continue
		}
		if at := f.since.Add(engine.SpillAfter); at.After(now) {
			m.noteSlow(at)
		} else {
			m.keep(f, engine.Result{}, m.circuit.Own(f.started))
		}
	}
}

// noteSlow notes from when a first attempt takes too long.
func (m *Machine) noteSlow(at time.Time) {
	if m.slowAt.IsZero() || at.Before(m.slowAt) {
		m.slowAt = at
	}
}

// Insert adds a retry record made by a manual retry or a replay. with is written in the
// same group. It reports false, and changes nothing, while the delivery is under way.
func (m *Machine) Insert(record engine.RetryRecord, with []engine.Write) bool {
	if _, flying := m.flights[record.Key.Event]; flying {
		return false
	}
	if _, waits := m.retries.get(record.Key); waits {
		return false
	}
	m.noteRecord(record.Key)
	event := record.Body
	record.Body, record.Carried = nil, event != nil
	m.writeRecord(record, event)
	m.out.Writes = append(m.out.Writes, with...)
	m.putQueue()
	m.retries.put(record)
	return true
}

// Load gives a page of the retry records that were on disk; last tells that it was the
// last one. Due times beyond the longest delay, left by a clock that went back, are clamped.
func (m *Machine) Load(records []engine.RetryRecord, last bool, now time.Time) {
	latest := m.circuit.Own(now).Add(m.sub.Retry.MaxDelay)
	for _, record := range records {
		if _, flying := m.flights[record.Key.Event]; flying {
			continue
		}
		record.Due = earliest(record.Due, latest)
		m.retries.put(record)
	}
	if last {
		m.loaded = true
		m.records = m.retries.len() + m.keptFlights
	}
}

// Merge takes in a retry record that another member wrote.
func (m *Machine) Merge(record engine.RetryRecord, now time.Time) {
	if _, flying := m.flights[record.Key.Event]; flying {
		return
	}
	record.Due = earliest(record.Due, m.circuit.Own(now).Add(m.sub.Retry.MaxDelay))
	if _, known := m.retries.get(record.Key); !known {
		m.noteRecord(record.Key)
	}
	m.retries.put(record)
}

// Forget drops a retry record that another member has settled, unless it is being attempted.
func (m *Machine) Forget(key engine.DeliveryKey) {
	if m.retries.remove(key) {
		m.records--
	}
}

// Over takes a retry record back whose attempt was not made, because it is on disk no more: the
// delivery had ended, here or on another member, before word of the record came.
func (m *Machine) Over(key engine.DeliveryKey) {
	f, found := m.flights[key.Event]
	if !found || !f.kept {
		return
	}
	m.land(f)
	switch {
	case m.sub.Deleted: // nothing of it is counted any more
	case f.rewritten:
		m.retries.put(f.record)
	default:
		m.records--
		m.putQueue()
	}
}

// Loaded tells whether every retry record that was on disk has been given.
func (m *Machine) Loaded() bool { return m.loaded }

func (m *Machine) noteRecord(key engine.DeliveryKey) {
	if m.records == 0 || key.AcceptedMilli < m.oldestMilli {
		m.oldestMilli = key.AcceptedMilli
	}
	m.records++
}

// putQueue writes the durable timer beside the changes of this turn; writing it again later
// in the same group replaces it.
func (m *Machine) putQueue() {
	if m.records == 0 && !m.circuit.Open {
		m.circuit.Frozen = 0 // nothing is due on the own clock any more
		m.out.Writes = append(m.out.Writes, engine.DropQueue{Subscription: m.sub.ID})
		return
	}
	queue := engine.Queue{
		Subscription: m.sub.ID, Records: m.records, OldestMilli: m.oldestMilli, Circuit: m.circuit.CircuitState,
	}
	if due, waits := m.retries.next(); waits {
		queue.NextDue = m.circuit.Wall(due)
	}
	if m.keptFlights > 0 {
		queue.NextDue = m.firstKept() // due at once after a crash
	}
	if m.circuit.Open {
		queue.NextDue = m.circuit.ProbeAt
	}
	m.out.Writes = append(m.out.Writes, engine.PutQueue{Queue: queue})
}

// inOrder lists the flights in order of their keys, so that a run can be repeated.
func (m *Machine) inOrder() []*flight {
	return slices.SortedFunc(maps.Values(m.flights), func(a, b *flight) int { return a.key.Compare(b.key) })
}

// firstKept is when the first of the attempts under way that have a retry record started.
func (m *Machine) firstKept() (first time.Time) {
	for _, f := range m.flights {
		if f.kept && (first.IsZero() || f.started.Before(first)) {
			first = f.started
		}
	}
	return first
}

// discharge reports a pair that ended without a write; afterWrites one that waits for the
// writes of this turn.
func (m *Machine) discharge(f *flight) {
	if f.kept || f.lane == nil {
		return
	}
	m.dischargePair(Pair{Event: f.key.Event, Live: f.live})
}

func (m *Machine) afterWrites(f *flight) {
	if f.lane != nil {
		m.out.AfterWrites = append(m.out.AfterWrites, Pair{Event: f.key.Event, Live: f.live})
	}
}

// Committed discharges the pairs whose writes are durable.
func (m *Machine) Committed(pairs []Pair) {
	for _, p := range pairs {
		m.dischargePair(p)
	}
}

func (m *Machine) dischargePair(p Pair) {
	if p.Live {
		m.out.Discharged = append(m.out.Discharged, p.Event)
	}
	if l := m.lane(p.Event.Journal); l != nil {
		l.settled(p.Event.Sequence)
	}
}
