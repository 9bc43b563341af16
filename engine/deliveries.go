package engine

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Deliveries lists those of a subscription in order of (accept time, id). Errors:
// not_found, invalid.
func (e *Engine) Deliveries(ctx context.Context, caller Caller, id SubscriptionID, filter DeliveryFilter, page Page) (Listed[DeliveryView], error) {
	version, err := e.find(caller, id)
	if err != nil {
		return Listed[DeliveryView]{}, err
	}
	after, err := parseCursor("deliveries", page.Cursor)
	if err != nil {
		return Listed[DeliveryView]{}, err
	}
	c, err := e.classifier(ctx, version)
	if err != nil {
		return Listed[DeliveryView]{}, err
	}
	g := &gatherer{limit: page.Limit}
	if filter.State == "" || filter.State == DeliveryDead {
		// Dead letters outlive their events: those come from the state.
		if err := e.gatherDead(ctx, c, filter.Window, after, g); err != nil {
			return Listed[DeliveryView]{}, err
		}
	}
	if filter.State != DeliveryDead {
		if err := e.gatherRetained(ctx, c, filter, after, g); err != nil {
			return Listed[DeliveryView]{}, err
		}
	}
	return g.list("deliveries"), nil
}

// gatherer merges deliveries from two sources, each in order of accept time, into one page.
type gatherer struct {
	limit int
	views []DeliveryView
	seen  map[string]bool
}

func (g *gatherer) add(view DeliveryView) {
	if g.seen == nil {
		g.seen = make(map[string]bool)
	}
	if !g.seen[view.ID] {
		g.seen[view.ID] = true
		g.views = append(g.views, view)
	}
}

func (g *gatherer) list(kind string) Listed[DeliveryView] {
	slices.SortFunc(g.views, func(a, b DeliveryView) int {
		return cmp.Or(cmp.Compare(a.AcceptedAt.UnixMilli(), b.AcceptedAt.UnixMilli()), cmp.Compare(a.EventID, b.EventID))
	})
	listed := Listed[DeliveryView]{Items: g.views}
	if len(g.views) > g.limit {
		listed.Items = g.views[:g.limit]
		last := listed.Items[g.limit-1]
		listed.Next = position{milli: last.AcceptedAt.UnixMilli(), id: last.EventID}.cursor(kind)
	}
	return listed
}

// gatherRetained adds up to one more than a page of the retained events' deliveries.
func (e *Engine) gatherRetained(ctx context.Context, c *classifier, filter DeliveryFilter, after position, g *gatherer) error {
	window := filter.Window
	if filter.State == DeliveryWaiting || filter.State == DeliveryAttempting {
		oldest := c.oldestPending()
		if oldest.IsZero() && c.work.Pending == 0 {
			return nil
		}
		if oldest.After(window.Since) {
			window.Since = oldest
		}
	}
	taken := 0
	var failed error
	err := c.walk(ctx, window, after, func(event *Event) bool {
		if !e.table.WasFor(event, c.subscription.ID) {
			return true
		}
		view, err := c.viewInOrder(ctx, event)
		if err != nil {
			failed = err
			return false
		}
		if filter.State != "" && view.State != filter.State {
			return true
		}
		g.add(view)
		taken++
		return taken <= g.limit
	})
	return cmp.Or(failed, err)
}

// gatherDead adds up to one more than a page of dead letters.
func (e *Engine) gatherDead(ctx context.Context, c *classifier, window Window, after position, g *gatherer) error {
	start := DeliveryKey{AcceptedMilli: max(after.milli, window.Since.UnixMilli(), 1) - 1, Event: EventRef{Journal: ^JournalID(0), Sequence: ^uint64(0)}}
	taken := 0
	var milli int64
	for {
		page, err := e.state.DeadLetters(ctx, c.subscription.ID, start, g.limit+1)
		if err != nil {
			return err
		}
		for n := range page {
			dead := &page[n]
			start = dead.Key
			at := time.UnixMilli(dead.Key.AcceptedMilli)
			if !window.Until.IsZero() && !at.Before(window.Until) {
				return nil
			}
			// A page may only end between two accept times, for the order inside one is by id.
			if taken > g.limit && dead.Key.AcceptedMilli != milli {
				return nil
			}
			view := e.viewDead(c, dead)
			if after.before(dead.Key.AcceptedMilli, view.EventID) {
				g.add(view)
				taken++
				milli = dead.Key.AcceptedMilli
			}
		}
		if len(page) <= g.limit {
			return nil
		}
	}
}

func (e *Engine) viewDead(c *classifier, dead *DeadLetter) DeliveryView {
	event := dead.Event
	if event == nil {
		event = e.in(c.journals, dead.Key.Event)
	}
	view := DeliveryView{
		ID: DeliveryID(dead.Key.Event, c.subscription.ID), SubscriptionID: c.subscription.ID,
		EventID: EventID(dead.Key.Event), AcceptedAt: time.UnixMilli(dead.Key.AcceptedMilli),
	}
	if event != nil {
		view.EventID, view.Topic = event.ID, event.Topic
	}
	return deadView(view, dead)
}

// Feed pages through everything a subscription should have had. Errors: not_found, invalid.
func (e *Engine) Feed(ctx context.Context, caller Caller, id SubscriptionID, filter FeedFilter, page Page) (Listed[FeedItem], error) {
	version, err := e.find(caller, id)
	if err != nil {
		return Listed[FeedItem]{}, err
	}
	after, err := parseCursor("feed", page.Cursor)
	if err != nil {
		return Listed[FeedItem]{}, err
	}
	c, err := e.classifier(ctx, version)
	if err != nil {
		return Listed[FeedItem]{}, err
	}
	listed := Listed[FeedItem]{Items: []FeedItem{}}
	window := filter.Window
	if filter.UndeliveredOnly {
		var some bool
		if window, some, err = c.undelivered(ctx, window, after); err != nil || !some {
			return listed, err
		}
	}
	var failed error
	err = c.walk(ctx, window, after, func(event *Event) bool {
		if event.Directed != "" || !e.table.WasFor(event, id) {
			return true
		}
		view, wanted, err := c.feedView(ctx, event, filter)
		if err != nil {
			failed = err
			return false
		}
		if !wanted {
			return true
		}
		if len(listed.Items) == page.Limit {
			last := listed.Items[page.Limit-1].Event
			listed.Next = position{milli: last.AcceptedAt.UnixMilli(), id: last.ID}.cursor("feed")
			return false
		}
		listed.Items = append(listed.Items, FeedItem{Event: event, Delivery: view})
		return true
	})
	return listed, cmp.Or(failed, err)
}

// feedView describes the delivery of an event, if the filter wants it.
func (c *classifier) feedView(ctx context.Context, event *Event, filter FeedFilter) (view DeliveryView, wanted bool, err error) {
	if filter.UndeliveredOnly {
		if open, err := c.mayBeOpen(ctx, event); err != nil || !open {
			return view, false, err
		}
	}
	view, err = c.viewInOrder(ctx, event)
	return view, !filter.UndeliveredOnly || view.State != DeliveryDelivered, err
}

// EventDeliveries lists the deliveries of one event, by subscription. Errors: not_found,
// invalid, unavailable.
func (e *Engine) EventDeliveries(ctx context.Context, caller Caller, id string, page Page) (Listed[DeliveryView], error) {
	event, err := e.Event(ctx, caller, id)
	if err != nil {
		return Listed[DeliveryView]{}, err
	}
	after, err := parseCursor("event", page.Cursor)
	if err != nil {
		return Listed[DeliveryView]{}, err
	}
	var subs []*Subscription
	for _, handle := range e.table.MatchAt(event, nil) {
		if s := e.table.Latest(Handle(handle)); caller.Sees(s.Tenant) && string(s.ID) > after.id {
			subs = append(subs, s)
		}
	}
	slices.SortFunc(subs, func(a, b *Subscription) int { return cmp.Compare(a.ID, b.ID) })
	listed := Listed[DeliveryView]{}
	if len(subs) > page.Limit {
		subs = subs[:page.Limit]
		listed.Next = position{id: string(subs[page.Limit-1].ID)}.cursor("event")
	}
	ids := make([]SubscriptionID, len(subs))
	for n, s := range subs {
		ids[n] = s.ID
	}
	if e.cluster != nil {
		listed.Items, err = e.cluster.Deliveries(ctx, event, ids)
	} else {
		listed.Items, err = e.LocalDeliveries(ctx, event, ids)
	}
	return listed, err
}

// LocalDeliveries describes the deliveries of an event to subscriptions that it was for, as this
// member knows them: in a cluster it owns the subscriptions. One that is not known here is left
// out.
func (e *Engine) LocalDeliveries(ctx context.Context, event *Event, ids []SubscriptionID) ([]DeliveryView, error) {
	views := make([]DeliveryView, 0, len(ids))
	for _, id := range ids {
		handle, known := e.table.Known(id)
		if !known {
			continue
		}
		c, err := e.classifierOf(ctx, e.table.Latest(handle), nil)
		if err != nil {
			return nil, err
		}
		view, err := c.view(ctx, event)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

// delivery finds a delivery by id. event has no Data when it expired, and is nil when nothing of
// it is left but the dead letter.
func (e *Engine) delivery(ctx context.Context, caller Caller, id string) (DeliveryView, *Event, *DeadLetter, error) {
	missing := Errorf(CodeNotFound, "no such delivery")
	ref, sub, ok := ParseDeliveryID(id)
	if !ok {
		return DeliveryView{}, nil, nil, missing
	}
	version, err := e.find(caller, sub)
	if err != nil {
		return DeliveryView{}, nil, nil, missing
	}
	c, err := e.classifier(ctx, version)
	if err != nil {
		return DeliveryView{}, nil, nil, err
	}
	c.attempts = e.attemptsOf
	event := e.at(ctx, ref)
	if event != nil && !e.table.WasFor(event, sub) {
		return DeliveryView{}, nil, nil, missing
	}
	dead, err := e.findDead(ctx, sub, ref, event)
	switch {
	case err != nil:
		return DeliveryView{}, nil, nil, err
	case dead != nil:
		view, err := e.viewMaybeDead(ctx, c, dead, event)
		return view, cmp.Or(dead.Event, event), dead, err
	case event == nil:
		return DeliveryView{}, nil, nil, notFound(ctx, "delivery")
	}
	view, err := c.view(ctx, event)
	return view, event, nil, err
}

func (e *Engine) viewMaybeDead(ctx context.Context, c *classifier, dead *DeadLetter, event *Event) (DeliveryView, error) {
	if event != nil {
		return c.view(ctx, event) // it may be under way again
	}
	return e.viewDead(c, dead), nil
}

// findDead finds the dead letter of a delivery, also when its event has left the retention:
// then the accept time is not known from the id.
func (e *Engine) findDead(ctx context.Context, sub SubscriptionID, ref EventRef, event *Event) (*DeadLetter, error) {
	if event != nil {
		dead, found, err := e.state.DeadLetter(ctx, sub, event.Key())
		if err != nil || !found {
			return nil, err
		}
		return &dead, nil
	}
	dead, found, err := e.state.DeadLetterOf(ctx, sub, ref)
	if err != nil || !found {
		return nil, err
	}
	return &dead, nil
}

// Delivery describes one delivery. Errors: not_found.
func (e *Engine) Delivery(ctx context.Context, caller Caller, id string) (DeliveryView, error) {
	view, _, _, err := e.delivery(ctx, caller, id)
	return view, err
}

// Attempts lists the attempts of a delivery by number. Errors: not_found, invalid.
func (e *Engine) Attempts(ctx context.Context, caller Caller, id string, page Page) (Listed[Attempt], error) {
	_, event, dead, err := e.delivery(ctx, caller, id)
	if err != nil {
		return Listed[Attempt]{}, err
	}
	after, err := parseCursor("attempts", page.Cursor)
	if err != nil {
		return Listed[Attempt]{}, err
	}
	_, sub, _ := ParseDeliveryID(id)
	var key DeliveryKey
	if dead != nil {
		key = dead.Key
	} else {
		key = event.Key()
	}
	attempts, err := e.attemptsOf(ctx, sub, key)
	if err != nil {
		return Listed[Attempt]{}, err
	}
	listed := Listed[Attempt]{Items: []Attempt{}}
	for n := int(after.milli); n < len(attempts); n++ {
		if len(listed.Items) == page.Limit {
			listed.Next = position{milli: int64(n)}.cursor("attempts")
			break
		}
		listed.Items = append(listed.Items, attempts[n])
	}
	return listed, nil
}

// attemptsOf lists the attempts of one delivery by number, whichever members made them.
func (e *Engine) attemptsOf(ctx context.Context, sub SubscriptionID, key DeliveryKey) ([]Attempt, error) {
	if e.cluster == nil {
		return e.history.Attempts(ctx, sub, key)
	}
	attempts := e.cluster.Attempts(ctx, sub, key)
	slices.SortStableFunc(attempts, func(a, b Attempt) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), a.StartedAt.Compare(b.StartedAt))
	})
	return attempts, nil
}

// RetryDelivery makes one attempt at once of a dead letter or of a delivered one. Errors:
// not_found, conflict (waiting or under way, or its body is gone), unavailable.
func (e *Engine) RetryDelivery(ctx context.Context, caller Caller, id string) error {
	view, event, dead, err := e.delivery(ctx, caller, id)
	if err != nil {
		return err
	}
	if view.State != DeliveryDead && view.State != DeliveryDelivered {
		return Errorf(CodeConflict, "the delivery is %s", view.State)
	}
	if event == nil || event.Data == nil {
		return Errorf(CodeConflict, "the body of the event is gone")
	}
	record := RetryRecord{
		Subscription: view.SubscriptionID, Key: event.Key(), Attempts: view.Attempts, Due: ownEpoch, Once: true,
		Delivered: view.State == DeliveryDelivered,
	}
	if e.cluster != nil {
		record.Body = event // the journal may be another member's
	}
	var with []Write
	if dead != nil {
		record.Body = dead.Event
		with = append(with, DropDeadLetter{Subscription: view.SubscriptionID, Key: event.Key()})
	}
	return e.deliveries.Insert(ctx, record, with)
}

// ownEpoch is due at once on any subscription's own clock.
var ownEpoch = time.Unix(0, 0)
