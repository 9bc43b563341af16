package delivery

import (
	"math"
	"slices"
	"time"

	"pannier/engine"
)

// startWork fills the window: the retries and the lanes take turns, so that none of them
// starves another.
func (m *Machine) startWork(now time.Time) {
	if m.forward != nil && m.forward.holds(now) {
		return
	}
	if m.circuit.Open {
		m.startProbe(now)
		return
	}
	for idle := 0; idle <= len(m.lanes); {
		if len(m.flights) >= m.window() || !m.rate.allow(now) {
			return
		}
		if m.startNext(now) {
			idle = 0
		} else {
			idle++
		}
	}
}

// startNext starts an attempt of whose turn it is, if there is one.
func (m *Machine) startNext(now time.Time) bool {
	turn := m.turn % (len(m.lanes) + 1)
	m.turn = turn + 1
	if turn == 0 {
		return m.startDue(now)
	}
	return m.startFirst(m.lanes[turn-1], now, false)
}

// startDue attempts the retry record that is due first. Retries may hold half of the
// window while first attempts wait.
func (m *Machine) startDue(now time.Time) bool {
	due, waits := m.retries.next()
	if !waits || due.After(m.circuit.Own(now)) {
		return false
	}
	if !m.mayStartRetry() {
		return false
	}
	m.beginRetry(m.retries.pop(), now, false)
	return true
}

// mayStartRetry tells whether the window has room for one more retry.
func (m *Machine) mayStartRetry() bool {
	return m.retryFlights < max(1, m.sub.MaxInFlight/2) || !m.hasFirstAttempts()
}

// mayStartFirst tells whether some lane has a first attempt to make and room for it.
func (m *Machine) mayStartFirst() bool {
	return slices.ContainsFunc(m.lanes, func(l *lane) bool { return m.roomFor(l) && m.waitsIn(l) })
}

// mayProbe tells whether there is a delivery that a probe could carry.
func (m *Machine) mayProbe() bool { return m.retries.len() > 0 || m.mayStartFirst() }

// roomFor tells whether a lane may have one more first attempt under way.
func (m *Machine) roomFor(l *lane) bool {
	window := int(math.Ceil(float64(m.window()) * l.share))
	return l.inFlight < max(1, window) && m.records < engine.MaxRetryRecords
}

// startFirst makes the first attempt of a lane's next event: from the journal when the
// subscription lags there, from the mailbox otherwise.
func (m *Machine) startFirst(l *lane, now time.Time, probe bool) bool {
	if !m.roomFor(l) {
		return false
	}
	if len(l.again) > 0 {
		event := l.again[0]
		l.again = l.again[1:]
		return m.beginRead(l, event, now, probe)
	}
	if len(l.buffer) > 0 {
		event := l.buffer[0]
		l.buffer[0] = nil
		l.buffer = l.buffer[1:]
		return m.beginRead(l, event, now, probe)
	}
	m.read(l)
	since, _ := m.mailbox.Oldest(l.journal)
	event, found := m.mailbox.Take(l.journal)
	if !found {
		return false
	}
	if m.known(event) {
		m.again(event)
		return true
	}
	if m.arrived[event.Ref] {
		delete(m.arrived, event.Ref)
		m.out.Discharged = append(m.out.Discharged, event.Ref)
		return true
	}
	if since.IsZero() {
		since = now // it came between the two looks
	}
	m.beginFirst(l, event, true, since, now, probe)
	return true
}

// beginRead begins the first attempt of an event that came from the journal, unless another member
// has begun it meanwhile.
func (m *Machine) beginRead(l *lane, event *engine.Event, now time.Time, probe bool) bool {
	f, flying := m.flights[event.Ref]
	switch {
	case !l.isOpen(event.Ref.Sequence): // it has ended
	case flying && !f.kept: // the pair ends with that attempt
	case m.known(event):
		l.settled(event.Ref.Sequence)
	default:
		m.beginFirst(l, event, false, now, now, probe)
	}
	return true
}

// again takes in an event that was handed out twice: another member keeps its journal now. The
// pair ends with the attempt that is under way, or once its retry record is certainly durable.
func (m *Machine) again(event *engine.Event) {
	record, waits := m.retries.get(event.Key())
	if f, flying := m.flights[event.Ref]; flying {
		if !f.kept {
			// Wherever it came from before, it is the hand-out that ends with it now.
			m.count(f, -1)
			f.live, f.outlived = true, false
			m.count(f, 1)
			return
		}
		f.rewritten = true
		record, waits = f.record, true
	}
	if waits {
		m.writeRecord(record, event)
		m.out.AfterWrites = append(m.out.AfterWrites, Pair{Event: event.Ref, Live: true})
	}
}

// startProbe makes one attempt while the circuit is open: of a delivery that had none, if
// there is one, so that no schedule is used up by probing.
func (m *Machine) startProbe(now time.Time) {
	if m.probing || now.Before(m.circuit.ProbeAt) || !m.rate.allow(now) || len(m.flights) >= m.sub.MaxInFlight {
		return
	}
	for range m.lanes {
		l := m.lanes[m.turn%len(m.lanes)]
		m.turn++
		if m.startFirst(l, now, true) {
			m.probing = true
			return
		}
		if l.reading {
			return // the journal will give one
		}
	}
	if m.retries.len() > 0 {
		m.beginRetry(m.retries.popFreshest(), now, true)
		m.probing = true
	}
}

func (m *Machine) hasFirstAttempts() bool { return slices.ContainsFunc(m.lanes, m.waitsIn) }

// waitsIn tells whether something in the lane waits for its first attempt.
func (m *Machine) waitsIn(l *lane) bool {
	if len(l.buffer) > 0 || len(l.again) > 0 {
		return true
	}
	if _, waits := m.mailbox.Oldest(l.journal); waits {
		return true
	}
	return l.unread() != nil
}

// beginFirst begins a first attempt; live tells that the event came by mailbox, since when it
// is in memory.
func (m *Machine) beginFirst(l *lane, event *engine.Event, live bool, since, now time.Time, probe bool) {
	f := &flight{
		key: event.Key(), event: event, lane: l, live: live, since: since, started: now, probe: probe,
		record: engine.RetryRecord{Subscription: m.sub.ID, Key: event.Key(), Carried: m.carry},
	}
	l.inFlight++
	m.noteSlow(f.since.Add(engine.SpillAfter))
	m.begin(f)
}

func (m *Machine) beginRetry(record engine.RetryRecord, now time.Time, probe bool) {
	m.retryFlights++
	m.begin(&flight{key: record.Key, record: record, kept: true, started: now, probe: probe})
}

func (m *Machine) begin(f *flight) {
	m.flights[f.key.Event] = f
	m.count(f, 1)
	if m.quarantined[f.key.Event] {
		m.land(f)
		m.die(f, engine.Result{}, engine.ReasonQuarantined, f.started)
		return
	}
	m.rate.take()
	m.out.Attempts = append(m.out.Attempts, Attempt{
		Key: f.key, Event: f.event, Record: f.record, Number: f.record.Attempts + 1,
	})
}

// count adds n to the number of flights of this one's kind.
func (m *Machine) count(f *flight, n int) {
	switch {
	case f.kept:
		m.keptFlights += n
	case !f.live:
		f.lane.behind += n
	}
}

// land takes a flight out of the window.
func (m *Machine) land(f *flight) {
	delete(m.flights, f.key.Event)
	m.count(f, -1)
	if len(m.flights) == 0 {
		m.slowAt = time.Time{}
	}
	if f.lane != nil {
		f.lane.inFlight--
	} else {
		m.retryFlights--
	}
	if f.probe {
		m.probing = false
	}
}
