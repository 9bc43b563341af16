package tally

import (
	"fmt"
	"time"
)

// Evidence is what is known of one subscription.
type Evidence struct {
	Receipt     *Receipt
	Feed        *Feed // everything it should have had; nil when that was not read
	Undelivered *Feed // what the feed lists as undelivered
}

// Line is what became of one topic at one subscription.
type Line struct {
	Subscription, Topic string

	Accepted    int64 // answered 202
	Arrived     int64 // different events
	Duplicates  int64 // arrivals beyond the first
	Listed      int64 // by the feed; -1 when it was not read
	Undelivered int64 // by the feed
	Dead        int64 // of those: dead letters

	P50, P99 time.Duration // from due to the first arrival
}

// Report is the comparison.
type Report struct {
	Lines []Line
	// Mismatches say what does not agree. Without any, what was answered 202 has arrived or is
	// listed as undelivered, and nothing else exists.
	Mismatches []string
	// Notes say what is unusual and allowed.
	Notes []string
}

// Compare judges the evidence against the book.
func Compare(book *Book, evidence []Evidence) Report {
	c := &comparison{book: book}
	for _, p := range book.pages {
		unanswered, first := p.planned.differ(&p.accepted, &p.refused)
		c.mismatch(unanswered, first, "%s: posted and never answered", p.topic)
	}
	for _, e := range evidence {
		for at := range book.pages {
			c.topic(e, at)
		}
		c.oddities(e.Receipt.Name+": arrived", &e.Receipt.odd)
		c.oddities(e.Receipt.Name+": in the undelivered feed", &e.Undelivered.odd)
		if e.Feed != nil {
			c.oddities(e.Receipt.Name+": in the feed", &e.Feed.odd)
		}
	}
	return c.Report
}

type comparison struct {
	Report

	book *Book
}

// topic compares one topic of one subscription.
func (c *comparison) topic(e Evidence, at int) {
	p, arrived, open := c.book.pages[at], &e.Receipt.pages[at], &e.Undelivered.pages[at]
	where := e.Receipt.Name + ": " + p.topic
	if e.Receipt.wanted[at] {
		latency := &e.Receipt.Receiving[at]
		c.Lines = append(c.Lines, Line{
			Subscription: e.Receipt.Name, Topic: p.topic, Accepted: p.accepted.Len(),
			Arrived: arrived.unique.Len(), Duplicates: arrived.duplicates.Load(), Listed: -1,
			Undelivered: open.listed.Len(), Dead: open.dead,
			P50: latency.Percentile(0.50), P99: latency.Percentile(0.99),
		})
		lost, first := p.accepted.differ(&arrived.unique, &open.listed)
		c.mismatch(lost, first, "%s: LOST, answered 202, not arrived and not undelivered in the feed", where)
	} else {
		c.mismatch(open.listed.Len(), nil, "%s: not asked for, yet in the undelivered feed", where)
	}
	unposted, first := arrived.unique.differ(&p.accepted)
	c.mismatch(unposted, first, "%s: arrived and never answered 202", where)
	unposted, first = open.listed.differ(&p.accepted)
	c.mismatch(unposted, first, "%s: in the undelivered feed and never answered 202", where)
	c.mismatch(open.repeated, nil, "%s: twice in the undelivered feed", where)
	c.mismatch(open.pending, nil, "%s: not settled in time", where)
	if missing, _ := open.listed.differ(&arrived.unique); open.listed.Len() > missing {
		c.Notes = append(c.Notes, fmt.Sprintf("%s: %d undelivered ones arrived, their answers were lost", where, open.listed.Len()-missing))
	}
	if e.Feed != nil {
		c.feed(e, at, where)
	}
}

// feed compares the whole feed of one topic with the rest.
func (c *comparison) feed(e Evidence, at int, where string) {
	p, listing, open := c.book.pages[at], &e.Feed.pages[at], &e.Undelivered.pages[at]
	if !e.Receipt.wanted[at] {
		c.mismatch(listing.listed.Len(), nil, "%s: not asked for, yet in the feed", where)
		return
	}
	c.Lines[len(c.Lines)-1].Listed = listing.listed.Len()
	unlisted, first := p.accepted.differ(&listing.listed)
	c.mismatch(unlisted, first, "%s: answered 202 and not in the feed", where)
	unposted, first := listing.listed.differ(&p.accepted)
	c.mismatch(unposted, first, "%s: in the feed and never answered 202", where)
	c.mismatch(listing.repeated, nil, "%s: twice in the feed", where)
	hidden, first := listing.undelivered.differ(&open.listed)
	c.mismatch(hidden, first, "%s: undelivered, but not in the undelivered feed", where)
	surplus, first := open.listed.differ(&listing.undelivered)
	c.mismatch(surplus, first, "%s: delivered, but in the undelivered feed", where)
}

func (c *comparison) mismatch(count int64, first []uint64, format, where string) {
	if count == 0 {
		return
	}
	text := fmt.Sprintf(format, where) + fmt.Sprintf(": %d", count)
	if len(first) > 0 {
		text += fmt.Sprintf(", the first numbers %v", first)
	}
	c.Mismatches = append(c.Mismatches, text)
}

func (c *comparison) oddities(where string, odd *counts) {
	for kind := range oddities {
		count := odd[kind].Load()
		switch {
		case count == 0:
		case kind == Foreign:
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %d events of others", where, count))
		default:
			c.Mismatches = append(c.Mismatches, fmt.Sprintf("%s %s: %d", where, oddityNames[kind], count))
		}
	}
}
