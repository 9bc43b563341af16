package tally

// The states of a delivery in the feed.
const (
	StateDelivered = "delivered"
	StateDead      = "dead"
)

// Feed records what the reconciliation feed of one subscription lists.
type Feed struct {
	book  *Book
	pages []listing
	odd   counts
}

type listing struct {
	listed      Set
	undelivered Set // also in listed
	repeated    int64
	dead        int64
	pending     int64
}

// NewFeed opens the record of a feed.
func NewFeed(book *Book) *Feed { return &Feed{book: book, pages: make([]listing, len(book.pages))} }

// Listed writes down one item of the feed. One caller at a time.
func (f *Feed) Listed(topic, id string, data []byte, state string) {
	page, number, ok := f.book.identify(&f.odd, topic, id, data)
	if !ok {
		return
	}
	p := &f.pages[page]
	if !p.listed.Add(number) {
		p.repeated++
		return
	}
	if state == StateDelivered {
		return
	}
	p.undelivered.Add(number)
	if state == StateDead {
		p.dead++
	} else {
		p.pending++
	}
}
