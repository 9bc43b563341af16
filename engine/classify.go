package engine

import (
	"context"
	"time"
)

// classifier says in which state the deliveries of one subscription are. It holds a
// picture of what is in memory, taken when it was made.
type classifier struct {
	engine       *Engine
	subscription *Subscription
	work         SubscriptionWork
	exceptions   *exceptions
	// journals were listed before the picture was taken: it says nothing of what was accepted
	// since, which would pass for delivered.
	journals []LaneJournal
	// attempts reads the history, of this member unless it is set otherwise.
	attempts func(ctx context.Context, sub SubscriptionID, key DeliveryKey) ([]Attempt, error)
}

func (e *Engine) classifier(ctx context.Context, s *Subscription) (*classifier, error) {
	return e.classifierOf(ctx, s, e.lanes.Journals(ctx))
}

// classifierOf is classifier for journals that are listed already; those that only view asks of
// need none.
func (e *Engine) classifierOf(ctx context.Context, s *Subscription, journals []LaneJournal) (*classifier, error) {
	work, err := e.deliveries.Look(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	return &classifier{
		engine: e, subscription: s, work: work, journals: journals, exceptions: newExceptions(e.state, s.ID), attempts: e.history.Attempts,
	}, nil
}

// walk visits the events that the picture says something about.
func (c *classifier) walk(ctx context.Context, window Window, after position, visit func(*Event) bool) error {
	return c.engine.walkTo(ctx, c.journals, window, after, visit)
}

// undelivered narrows a window to where something undelivered can be; false when nothing
// is.
func (c *classifier) undelivered(ctx context.Context, window Window, after position) (Window, bool, error) {
	if c.work.Pending > 0 && c.work.OldestMilli == 0 {
		return window, true, nil
	}
	oldest, found, err := c.exceptions.first(ctx, max(window.Since.UnixMilli(), after.milli))
	if err != nil {
		return window, false, err
	}
	if milli := c.work.OldestMilli; milli > 0 && (!found || milli < oldest) {
		oldest, found = milli, true
	}
	if at := time.UnixMilli(oldest); at.After(window.Since) {
		window.Since = at
	}
	return window, found, nil
}

// mayBeOpen tells cheaply whether anything says that the delivery of an event has not
// succeeded: when it is false, view says delivered. Events must come in order of accept
// time.
func (c *classifier) mayBeOpen(ctx context.Context, event *Event) (bool, error) {
	_, flying := c.work.Attempting[event.Ref]
	if flying || c.work.Mailbox[event.Ref] || c.behind(event.Ref) {
		return true, nil
	}
	return c.exceptions.has(ctx, event.Key())
}

// viewInOrder is view for events that come in order of accept time.
func (c *classifier) viewInOrder(ctx context.Context, event *Event) (DeliveryView, error) {
	open, err := c.mayBeOpen(ctx, event)
	if err != nil {
		return DeliveryView{}, err
	}
	if open {
		return c.view(ctx, event)
	}
	return c.settled(ctx, c.blank(event), event)
}

// view describes the delivery of an event that was for the subscription. What is neither in
// memory, nor a retry record, nor a dead letter, nor behind a cursor has been delivered.
func (c *classifier) view(ctx context.Context, event *Event) (DeliveryView, error) {
	key, view := event.Key(), c.blank(event)
	if attempts, flying := c.work.Attempting[event.Ref]; flying {
		view.State, view.Attempts = DeliveryAttempting, attempts
		return view, nil
	}
	record, found, err := c.engine.state.RetryRecord(ctx, c.subscription.ID, key)
	if err != nil {
		return view, err
	}
	if found {
		view.State, view.Attempts = DeliveryWaiting, record.Attempts
		view.LastOutcome, view.LastStatus = record.LastOutcome, record.LastStatus
		view.NextAttemptAt = c.work.Due[key]
		if view.NextAttemptAt.IsZero() {
			view.NextAttemptAt = record.Due
		}
		return view, nil
	}
	dead, found, err := c.engine.state.DeadLetter(ctx, c.subscription.ID, key)
	if err != nil {
		return view, err
	}
	if found {
		return deadView(view, &dead), nil
	}
	return c.settled(ctx, view, event)
}

// blank is a view without its state.
func (c *classifier) blank(event *Event) DeliveryView {
	return DeliveryView{
		ID: DeliveryID(event.Ref, c.subscription.ID), EventID: event.ID, SubscriptionID: c.subscription.ID,
		Topic: event.Topic, AcceptedAt: event.AcceptedAt,
	}
}

func deadView(view DeliveryView, dead *DeadLetter) DeliveryView {
	view.State, view.Reason, view.Attempts = DeliveryDead, dead.Reason, dead.Attempts
	view.LastOutcome, view.LastStatus = dead.LastOutcome, dead.LastStatus
	return view
}

// settled tells a delivered event from one that was never attempted.
func (c *classifier) settled(ctx context.Context, view DeliveryView, event *Event) (DeliveryView, error) {
	view.State = DeliveryWaiting
	if c.work.Mailbox[event.Ref] {
		return view, nil
	}
	attempts, err := c.attempts(ctx, c.subscription.ID, event.Key())
	if err != nil {
		attempts = nil // the history is a log: without it the state below still holds
	}
	for _, attempt := range attempts {
		view.Attempts = max(view.Attempts, attempt.Number)
		view.LastOutcome, view.LastStatus = attempt.Outcome, attempt.Status
		if attempt.Outcome == OutcomeSuccess {
			view.State = DeliveryDelivered
			view.DeliveredAt = attempt.StartedAt.Add(attempt.Duration)
		}
	}
	if view.State == DeliveryDelivered {
		return view, nil
	}
	if c.behind(event.Ref) {
		view.Attempts = 0
		return view, nil
	}
	view.State = DeliveryDelivered
	view.Attempts = max(view.Attempts, 1)
	return view, nil
}

func (c *classifier) behind(ref EventRef) bool {
	for _, r := range c.work.Behind[ref.Journal] {
		if ref.Sequence >= r.From && (r.Through == 0 || ref.Sequence <= r.Through) {
			return true
		}
	}
	return false
}

// oldestPending bounds where anything that is not settled can be found.
func (c *classifier) oldestPending() time.Time {
	if c.work.OldestMilli == 0 {
		return time.Time{}
	}
	return time.UnixMilli(c.work.OldestMilli)
}
