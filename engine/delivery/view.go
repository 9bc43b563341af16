package delivery

import (
	"time"

	"pannier/engine"
)

// View is what the API shows of a subscription that is at work.
type View struct {
	Health   engine.Health
	InFlight map[engine.EventRef]engine.RetryRecord // under way: attempts so far
	Due      map[engine.DeliveryKey]time.Time       // wall time of the retry records in memory
	Records  int
	Circuit  engine.CircuitState
}

// View copies the state at now.
func (m *Machine) View(now time.Time) View {
	v := View{
		Health: m.Health(), Records: m.records, Circuit: m.circuit.CircuitState,
		InFlight: make(map[engine.EventRef]engine.RetryRecord, len(m.flights)),
		Due:      make(map[engine.DeliveryKey]time.Time, m.retries.len()),
	}
	for ref, f := range m.flights {
		v.InFlight[ref] = f.record
	}
	for key, item := range m.retries.byKey {
		v.Due[key] = m.circuit.Wall(item.record.Due)
	}
	return v
}

// Health is the state an operator sees first.
func (m *Machine) Health() engine.Health {
	switch {
	case !m.sub.Enabled:
		return engine.HealthDisabled
	case m.circuit.Open:
		return engine.HealthOpen
	case m.records > 0:
		return engine.HealthRetrying
	}
	return engine.HealthHealthy
}

// Counts gives the retry records that are not under way and the attempts that are.
func (m *Machine) Counts() (records, flights int) {
	return max(0, m.records-m.keptFlights), len(m.flights)
}

// FlightsBehind gives how many events behind the cursor of a lane are under way: they wait
// no more, and they are not settled yet.
func (m *Machine) FlightsBehind(journal engine.JournalID) int {
	l := m.lane(journal)
	if l == nil || len(l.stretches) == 0 {
		return 0
	}
	return l.behind
}

// OldestDue is the wall time since which the longest waiting record is due, and the journal
// of its event; zero: none.
func (m *Machine) OldestDue(now time.Time) (time.Time, engine.JournalID) {
	record, waits := m.retries.first()
	if !waits || record.Due.After(m.circuit.Own(now)) {
		return time.Time{}, 0
	}
	return m.circuit.Wall(record.Due), record.Key.Event.Journal
}

// Queue is the durable state that a later machine starts from.
func (m *Machine) Queue() engine.Queue {
	return engine.Queue{
		Subscription: m.sub.ID, Records: m.records, OldestMilli: m.oldestMilli, Circuit: m.circuit.CircuitState,
	}
}
