// Package fill makes data folders as a server leaves them that has much to remember and was
// stopped in good order: subscriptions, events that are kept, retry records.
package fill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
	"pannier/storage"
)

const (
	journalID = engine.JournalID(0x7061_6e6e_6965_7201)
	// urlBytes is the length of an idle subscription's URL.
	urlBytes = 100
	// group is how many changes go into one write.
	group = 1000
)

// Content is what a folder holds. Subscription n of the active ones asks for Topic(n), and
// event n is of the topic, and record n of the subscription, that n modulo Active gives.
type Content struct {
	Subscriptions int    // registered: the active ones first, each idle one with a URL of its own
	Active        int    // at least 1
	Endpoint      string // of the active ones
	Lane          string // of the events; "": the shared one
	Events        int    // all of them discharged
	Records       int    // retry records, of the first events
	// The due times of the records spread evenly between these two, counted from now. The
	// events were accepted as long before now as DueThrough is after it.
	DueFrom, DueThrough time.Duration
}

// Topic is what active subscription n asks for.
func Topic(n int) string { return fmt.Sprintf("trip.created.city%d", n) }

// Empty makes the data folder of a server that has nothing to remember yet.
func Empty(data string) error {
	folder, err := storage.OpenFolder(data)
	if err != nil {
		return err
	}
	return folder.Close()
}

// Folder fills a folder that is empty or not there.
func Folder(ctx context.Context, data string, c Content) error {
	if c.Active < 1 || c.Active > c.Subscriptions || c.Records > c.Events || c.Records > 0 && c.Records < c.Active {
		return errors.New("there must be at least one active subscription, no more of them than subscriptions or records, and an event for each record")
	}
	if c.Lane == "" {
		c.Lane = engine.SharedLane
	}
	folder, err := storage.OpenFolder(data)
	if err != nil {
		return err
	}
	now := time.Now()
	events, err := c.fillJournal(ctx, filepath.Join(folder.Journal(), c.Lane), now.Add(-c.DueThrough))
	if err == nil {
		err = c.fillState(ctx, folder.State(), now, events)
	}
	return errors.Join(err, folder.Close())
}

// fillJournal appends the events and gives those that have retry records.
func (c *Content) fillJournal(ctx context.Context, dir string, accepted time.Time) ([]*engine.Event, error) {
	journal, err := storage.OpenJournal(dir, journalID, storage.JournalOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer journal.Close() //nolint:errcheck // every append below is waited for
	data := json.RawMessage(fmt.Sprintf(`{"pad":%q}`, strings.Repeat("x", 600)))
	recorded := make([]*engine.Event, 0, c.Records)
	synced := make(chan struct{}, 1)
	for first := 0; first < c.Events && ctx.Err() == nil; first += group {
		records := make([]engine.Record, 0, group)
		for n := first; n < min(first+group, c.Events); n++ {
			event := &engine.Event{
				Topic: Topic(n % c.Active), Timestamp: accepted, AcceptedAt: accepted, Data: data,
				Revision: uint64(c.Subscriptions), //nolint:gosec // not negative
			}
			records = append(records, engine.Record{Event: event})
			if n < c.Records {
				recorded = append(recorded, event)
			}
		}
		if _, err := journal.Append(records, func() { synced <- struct{}{} }); err != nil {
			return nil, fmt.Errorf("append: %w", err)
		}
		<-synced
	}
	return recorded, ctx.Err()
}

func (c *Content) fillState(ctx context.Context, dir string, now time.Time, events []*engine.Event) error {
	state, err := storage.OpenState(dir, storage.StateOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	last := uint64(c.Events) //nolint:gosec // not negative
	g := grouped{state: state, writes: []engine.Write{
		engine.PutLane{LaneRecord: engine.LaneRecord{Name: c.Lane, Journal: journalID}},
		engine.PutWatermark{Watermark: engine.Watermark{Journal: journalID, Sequence: last + 1, Routed: last, Synced: last}},
	}}
	active := make([]engine.SubscriptionID, c.Active)
	for n := 0; n < c.Subscriptions && ctx.Err() == nil; n++ {
		id := engine.NewSubscriptionID()
		if n < c.Active {
			active[n] = id
		}
		g.put(c.version(n, id, now))
	}
	for n, event := range events {
		if ctx.Err() != nil {
			break
		}
		g.put(c.record(n, active[n%c.Active], event, now))
	}
	for n := range min(c.Active, len(events)) {
		count := (len(events) - n + c.Active - 1) / c.Active
		g.put(engine.PutQueue{Queue: engine.Queue{
			Subscription: active[n], NextDue: now.Add(c.DueFrom), Records: count, OldestMilli: events[n].AcceptedAt.UnixMilli(),
		}})
	}
	g.flush()
	return errors.Join(ctx.Err(), g.failed, state.Close())
}

// grouped writes changes in groups, and nothing more after one that failed.
type grouped struct {
	state  *storage.State
	writes []engine.Write
	failed error
}

func (g *grouped) put(w engine.Write) {
	if g.writes = append(g.writes, w); len(g.writes) >= group {
		g.flush()
	}
}

func (g *grouped) flush() {
	if g.failed == nil {
		g.failed = g.state.Write(g.writes, nil)
	}
	g.writes = g.writes[:0]
}

// version makes subscription n.
func (c *Content) version(n int, id engine.SubscriptionID, now time.Time) engine.PutVersion {
	url := c.Endpoint
	if n >= c.Active {
		url = fmt.Sprintf("https://city%d.example/hooks/", n)
		url += strings.Repeat("x", urlBytes-len(url))
	}
	return engine.PutVersion{Subscription: &engine.Subscription{
		ID: id, Tenant: engine.DefaultTenant, URL: url, Enabled: true,
		Topics:  []match.Pattern{match.Pattern(Topic(n)), "trip.terminated", "vehicule.*"},
		Secrets: []engine.ValidSecret{{Secret: signature.NewSecret()}},
		Retry:   retry.Schedule{MaxRetries: 5, MinDelay: 10 * time.Second, MaxDelay: 30 * time.Minute},
		Timeout: engine.MaxTimeout, Success: engine.SuccessBelow400, MaxInFlight: 64,
		CreatedAt: now, UpdatedAt: now, Version: 1, Revision: uint64(n + 1), //nolint:gosec // not negative
	}}
}

// record is that of event n.
func (c *Content) record(n int, id engine.SubscriptionID, event *engine.Event, now time.Time) engine.PutRetryRecord {
	due := c.DueFrom + time.Duration(float64(c.DueThrough-c.DueFrom)*float64(n)/float64(c.Records))
	return engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
		Subscription: id, Key: event.Key(), Attempts: 2, Used: 2, Due: now.Add(due),
		LastOutcome: engine.OutcomeFailure, LastStatus: 503,
	}}
}
