package main

import (
	"context"
	"net/http"
	"net/url"
)

// eventsCommand are the verbs on accepted events.
type eventsCommand struct {
	List eventsList `cmd:"" help:"List retained events, or the feed of one subscription."`
	Get  eventsGet  `cmd:"" help:"Show an event with its data."`
}

type eventsList struct {
	listFlags
	windowFlags
	Topic        string `placeholder:"TOPIC" help:"Only this topic."`
	Subscription string `placeholder:"ID" help:"What this subscription should have had, and what became of it."`
	Undelivered  bool   `help:"With --subscription: only what never got a success."`
}

type eventRow struct {
	ID         string `json:"id"`
	Topic      string `json:"topic"`
	Tenant     string `json:"tenant"`
	Timestamp  string `json:"timestamp"`
	AcceptedAt string `json:"accepted_at"`
}

func (e eventRow) cells() []string {
	return []string{e.ID, e.Topic, text(e.Tenant), e.Timestamp, e.AcceptedAt}
}

type feedRow struct {
	eventRow
	Delivery struct {
		State    string `json:"state"`
		Attempts int    `json:"attempts"`
	} `json:"delivery"`
}

func (f feedRow) cells() []string {
	return []string{f.ID, f.Topic, f.AcceptedAt, f.Delivery.State, number(f.Delivery.Attempts)}
}

// Run prints the list.
func (e *eventsList) Run(ctx context.Context, c console) error {
	query := url.Values{}
	e.set(query)
	if e.Subscription == "" {
		if e.Undelivered {
			return usagef("--undelivered needs --subscription")
		}
		if e.Topic != "" {
			query.Set("topic", e.Topic)
		}
		head := []string{"ID", "TOPIC", "TENANT", "TIMESTAMP", "ACCEPTED"}
		return printList[eventRow](ctx, c, e.listFlags, pathOf("events"), query, head)
	}
	if e.Topic != "" {
		return usagef("--topic and --subscription do not go together")
	}
	if e.Undelivered {
		query.Set("state", "undelivered")
	}
	head := []string{"ID", "TOPIC", "ACCEPTED", "STATE", "ATTEMPTS"}
	return printList[feedRow](ctx, c, e.listFlags, pathOf("subscriptions", e.Subscription, "events"), query, head)
}

type eventsGet struct {
	outputFlags
	ID string `arg:"" name:"id" help:"The event's id."`
}

// Run prints the event.
func (e *eventsGet) Run(ctx context.Context, c console) error {
	return e.ask(ctx, c, call{method: http.MethodGet, path: pathOf("events", e.ID)})
}
