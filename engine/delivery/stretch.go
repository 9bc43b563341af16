package delivery

import (
	"slices"

	"pannier/engine"
)

// stretch is the part of a lane's journal that waits behind the subscription's cursor.
//
//	from .................. buffered ...... next ......... through
//	└─ settled, or open: ───┘ └─ read, and ───┘ └─ still to be ─┘  (0: the ingress actor
//	   an attempt under way      not attempted     read                still adds events)
//
// Only the ingress actor opens one (the mailbox was full, or its events waited too long)
// and only it gives one its end: it names the sequence after which events come by mailbox
// again.
type stretch struct {
	next    uint64
	through uint64
	open    map[uint64]struct{} // read and not settled
	// ahead are settled although they are still to be read: a crash left the cursor behind
	// their retry records.
	ahead map[uint64]struct{}
}

func newStretch(r engine.Range) *stretch {
	return &stretch{next: r.From, through: r.Through, open: make(map[uint64]struct{})}
}

// unread tells whether there may be more to read.
func (s *stretch) unread() bool { return s.through == 0 || s.next <= s.through }

// skip notes that the event at sequence was settled, if it is still to be read.
func (s *stretch) skip(sequence uint64) {
	if sequence < s.next || !s.unread() || (s.through != 0 && sequence > s.through) {
		return
	}
	if s.ahead == nil {
		s.ahead = make(map[uint64]struct{})
	}
	s.ahead[sequence] = struct{}{}
}

// wasSkipped forgets that sequence was settled before it was read.
func (s *stretch) wasSkipped(sequence uint64) bool {
	_, skipped := s.ahead[sequence]
	delete(s.ahead, sequence)
	return skipped
}

// done tells whether every event of the stretch is settled.
func (s *stretch) done() bool { return !s.unread() && len(s.open) == 0 }

// pending appends what a crash would have to read again: what was read and not settled, one
// by one, and in one range what was not attempted, from the first buffered sequence on (0:
// nothing is buffered).
func (s *stretch) pending(ranges []engine.Range, buffered uint64) []engine.Range {
	rest := engine.Range{From: s.next, Through: s.through}
	if _, own := s.open[buffered]; own {
		rest.From = buffered
	}
	attempted := make([]uint64, 0, len(s.open))
	for sequence := range s.open {
		if sequence < rest.From {
			attempted = append(attempted, sequence)
		}
	}
	slices.Sort(attempted)
	for _, sequence := range attempted {
		ranges = append(ranges, engine.Range{From: sequence, Through: sequence})
	}
	if rest.Through == 0 || rest.From <= rest.Through {
		ranges = append(ranges, rest)
	}
	return ranges
}
