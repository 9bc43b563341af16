package actors

import (
	"fmt"
	"slices"
	"time"

	"pannier/engine"
)

// Adoption is a journal of an earlier life, of this member or of another, that this member
// keeps from now on, and the account it is gone on from.
type Adoption struct {
	Name    string // of the lane it makes: unique on this member
	Lane    string // that it was written by
	Journal engine.Journal
	Mark    engine.Watermark
	Cursors []engine.Cursor
	// Settled are the sequences, ascending, whose deliveries have ended on this member, the owner
	// of their subscriptions, whether or not the account knows.
	Settled map[engine.SubscriptionID][]uint64
	// Foreign tells that another member wrote the journal: its index of given ids and
	// Idempotency-Keys may be lost with its disk.
	Foreign bool
}

// Adopt goes on with a journal: what of it is undischarged is handed out again, by the versions
// in force when it was accepted, and it is drained like a lane that is no longer configured. A
// part of a request over several lanes is handed out although the other parts are not looked
// for: they may be with other members, and were answered if this one was. It may be called
// concurrently with everything but itself and Relinquish.
func (s *System) Adopt(a Adoption) error {
	if a.Foreign {
		s.indexing.Add(1)
	}
	lane := s.adoptedLane(a)
	// It is known before it is started: what ends meanwhile waits for it, and what the keeper
	// before still hands out is not taken in.
	s.lanes.change(func(lanes []*ingress) []*ingress { return append(lanes, lane) })
	s.takeOver(lane.id)
	s.restoreCursors(lane, a.Cursors)
	r := newRecovery(s, lane, a.Mark)
	r.adopted = true
	err := r.run()
	if err == nil {
		err = s.lanes.start(lane)
	}
	if err != nil {
		s.lanes.drop(lane)
		s.takeOver(lane.id)
		if a.Foreign {
			s.indexing.Add(-1)
		}
		return fmt.Errorf("adopt a journal: %w", err)
	}
	s.wakeLane(lane)
	if a.Foreign {
		s.background(func() {
			recent := s.indexAgain(lane, soonPostedAgain, a.Mark.Routed)
			s.indexing.Add(-1)
			s.indexAgain(lane, engine.IdentityWindow, recent-1)
		})
	}
	return nil
}

// soonPostedAgain is how long after an event most are posted again that are: these ids and keys are
// indexed first.
const soonPostedAgain = 10 * time.Minute

// Indexing tells that ids and keys of the last minutes are not indexed yet that another member has
// taken: whether one was given before is not known.
func (s *System) Indexing() bool { return s.indexing.Load() > 0 }

// indexAgain indexes the given ids and keys of an adopted journal that recovery did not, from some
// time ago through a sequence, and gives the first that it looked at: an id means one thing for a
// day, whatever became of the member that took it.
func (s *System) indexAgain(lane *ingress, ago time.Duration, through uint64) (first uint64) {
	first, err := lane.journal.Seek(s.clock().Add(-ago))
	from := first
	r := newRecovery(s, lane, engine.Watermark{})
	r.adopted = true
	for err == nil && from <= through && !s.stopping.Load() {
		var next uint64
		next, err = lane.journal.Read(from, readRecords, func(sequence uint64, record engine.Record) bool {
			switch {
			case sequence > through:
			case record.Request != nil:
				r.request(record.Request)
			default:
				r.remember(record.Event)
			}
			return sequence < through
		})
		if next <= from {
			break
		}
		from = next
	}
	if err != nil {
		s.logger.Warn("given ids of an adopted journal could not be indexed", "lane", lane.name, "error", err)
	}
	return max(first, 1)
}

// Adopted counts the journals of earlier lives that this member keeps.
func (s *System) Adopted() (n int) {
	for _, lane := range s.lanes.all() {
		if lane.adopted {
			n++
		}
	}
	return n
}

func (s *System) adoptedLane(a Adoption) *ingress {
	config := s.configOf(a.Lane)
	config.Name, config.Topics = a.Name, nil
	lane := &ingress{
		system: s, id: a.Journal.ID(), name: a.Name, config: config, adopted: true,
		windowShare: config.WindowShare, maxInFlight: config.MaxInFlight, journal: a.Journal, settled: a.Settled,
	}
	lane.setTopics(nil)
	lane.totals.carry(a.Mark.Totals)
	return lane
}

// configOf is the configuration of a lane by its name, which another member may have had.
func (s *System) configOf(lane string) engine.LaneConfig {
	if lane == engine.SharedLane {
		return sharedConfig(s.options)
	}
	for _, config := range s.options.Lanes {
		if config.Name == lane {
			return config
		}
	}
	return promotedConfig(engine.LaneRecord{Name: lane}, s.options.Retention)
}

// takeOver gives back what came from another keeper of the journal and has not begun, and forgets
// what is known of the journal: it comes again, from here or from there.
func (s *System) takeOver(journal engine.JournalID) {
	for _, e := range s.registry.all() {
		for _, slot := range e.allSlots() {
			if slot.journal != journal {
				continue
			}
			if sequences := slot.close(); len(sequences) > 0 {
				s.cluster.GiveBack(journal, e.id, sequences, false)
			}
			s.dropSlot(e, journal)
		}
	}
}

// dropSlot forgets the mailbox of a journal, and what the actor knows of it.
func (s *System) dropSlot(e *entry, journal engine.JournalID) {
	if e.dropSlot(journal) && e.isAwake() {
		e.send(dropLane{journal})
	}
}

func (s *System) restoreCursors(lane *ingress, cursors []engine.Cursor) {
	for _, c := range cursors {
		if e := s.entryOf(c.Subscription); e != nil {
			e.restoreSlot(lane, c)
		}
	}
}

// wakeLane starts the actors of the subscriptions that a lane holds something for.
func (s *System) wakeLane(lane *ingress) {
	for _, e := range s.registry.all() {
		for _, slot := range e.allSlots() {
			if slot.journal == lane.id && !slot.empty() {
				e.wake()
			}
		}
	}
}

// Relinquish ends the keeping of an adopted journal: another member goes on with it.
func (s *System) Relinquish(journal engine.JournalID) {
	lane := s.lanes.byJournal(journal)
	if lane == nil || !lane.adopted {
		return
	}
	s.lanes.drop(lane)
	s.root.Stop(lane.pid.Load())
	writes := []engine.Write{engine.DropWatermark{Journal: journal}}
	for _, e := range s.registry.all() {
		writes = append(writes, engine.DropCursor{Subscription: e.id, Journal: journal})
	}
	s.takeOver(journal) // what the next keeper has handed out already comes again
	for part := range slices.Chunk(writes, maxDrops) {
		s.write(part, func() {})
	}
}

// maxDrops bounds the cursors that one write drops.
const maxDrops = 1000
