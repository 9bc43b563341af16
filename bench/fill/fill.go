package main

import (
	"context"
	"encoding/json"
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

// dueSpread is how far the records' due times lie on both sides of now.
const dueSpread = 30 * time.Minute

// fill makes a data folder as a server leaves it that was stopped in good order: the events
// of the retry records are in the journal and discharged.
func fill(ctx context.Context, data, endpoint string, o options) error {
	folder, err := storage.OpenFolder(data)
	if err != nil {
		return err
	}
	events, err := fillJournal(filepath.Join(folder.Journal(), engine.SharedLane), o)
	if err == nil {
		err = fillState(ctx, folder.State(), endpoint, o, events)
	}
	if closed := folder.Close(); err == nil {
		err = closed
	}
	return err
}

// topic is what an active subscription asks for.
func topic(active int) string { return fmt.Sprintf("trip.created.city%d", active) }

// fillJournal appends an event for each record; record n is of subscription n modulo active.
func fillJournal(dir string, o options) ([]*engine.Event, error) {
	journal, err := storage.OpenJournal(dir, journalID, storage.JournalOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer journal.Close() //nolint:errcheck // every append below is waited for
	accepted := time.Now().Add(-dueSpread)
	data := json.RawMessage(fmt.Sprintf(`{"pad":%q}`, strings.Repeat("x", 600)))
	events := make([]*engine.Event, o.records)
	synced := make(chan struct{}, 1)
	for first := 0; first < len(events); first += group {
		records := make([]engine.Record, 0, group)
		for n := first; n < min(first+group, len(events)); n++ {
			events[n] = &engine.Event{
				Topic: topic(n % o.active), Timestamp: accepted, AcceptedAt: accepted, Data: data,
				Revision: uint64(o.subscriptions), //nolint:gosec // not negative
			}
			records = append(records, engine.Record{Event: events[n]})
		}
		if _, err := journal.Append(records, func() { synced <- struct{}{} }); err != nil {
			return nil, fmt.Errorf("append: %w", err)
		}
		<-synced
	}
	return events, nil
}

func fillState(ctx context.Context, dir, endpoint string, o options, events []*engine.Event) error {
	state, err := storage.OpenState(dir, storage.StateOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ids := make([]engine.SubscriptionID, o.subscriptions)
	for n := range ids {
		ids[n] = engine.NewSubscriptionID()
	}
	last := uint64(len(events))
	writes := []engine.Write{
		engine.PutLane{LaneRecord: engine.LaneRecord{Name: engine.SharedLane, Journal: journalID}},
		engine.PutWatermark{Watermark: engine.Watermark{Journal: journalID, Sequence: last + 1, Routed: last, Synced: last}},
	}
	put := func(w engine.Write) error {
		if w != nil {
			writes = append(writes, w)
		}
		if len(writes) < group && w != nil {
			return ctx.Err()
		}
		if err := state.Write(writes, nil); err != nil {
			return fmt.Errorf("write the state: %w", err)
		}
		writes = writes[:0]
		return ctx.Err()
	}
	for n, id := range ids {
		if err := put(version(n, id, endpoint, o)); err != nil {
			return err
		}
	}
	now := time.Now()
	for n, event := range events {
		if err := put(record(n, ids[n%o.active], event, now, len(events))); err != nil {
			return err
		}
	}
	for n := range o.active {
		count := (len(events) - n + o.active - 1) / o.active
		queue := engine.Queue{Subscription: ids[n], NextDue: now, Records: count, OldestMilli: events[n].AcceptedAt.UnixMilli()}
		if err := put(engine.PutQueue{Queue: queue}); err != nil {
			return err
		}
	}
	if err := put(nil); err != nil {
		return err
	}
	return state.Close()
}

// version makes subscription n: an active one has the endpoint, an idle one a URL of its own.
func version(n int, id engine.SubscriptionID, endpoint string, o options) engine.PutVersion {
	now := time.Now()
	url := endpoint
	if n >= o.active {
		url = fmt.Sprintf("https://city%d.example/hooks/", n)
		url += strings.Repeat("x", urlBytes-len(url))
	}
	return engine.PutVersion{Subscription: &engine.Subscription{
		ID: id, Tenant: engine.DefaultTenant, URL: url, Enabled: true,
		Topics:  []match.Pattern{match.Pattern(topic(n)), "trip.terminated", "vehicule.*"},
		Secrets: []engine.ValidSecret{{Secret: signature.NewSecret()}},
		Retry:   retry.Schedule{MaxRetries: 5, MinDelay: 10 * time.Second, MaxDelay: 30 * time.Minute},
		Timeout: engine.MaxTimeout, Success: engine.SuccessBelow400, MaxInFlight: 64,
		CreatedAt: now, UpdatedAt: now, Version: 1, Revision: uint64(n + 1), //nolint:gosec // not negative
	}}
}

// record is that of event n: the due times spread evenly over both sides of now.
func record(n int, id engine.SubscriptionID, event *engine.Event, now time.Time, records int) engine.PutRetryRecord {
	offset := 2 * dueSpread * time.Duration(n) / time.Duration(records)
	return engine.PutRetryRecord{RetryRecord: engine.RetryRecord{
		Subscription: id, Key: event.Key(), Attempts: 2, Used: 2, Due: now.Add(offset - dueSpread),
		LastOutcome: engine.OutcomeFailure, LastStatus: 503,
	}}
}
