package tally

import (
	"sync/atomic"
	"time"
)

// Receipt records what arrived at the endpoint of one subscription.
type Receipt struct {
	Name string // of the receiver, for people
	// Receiving is the time from when an event was due to be posted to its first arrival, by
	// topic in the order of the book.
	Receiving []Histogram

	book   *Book
	wanted []bool
	pages  []arrivals
	odd    counts
	last   atomic.Int64 // Unix nanoseconds of the latest first arrival
}

type arrivals struct {
	unique     Set
	duplicates atomic.Int64
}

// NewReceipt opens the receipt of a subscription that takes the topics wanted says.
func NewReceipt(name string, book *Book, wanted func(topic string) bool) *Receipt {
	r := &Receipt{
		Name: name, book: book, wanted: make([]bool, len(book.pages)),
		pages: make([]arrivals, len(book.pages)), Receiving: make([]Histogram, len(book.pages)),
	}
	for i, p := range book.pages {
		r.wanted[i] = wanted(p.topic)
	}
	return r
}

// Arrived writes down one delivery, received at a time. data must be as it arrived.
func (r *Receipt) Arrived(topic, id string, data []byte, at time.Time) {
	page, number, ok := r.book.identify(&r.odd, topic, id, data)
	if !ok {
		return
	}
	if !r.wanted[page] {
		r.odd[Stray].Add(1)
	}
	if !r.pages[page].unique.Add(number) {
		r.pages[page].duplicates.Add(1)
		return
	}
	r.Receiving[page].Add(at.Sub(r.book.due(page, number)))
	r.last.Store(at.UnixNano())
}

// Odd counts a delivery that was odd for a reason the receiver saw.
func (r *Receipt) Odd(kind Oddity) { r.odd[kind].Add(1) }

// Unique is how many different events have arrived.
func (r *Receipt) Unique() int64 {
	sum := int64(0)
	for i := range r.pages {
		sum += r.pages[i].unique.Len()
	}
	return sum
}

// Missing is how many of the accepted events have not arrived yet, at most.
func (r *Receipt) Missing() int64 {
	sum := int64(0)
	for i, p := range r.book.pages {
		if r.wanted[i] {
			sum += max(0, p.accepted.Len()-r.pages[i].unique.Len())
		}
	}
	return sum
}

// Last is when the latest new event arrived; the zero time if none has.
func (r *Receipt) Last() time.Time {
	if nanos := r.last.Load(); nanos != 0 {
		return time.Unix(0, nanos)
	}
	return time.Time{}
}
