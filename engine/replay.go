package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"pannier/engine/match"
)

const (
	// maxReplays bounds the replays that this member takes at once; those that it goes on with
	// for another were taken within that one's bound.
	maxReplays = 64
	// replayBacklog is how many records a replay lets wait in its subscription at once.
	replayBacklog = 500
	replayPoll    = 100 * time.Millisecond
	// replayPause is how long a replay rests when a member of the cluster does not answer: if it
	// is dead, others keep its journals by then.
	replayPause = 5 * time.Second
)

// replays carries replays on: each is a durable order that survives a restart. In a cluster the
// owner of the subscription does, and whoever becomes that goes on where it had come to. Safe
// for concurrent use.
type replays struct {
	engine *Engine
	mu     sync.Mutex
	active map[string]context.CancelFunc
	closed bool
	wait   sync.WaitGroup
	resume []Replay
}

func newReplays(e *Engine, stored []Replay) *replays {
	return &replays{engine: e, active: make(map[string]context.CancelFunc), resume: stored}
}

// Resume carries on the replays of an earlier boot. In a cluster GoOn does, with those of the
// subscriptions that this member owns.
func (e *Engine) Resume() {
	for _, r := range e.replays.resume {
		if e.cluster == nil {
			e.replays.start(r)
		}
	}
	e.replays.resume = nil
}

// GoOn carries a replay on that another member has begun, unless it is under way here.
func (e *Engine) GoOn(r Replay) { e.replays.start(r) }

// Ended stops a replay that has ended on another member.
func (e *Engine) Ended(id string) {
	e.replays.mu.Lock()
	defer e.replays.mu.Unlock()
	if cancel := e.replays.active[id]; cancel != nil {
		cancel()
	}
}

// owns tells whether this member makes the attempts of a subscription.
func (e *Engine) owns(id SubscriptionID) bool {
	return e.cluster == nil || e.cluster.Owner(id) == e.member.ID
}

// Close stops the replays; they go on after the next start.
func (e *Engine) Close() {
	e.replays.mu.Lock()
	e.replays.closed = true
	for _, cancel := range e.replays.active {
		cancel()
	}
	e.replays.mu.Unlock()
	e.replays.wait.Wait()
}

// Replay delivers once more what a subscription should have had. Errors: invalid,
// not_found, conflict (too many at once, or bodies that are gone), unavailable.
func (e *Engine) Replay(ctx context.Context, caller Caller, id SubscriptionID, order ReplayOrder) (Replayed, error) {
	version, err := e.find(caller, id)
	if err != nil {
		return Replayed{}, err
	}
	replay := Replay{
		ID: NewID("rpl_"), Subscription: version.ID, Since: order.Since, Until: order.Until,
		DeadOnly: order.DeadOnly, Rate: order.Rate, CreatedAt: e.clock(),
	}
	if replay.Until.IsZero() || replay.Until.After(replay.CreatedAt) {
		replay.Until = replay.CreatedAt
	}
	if replay.Topics, err = parsePatterns(order.Topics); err != nil {
		return Replayed{}, err
	}
	if order.Rate != 0 && (order.Rate < MinRate || order.Rate > MaxRate) {
		return Replayed{}, Invalid("/rate_per_second", "must be 0 (no limit) or 0.1 to 100000")
	}
	count := 0
	err = e.replayItems(ctx, version, replay, func(FeedItem, *DeadLetter) bool {
		count++
		return true
	})
	if err != nil || order.DryRun {
		return Replayed{Count: count}, err
	}
	replay.Count = count
	if !e.replays.room() {
		return Replayed{}, Errorf(CodeConflict, "%d replays are under way already", maxReplays)
	}
	if err := e.write(PutReplay{Replay: replay}); err != nil {
		return Replayed{}, err
	}
	e.replays.start(replay)
	return Replayed{ID: replay.ID, Count: count}, nil
}

func parsePatterns(texts []string) ([]match.Pattern, error) {
	if len(texts) > MaxTopicsPerSubscription {
		return nil, Invalid("/topics", "must name at most %d topics", MaxTopicsPerSubscription)
	}
	patterns := make([]match.Pattern, 0, len(texts))
	for i, text := range texts {
		p, err := match.ParsePattern(text)
		if err != nil {
			return nil, Invalid("/topics/"+itoa(i), "%s", err.Error())
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// replayItems visits what a replay covers, in order of accept: dead letters, and with
// DeadOnly unset the delivered ones too. What is still waiting needs no replay.
func (e *Engine) replayItems(ctx context.Context, version *Subscription, r Replay, visit func(FeedItem, *DeadLetter) bool) error {
	ctx = WithSilence(ctx)
	c, err := e.classifier(ctx, version)
	if err != nil {
		return err
	}
	if silent := SilentMembers(ctx); len(silent) > 0 { // what it keeps would be left out for good
		return &Error{Code: CodeUnavailable, Message: "the member " + silent[0] + " does not answer", RetryAfter: replayPause}
	}
	if r.DeadOnly {
		return e.replayDead(ctx, c, r, visit)
	}
	var failed error
	err = c.walk(ctx, Window{Since: r.Since, Until: r.Until}, e.positionOf(ctx, r.After), func(event *Event) bool {
		if event.Directed != "" || !r.wants(event.Topic) || !e.table.WasFor(event, version.ID) {
			return true
		}
		var view DeliveryView
		if view, failed = c.view(ctx, event); failed != nil {
			return false
		}
		if view.Reason == ReasonExpired || (view.State != DeliveryDead && view.State != DeliveryDelivered) {
			return true // its body is about to go, or it still waits
		}
		var dead *DeadLetter
		if view.State == DeliveryDead {
			dead, failed = e.findDead(ctx, version.ID, event.Ref, event)
		}
		return failed == nil && visit(FeedItem{Event: event, Delivery: view}, dead)
	})
	if failed != nil {
		return failed
	}
	return err
}

// positionOf is where a walk goes on that has come to an event. One that is gone leaves its accept
// time: what was accepted at the same moment is visited again.
func (e *Engine) positionOf(ctx context.Context, key DeliveryKey) position {
	p := position{milli: key.AcceptedMilli}
	if event := e.at(ctx, key.Event); event != nil && key != (DeliveryKey{}) {
		p.id = event.ID
	}
	return p
}

func (e *Engine) replayDead(ctx context.Context, c *classifier, r Replay, visit func(FeedItem, *DeadLetter) bool) error {
	window := Window{Since: r.Since, Until: r.Until}
	for after := r.After; ; {
		page, err := e.state.DeadLetters(ctx, c.subscription.ID, after, MaxPageSize)
		if err != nil {
			return err
		}
		for n := range page {
			dead := &page[n]
			after = dead.Key
			view := e.viewDead(c, dead)
			if dead.Reason == ReasonExpired {
				continue // its body is gone
			}
			if window.Contains(view.AcceptedAt) && r.wants(view.Topic) && !visit(FeedItem{Event: dead.Event, Delivery: view}, dead) {
				return nil
			}
		}
		if len(page) < MaxPageSize {
			return nil
		}
	}
}

// wants tells whether events of a topic are replayed.
func (r *Replay) wants(topic string) bool {
	return len(r.Topics) == 0 || slices.ContainsFunc(r.Topics, func(p match.Pattern) bool { return p.Matches(topic) })
}

func (r *replays) room() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.active) < maxReplays
}

func (r *replays) start(replay Replay) {
	ctx, cancel := context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, begun := r.active[replay.ID]; begun || r.closed {
		cancel()
		return
	}
	r.active[replay.ID] = cancel
	r.wait.Go(func() {
		defer cancel()
		for left := true; left; {
			left = r.carry(ctx, &replay) && !r.hasLeft(replay)
		}
	})
}

// hasLeft forgets a replay that is with another owner, unless this member owns the subscription
// again: GoOn may have found the replay under way.
func (r *replays) hasLeft(replay Replay) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine.owns(replay.Subscription) && !r.closed {
		return false
	}
	delete(r.active, replay.ID)
	return true
}

// carry carries a replay on to its end, if nothing stops it: it goes on after the next start, or
// with the next owner, which is what the result tells.
func (r *replays) carry(ctx context.Context, replay *Replay) (left bool) {
	e := r.engine
	err := r.run(ctx, replay)
	for ctx.Err() == nil && e.owns(replay.Subscription) && ErrorCode(err) == CodeUnavailable && sleep(ctx, replayPause) {
		err = r.run(ctx, replay) // a member of the cluster did not answer
	}
	if ctx.Err() == nil && !e.owns(replay.Subscription) {
		return true
	}
	if ctx.Err() == nil {
		if err != nil {
			e.logger.Error("replay ended early", "replay", replay.ID, "error", err)
		}
		if err := e.write(DropReplay{ID: replay.ID, Subscription: replay.Subscription}); err != nil {
			e.logger.Error("replay could not be closed", "replay", replay.ID, "error", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, replay.ID)
	return false
}

// run turns what the replay covers into retry records with a fresh schedule, no faster than
// the subscription settles them, from where it has come to.
func (r *replays) run(ctx context.Context, replay *Replay) (failed error) {
	version, found := r.engine.table.Get(replay.Subscription)
	if !found {
		return nil
	}
	pace := newPace(replay.Rate)
	err := r.engine.replayItems(ctx, version, *replay, func(item FeedItem, dead *DeadLetter) bool {
		if !pace.wait(ctx) || !r.engine.owns(replay.Subscription) {
			return false
		}
		if failed = r.backlogRoom(ctx, replay.Subscription); failed == nil {
			failed = r.insert(ctx, replay, item, dead)
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// backlogRoom waits until the subscription has few enough records of its own.
func (r *replays) backlogRoom(ctx context.Context, id SubscriptionID) error {
	for {
		work, err := r.engine.deliveries.Look(ctx, id)
		if err != nil || len(work.Due)+len(work.Attempting) < replayBacklog {
			return err
		}
		if !sleep(ctx, replayPoll) {
			return ctx.Err()
		}
	}
}

// insert makes one delivery due again. One that is under way already needs no replay.
func (r *replays) insert(ctx context.Context, replay *Replay, item FeedItem, dead *DeadLetter) error {
	if item.Event == nil || item.Event.Data == nil {
		return nil // its body is gone
	}
	record := RetryRecord{
		Subscription: replay.Subscription, Key: item.Event.Key(), Attempts: item.Delivery.Attempts, Due: ownEpoch,
		Delivered: item.Delivery.State == DeliveryDelivered,
	}
	if r.engine.cluster != nil {
		record.Body = item.Event // the journal may be another member's
	}
	next := *replay
	next.After = record.Key
	with := []Write{PutReplay{Replay: next}}
	if dead != nil {
		record.Body = dead.Event
		with = append(with, DropDeadLetter{Subscription: replay.Subscription, Key: record.Key})
	}
	if err := r.engine.deliveries.Insert(ctx, record, with); err != nil && ErrorCode(err) != CodeConflict {
		return err
	}
	*replay = next
	return nil
}
