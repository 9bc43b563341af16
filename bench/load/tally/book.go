package tally

import (
	"hash/crc32"
	"sync/atomic"
	"time"
)

// Topic is a topic and the member of its data whose value is the mark, the first of that
// name in the text.
type Topic struct{ Name, Member string }

// Book records what was posted.
type Book struct {
	run   uint32
	start time.Time
	pages []*page
	names map[string]int
	// Accepting is the time from when a request was due to its 202.
	Accepting Histogram
}

// page is one topic of the book.
type page struct {
	topic    string
	member   []byte
	entries  chunks[[chunkNumbers]entry]
	planned  Set // about to be posted
	accepted Set // answered 202
	refused  Set // answered otherwise: must not exist
}

// entry is what is known of one event.
type entry struct {
	due   atomic.Uint32 // ticks after the start
	check atomic.Uint32 // of the data
	id    atomic.Uint32 // of the event's id, whoever saw it first; 0: nobody yet
}

// tick is the unit of due times: 32 bits last for almost five days.
const tick = 100 * time.Microsecond

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewBook opens the book of a run that begins at start.
func NewBook(run uint32, start time.Time, topics []Topic) *Book {
	b := &Book{run: run, start: start, names: make(map[string]int, len(topics))}
	for i, topic := range topics {
		b.names[topic.Name] = i
		b.pages = append(b.pages, &page{topic: topic.Name, member: []byte(`"` + topic.Member + `":"`)})
	}
	return b
}

// Run is the run that marks of this book name.
func (b *Book) Run() uint32 { return b.run }

// Plan writes down an event that is about to be posted, due at a time; false when the
// number is above MaxNumber or the topic is not in the book.
func (b *Book) Plan(topic string, number uint64, data []byte, due time.Time) bool {
	at, found := b.names[topic]
	if !found || number > MaxNumber {
		return false
	}
	e := &b.pages[at].entries.made(number)[number%chunkNumbers]
	e.due.Store(uint32(due.Sub(b.start) / tick)) //nolint:gosec // wraps after five days: a wrong figure, no wrong verdict
	e.check.Store(crc32.Checksum(data, castagnoli))
	b.pages[at].planned.Add(number)
	return true
}

// Accept writes down that an event of Plan was answered 202 with an id.
func (b *Book) Accept(topic string, number uint64, id string) {
	p := b.pages[b.names[topic]]
	p.accepted.Add(number)
	p.entries.made(number)[number%chunkNumbers].named(id)
}

// Refuse writes down that an event of Plan was refused: it must not exist.
func (b *Book) Refuse(topic string, number uint64) { b.pages[b.names[topic]].refused.Add(number) }

// Accepted is how many events of a topic were answered 202.
func (b *Book) Accepted(topic string) int64 { return b.pages[b.names[topic]].accepted.Len() }

// named tells whether the event has this id, as far as anybody has seen.
func (e *entry) named(id string) bool {
	fingerprint := crc32.Checksum([]byte(id), castagnoli) | 1
	return e.id.CompareAndSwap(0, fingerprint) || e.id.Load() == fingerprint
}

// Oddity is what can be wrong with something that was seen, besides that it should not
// have been there.
type Oddity int

// The oddities.
const (
	Foreign   Oddity = iota // of another run: somebody else's event, no mismatch
	Malformed               // no mark, or an envelope that contradicts its headers
	Invented                // a number of this run that was never posted
	Altered                 // other data than was posted
	Renamed                 // an event under two ids
	Stray                   // a topic the subscription did not ask for
	Unsigned                // no signature of the subscription's secret
	oddities
)

var oddityNames = [oddities]string{
	"foreign", "malformed", "invented", "altered", "under another id", "of a topic not asked for", "with a wrong signature",
}

// counts count oddities.
type counts [oddities]atomic.Int64

// identify finds the event that a piece of data is about; ok is false when it was odd,
// which is counted.
func (b *Book) identify(odd *counts, topic, id string, data []byte) (at int, number uint64, ok bool) {
	at, found := b.names[topic]
	if !found {
		odd[Foreign].Add(1)
		return 0, 0, false
	}
	p := b.pages[at]
	mark, found := markIn(data, p.member)
	switch {
	case !found:
		odd[Malformed].Add(1)
		return 0, 0, false
	case mark.Run != b.run:
		odd[Foreign].Add(1)
		return 0, 0, false
	case !p.planned.Has(mark.Number):
		odd[Invented].Add(1)
		return 0, 0, false
	}
	e := &p.entries.of(mark.Number)[mark.Number%chunkNumbers]
	if e.check.Load() != crc32.Checksum(data, castagnoli) {
		odd[Altered].Add(1)
	}
	if !e.named(id) {
		odd[Renamed].Add(1)
	}
	return at, mark.Number, true
}

// due is when an event of the book was due to be posted.
func (b *Book) due(at int, number uint64) time.Time {
	e := &b.pages[at].entries.of(number)[number%chunkNumbers]
	return b.start.Add(time.Duration(e.due.Load()) * tick)
}
