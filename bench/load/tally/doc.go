// Package tally compares what was posted with what arrived and with what the
// reconciliation feed says. Every event carries a mark: a number that counts the events of
// its topic in this run. So 5 million events cost bits and not strings: a few bytes an
// event for the book of what was posted, two bits an event for each subscription.
//
// It makes no request and shares no code with the server. Safe for concurrent use, but for
// Compare, which comes when nothing moves any more.
package tally
