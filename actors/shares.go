package actors

import (
	"container/heap"

	"pannier/engine"
)

const (
	// firstCredit is what a subscription has that has not shown yet how it answers.
	firstCredit = 2
	maxCredit   = 16
)

// share is what one subscription has under way in one lane, and what of it waits for a
// place. It is there only while there is some of either. Guarded by the sender pool.
//
// While more than half of a lane's places are free nobody is held back. Beyond that a
// subscription holds no more places than it has credit: one more for each success, up to
// maxCredit, and a single one after a failure. So endpoints that do not answer, which hold
// every place for as long as their timeout, leave places for those that do, unless there
// are hundreds of them.
type share struct {
	shareKey

	running int
	credit  int
	delayed []attemptJob
	place   int    // in the lane's line; -1 when nothing waits
	turn    uint64 // of its last start: among equals the one that started least recently goes first
}

type shareKey struct {
	entry *entry
	lane  *ingress // of the event
}

// share finds or makes the share that an attempt belongs to.
func (p *attempts) share(key shareKey) *share {
	s := p.shares[key]
	if s == nil {
		s = &share{shareKey: key, credit: firstCredit, place: -1}
		p.shares[key] = s
	}
	return s
}

// mayStart tells whether a share may have one more attempt under way.
func (p *attempts) mayStart(s *share) bool {
	taken, places := s.lane.attempting, s.lane.maxInFlight
	return p.running < maxAttempts && taken < places && (taken < places/2 || s.running < s.credit)
}

// begin takes a place.
func (p *attempts) begin(s *share) {
	p.running++
	s.lane.attempting++
	s.running++
	p.turn++
	s.turn = p.turn
	s.moved()
}

// end gives a place back.
func (p *attempts) end(key shareKey, outcome engine.Outcome) {
	s := p.shares[key]
	p.running--
	s.lane.attempting--
	s.running--
	switch outcome {
	case engine.OutcomeSuccess:
		s.credit = min(s.credit+1, maxCredit)
	case engine.OutcomeInterrupted:
	default:
		s.credit = 1
	}
	s.moved()
	if s.running == 0 && s.place < 0 {
		delete(p.shares, key)
	}
}

// delay keeps an attempt until there is a place for it.
func (p *attempts) delay(s *share, job attemptJob) {
	s.delayed = append(s.delayed, job)
	if s.place < 0 {
		heap.Push(&s.lane.line, s)
	}
}

// takeDelayed begins the attempt of a lane that is next in line, if there is a place for it:
// when there is none for the first in line, there is none for another.
func (p *attempts) takeDelayed(lane *ingress) (attemptJob, bool) {
	if len(lane.line) == 0 || !p.mayStart(lane.line[0]) {
		return attemptJob{}, false
	}
	s := lane.line[0]
	job := s.delayed[0]
	s.delayed[0] = attemptJob{}
	if s.delayed = s.delayed[1:]; len(s.delayed) == 0 {
		heap.Remove(&lane.line, s.place)
	}
	p.begin(s)
	return job, true
}

// takeAllDelayed begins every attempt for which the end of another made a place; anywhere
// tells that other lanes may have waited for it too.
func (p *attempts) takeAllDelayed(lane *ingress, anywhere bool) (jobs []attemptJob) {
	lanes := []*ingress{lane}
	if anywhere {
		lanes = append(lanes, p.system.lanes.all()...)
	}
	for _, lane := range lanes {
		for {
			job, found := p.takeDelayed(lane)
			if !found {
				break
			}
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// moved keeps the line in order.
func (s *share) moved() {
	if s.place >= 0 {
		heap.Fix(&s.lane.line, s.place)
	}
}

// line is the shares of a lane that wait, the one with the most credit left first: a
// container/heap.
type line []*share

func (l line) Len() int { return len(l) }

func (l line) Less(i, j int) bool {
	if a, b := l[i].credit-l[i].running, l[j].credit-l[j].running; a != b {
		return a > b
	}
	return l[i].turn < l[j].turn
}

func (l line) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].place, l[j].place = i, j
}

func (l *line) Push(x any) {
	s, _ := x.(*share)
	s.place = len(*l)
	*l = append(*l, s)
}

func (l *line) Pop() any {
	old := *l
	s := old[len(old)-1]
	old[len(old)-1] = nil
	s.place = -1
	*l = old[:len(old)-1]
	return s
}
