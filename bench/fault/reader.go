package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"sync"
	"time"

	"pannier/bench/history"
)

// readers is how many events are read at once.
const readers = 4

// read reads everything through the API once nothing happens any more.
func (r *run) read(ctx context.Context) error {
	f := &reader{run: r, names: make(map[string]string)}
	for _, step := range []func(context.Context) error{f.subscriptions, f.deliveries, f.events, f.stats} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("final reading: %w", err)
		}
	}
	return nil
}

type reader struct {
	*run
	names map[string]string // of subscriptions, by id
	ids   []string          // of events
}

func (f *reader) add(op history.Op, fill func(*history.Record)) {
	record := history.Record{At: f.log.Now(), Role: "reader", Proc: "reader", Type: history.Read, Op: op}
	fill(&record)
	f.log.Add(record)
}

func (f *reader) subscriptions(ctx context.Context) error {
	type row struct {
		ID      string `json:"id"`
		URL     string `json:"url"`
		Pending uint64 `json:"pending"`
	}
	return list(ctx, f.client, "/v1/subscriptions", func(s row) {
		name := path.Base(s.URL)
		f.names[s.ID] = name
		f.add(history.OpSubscription, func(r *history.Record) {
			r.Subscription = &history.Subscription{Name: name, ID: s.ID, Pending: s.Pending}
		})
	})
}

func (f *reader) deliveries(ctx context.Context) error {
	for id, name := range f.names {
		type row struct {
			EventID    string    `json:"event_id"`
			State      string    `json:"state"`
			Reason     *string   `json:"reason"`
			Attempts   int       `json:"attempts"`
			AcceptedAt time.Time `json:"accepted_at"`
		}
		err := list(ctx, f.client, "/v1/subscriptions/"+id+"/deliveries", func(d row) {
			f.add(history.OpDelivery, func(r *history.Record) {
				r.Delivery = &history.Delivery{
					Name: name, EventID: d.EventID, State: d.State, Attempts: d.Attempts, AcceptedAt: d.AcceptedAt,
				}
				if d.Reason != nil {
					r.Delivery.Reason = *d.Reason
				}
			})
		})
		if err != nil {
			return err
		}
		type fed struct {
			ID         string    `json:"id"`
			AcceptedAt time.Time `json:"accepted_at"`
			Delivery   struct {
				State    string `json:"state"`
				Attempts int    `json:"attempts"`
			} `json:"delivery"`
		}
		err = list(ctx, f.client, "/v1/subscriptions/"+id+"/events", func(e fed) {
			f.add(history.OpFeed, func(r *history.Record) {
				r.Delivery = &history.Delivery{
					Name: name, EventID: e.ID, State: e.Delivery.State, Attempts: e.Delivery.Attempts, AcceptedAt: e.AcceptedAt,
				}
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// shownEvent is an event as the API shows it.
type shownEvent struct {
	ID         string          `json:"id"`
	Topic      string          `json:"topic"`
	Tenant     *string         `json:"tenant"`
	AcceptedAt time.Time       `json:"accepted_at"`
	Data       json.RawMessage `json:"data"`
}

func (e *shownEvent) record() *history.Event {
	shown := &history.Event{ID: e.ID, Topic: e.Topic, AcceptedAt: e.AcceptedAt, Data: string(e.Data)}
	if e.Tenant != nil {
		shown.Tenant = *e.Tenant
	}
	return shown
}

// events lists every event and reads each by its id, and those that were answered too,
// listed or not.
func (f *reader) events(ctx context.Context) error {
	known := make(map[string]bool)
	know := func(id string) {
		if !known[id] {
			known[id] = true
			f.ids = append(f.ids, id)
		}
	}
	err := list(ctx, f.client, "/v1/events", func(e shownEvent) {
		know(e.ID)
		f.add(history.OpListed, func(r *history.Record) { r.Event = e.record() })
	})
	if err != nil {
		return err
	}
	for _, r := range f.log.Records() {
		if r.Type == history.OK && r.Publish != nil {
			for _, id := range r.Publish.IDs {
				know(id)
			}
		}
	}
	return f.each(ctx)
}

// each reads every event by its id.
func (f *reader) each(ctx context.Context) error {
	ids, failed := make(chan string), make(chan error, readers)
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for id := range ids {
				var e shownEvent
				status, err := f.client.get(ctx, "/v1/events/"+id, &e)
				if err != nil {
					select {
					case failed <- err:
					default:
					}
					continue
				}
				shown := e.record()
				shown.ID, shown.Status = id, status
				f.add(history.OpEvent, func(r *history.Record) { r.Event = shown })
			}
		})
	}
	for _, id := range f.ids {
		ids <- id
	}
	close(ids)
	reading.Wait()
	close(failed)
	return <-failed
}

func (f *reader) stats(ctx context.Context) error {
	stats, err := f.client.stats(ctx)
	f.add(history.OpStats, func(r *history.Record) { r.Stats = &stats })
	return err
}
