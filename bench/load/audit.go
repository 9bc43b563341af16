package main

import (
	"context"
	"fmt"

	"pannier/bench/load/server"
	"pannier/bench/load/tally"
)

// audit reads the feeds of every partner and compares them with the book and the
// receipts. The whole feed is read only where whole says so: that is every event once more.
func audit(ctx context.Context, book *tally.Book, p *partners, whole bool) (tally.Report, error) {
	evidence := make([]tally.Evidence, len(p.all))
	errs := make(chan error)
	for i, partner := range p.all {
		go func() {
			var err error
			evidence[i], err = gather(ctx, book, p.client, partner, whole)
			errs <- err
		}()
	}
	var failed error
	for range p.all {
		if err := <-errs; err != nil && failed == nil {
			failed = err
		}
	}
	if failed != nil {
		return tally.Report{}, failed
	}
	return tally.Compare(book, evidence), nil
}

func gather(ctx context.Context, book *tally.Book, client *server.Client, p *partner, whole bool) (tally.Evidence, error) {
	e := tally.Evidence{Receipt: p.receiver.Receipt, Undelivered: tally.NewFeed(book)}
	err := client.Feed(ctx, &p.subscription, true, func(item *server.FeedItem) {
		e.Undelivered.Listed(item.Topic, item.ID, item.Data, item.Delivery.State)
	})
	if err == nil && whole {
		e.Feed = tally.NewFeed(book)
		err = client.Feed(ctx, &p.subscription, false, func(item *server.FeedItem) {
			e.Feed.Listed(item.Topic, item.ID, item.Data, item.Delivery.State)
		})
	}
	if err != nil {
		return e, fmt.Errorf("read the feed of %s: %w", p.receiver.Receipt.Name, err)
	}
	return e, nil
}
