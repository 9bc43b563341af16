package main

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind names a fault.
type kind string

// The faults.
const (
	killOne   kind = "kill one"
	killAll   kind = "kill all"
	diskLost  kind = "disk lost"  // killed, its folder removed, started empty
	diskStale kind = "disk stale" // killed, its folder replaced by an older copy, started
	stopped   kind = "stop"       // SIGSTOP, SIGCONT
	// diskDamaged is a member killed and started again, whose journals have spoiled bytes.
	diskDamaged kind = "disk damaged"
	halves      kind = "halves"  // two parts that do not hear each other
	oneWay      kind = "one way" // one does not hear another
	ring        kind = "ring"    // each hears its neighbours only
	isolate     kind = "isolate" // one hears nobody and is heard by nobody
	swizzle     kind = "swizzle" // links go one by one, and come back in another order
	rolling     kind = "rolling restart"
	scale       kind = "scale" // two join with empty disks, and leave
	// cutLost is a lost disk whose last seconds some of the others, or all, have not heard of.
	cutLost kind = "cut, disk lost"
)

// extra is how many members join when the cluster is scaled.
const extra = 2

// processFaults need no network of their own.
var processFaults = []kind{killOne, killAll, diskLost, diskStale, diskDamaged, stopped, rolling, scale}

// allFaults are what a round may draw.
var allFaults = append(slices.Clone(processFaults), halves, oneWay, ring, isolate, swizzle, cutLost)

// storm is the name of a round in which many faults overlap.
const storm = "storm"

// link is one direction between two members.
type link struct{ from, to int }

// step is a fault, or a part of one, over an interval of its round.
type step struct {
	kind    kind
	fault   int // its number in the round; the parts of one share it
	at      time.Duration
	length  time.Duration
	targets []int  // members
	links   []link // that are cut
}

func (s *step) end() time.Duration { return s.at + s.length }

// losesDisk tells whether what was on a disk may be gone.
func (k kind) losesDisk() bool {
	return k == diskLost || k == diskStale || k == diskDamaged || k == cutLost
}

// planOptions say what a schedule may hold.
type planOptions struct {
	seed        uint64
	members     int
	replication int
	short       bool
	only        kind // the one fault of every round; "" is all
	network     bool // links can be cut
}

// plan is what happens in one round; the same options and number give the same plan.
type plan struct {
	round int
	name  string
	steps []step
}

// newRandom gives a generator for one purpose: what one part draws does not depend on the others.
func newRandom(seed uint64, purpose ...string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.Join(purpose, "\x00"))) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))         //nolint:gosec // a seed must repeat the run
}

// shortDeck is the order of the rounds of a short run: each kind of fault at least once.
var shortDeck = []string{
	string(killOne), string(stopped), string(diskLost), string(halves), string(killAll), string(rolling), string(killOne), storm,
}

// kinds are what may be drawn.
func (o *planOptions) kinds() []kind {
	if o.network {
		return slices.Clone(allFaults)
	}
	return slices.Clone(processFaults)
}

// deck gives the names of the rounds of one cycle: every fault leads one round of it.
func (o *planOptions) deck(cycle int) []string {
	faults := o.kinds()
	if o.only != "" {
		return []string{string(o.only)}
	}
	if o.short {
		deck := slices.Clone(shortDeck)
		return slices.DeleteFunc(deck, func(name string) bool { return name != storm && !slices.Contains(faults, kind(name)) })
	}
	var deck []string
	for _, k := range faults {
		deck = append(deck, string(k))
	}
	deck = append(deck, storm)
	random := newRandom(o.seed, "deck", strconv.Itoa(cycle))
	random.Shuffle(len(deck), func(a, b int) { deck[a], deck[b] = deck[b], deck[a] })
	return deck
}

// planRound draws a round. Rounds count from 1.
func planRound(o planOptions, round int) plan {
	size := len(o.deck(0))
	name := o.deck((round - 1) / size)[(round-1)%size]
	d := &draw{planOptions: o, random: newRandom(o.seed, "round", strconv.Itoa(round)), disks: o.replication - 1}
	if name == storm {
		d.storm()
	} else {
		end := d.add(kind(name), 0)
		if !o.short && o.only == "" && d.random.IntN(100) < secondShare {
			d.add(d.any(), end+d.between(time.Second, 6*time.Second))
		}
	}
	slices.SortStableFunc(d.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return plan{round: round, name: name, steps: d.steps}
}

// secondShare of the rounds have a second fault after the first, in per cent.
const secondShare = 35

// draw is a plan being drawn.
type draw struct {
	planOptions
	random *rand.Rand
	steps  []step
	faults int
	disks  int // that may still be lost in this round
}

func (d *draw) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.random.Int64N(int64(most-least)+1))
}

// any draws a fault that the round still has room for.
func (d *draw) any() kind {
	from := d.kinds()
	for {
		k := from[d.random.IntN(len(from))]
		if !k.losesDisk() || d.disks > 0 {
			return k
		}
	}
}

// storm draws faults that overlap, never more lost disks than the copies allow.
func (d *draw) storm() {
	span := 25 * time.Second
	count := 4 + d.random.IntN(4)
	if d.short {
		d.add(stopped, d.between(0, 3*time.Second))
		d.add(diskLost, d.between(0, 5*time.Second))
		span, count = 10*time.Second, 2
	}
	for range count {
		k := d.any()
		if d.short && (k == rolling || k == scale) {
			k = killOne // what takes minutes is for long runs
		}
		d.add(k, d.between(0, span))
	}
}

// add appends one fault and tells when it is over.
func (d *draw) add(k kind, at time.Duration) time.Duration {
	s := step{kind: k, fault: d.faults, at: at, length: d.length(k)}
	d.faults++
	if k.losesDisk() {
		d.disks--
	}
	order := d.random.Perm(d.members)
	switch k {
	case killOne, diskLost, diskStale, diskDamaged, stopped:
		s.targets = order[:1]
	case killAll, rolling:
		s.targets = order
	case swizzle:
		return d.swizzled(s, order)
	case cutLost:
		s.targets = order[:1]
		for _, other := range order[1 : 2+d.random.IntN(d.members-1)] {
			s.links = append(s.links, both(order[0], other)...)
		}
	case scale:
		for n := range extra {
			s.targets = append(s.targets, d.members+n)
		}
	default:
		s.links = cuts(k, order)
	}
	d.steps = append(d.steps, s)
	return s.end()
}

// length draws how long a fault lasts.
func (d *draw) length(k kind) time.Duration {
	switch k {
	case killOne:
		if d.short || d.random.IntN(2) == 0 {
			return d.between(8*time.Second, 14*time.Second) // others take over
		}
		return d.between(100*time.Millisecond, 5*time.Second)
	case killAll:
		return d.between(100*time.Millisecond, 3*time.Second)
	case stopped: // each order of magnitude alike
		most := 60.0
		if d.short {
			most = 15
		}
		return time.Duration(0.1 * math.Pow(most/0.1, d.random.Float64()) * float64(time.Second))
	case cutLost:
		return d.between(time.Second, 6*time.Second)
	case diskStale:
		return d.between(4*time.Second, 12*time.Second)
	case scale:
		return d.between(5*time.Second, 10*time.Second)
	case rolling:
		return 0
	default:
		return d.between(2*time.Second, 15*time.Second)
	}
}

// swizzled cuts every link to one member, one by one, and restores them in another order.
func (d *draw) swizzled(whole step, order []int) time.Duration {
	last := whole.end()
	for _, other := range order[1:] {
		part := whole
		part.at = whole.at + d.between(0, whole.length/2)
		part.length = whole.length/2 + d.between(0, whole.length/2)
		part.links = both(order[0], other)
		d.steps = append(d.steps, part)
		last = max(last, part.end())
	}
	return last
}

func both(a, b int) []link { return []link{{a, b}, {b, a}} }

// cuts are the links that a partition cuts, members taken in the given order.
func cuts(k kind, order []int) (links []link) {
	n := len(order)
	switch k {
	case halves:
		for _, a := range order[:n/2] {
			for _, b := range order[n/2:] {
				links = append(links, both(a, b)...)
			}
		}
	case oneWay:
		links = []link{{order[0], order[1]}}
	case isolate:
		for _, b := range order[1:] {
			links = append(links, both(order[0], b)...)
		}
	case ring:
		for i := range n {
			for j := i + 1; j < n; j++ {
				if j-i > 1 && j-i < n-1 || n == 3 && i == 0 && j == 2 {
					links = append(links, both(order[i], order[j])...)
				}
			}
		}
	default:
	}
	return links
}
