package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// deliveriesCommand are the verbs on deliveries.
type deliveriesCommand struct {
	List  deliveriesList  `cmd:"" help:"List the deliveries of a subscription or of an event."`
	Get   deliveriesGet   `cmd:"" help:"Show a delivery and its attempts."`
	Retry deliveriesRetry `cmd:"" help:"Attempt a dead letter or a delivered one once more."`
}

type deliveriesList struct {
	listFlags
	windowFlags
	Subscription string `xor:"of" placeholder:"ID" help:"Of this subscription; this or --event is needed."`
	Event        string `xor:"of" placeholder:"ID" help:"Of this event."`
	State        string `enum:",waiting,attempting,delivered,dead" default:"" placeholder:"STATE" help:"Only waiting, attempting, delivered or dead ones."`
}

type deliveryRow struct {
	ID             string `json:"id"`
	EventID        string `json:"event_id"`
	SubscriptionID string `json:"subscription_id"`
	State          string `json:"state"`
	Reason         string `json:"reason"`
	Attempts       int    `json:"attempts"`
	NextAttemptAt  string `json:"next_attempt_at"`
}

func (d deliveryRow) cells() []string {
	state := d.State
	if d.Reason != "" {
		state += " (" + d.Reason + ")"
	}
	return []string{d.ID, d.EventID, d.SubscriptionID, state, number(d.Attempts), text(d.NextAttemptAt)}
}

// Run prints the list.
func (d *deliveriesList) Run(ctx context.Context, c console) error {
	if d.Subscription == "" && d.Event == "" {
		return usagef("say whose deliveries: --subscription ID or --event ID")
	}
	query := url.Values{}
	path := pathOf("subscriptions", d.Subscription, "deliveries")
	if d.Event != "" {
		if d.State != "" || d.Since != "" || d.Until != "" {
			return usagef("--state, --since and --until need --subscription")
		}
		path = pathOf("events", d.Event, "deliveries")
	}
	if d.State != "" {
		query.Set("state", d.State)
	}
	d.set(query)
	head := []string{"ID", "EVENT", "SUBSCRIPTION", "STATE", "ATTEMPTS", "NEXT ATTEMPT"}
	return printList[deliveryRow](ctx, c, d.listFlags, path, query, head)
}

type deliveriesGet struct {
	outputFlags
	ID       string `arg:"" name:"id" help:"The delivery's id (dlv_…)."`
	Attempts bool   `help:"Print the attempts alone."`
}

// maxExcerptChars bounds the excerpt of a response shown in a table.
const maxExcerptChars = 60

type attemptRow struct {
	Number     int    `json:"number"`
	StartedAt  string `json:"started_at"`
	DurationMS int64  `json:"duration_ms"`
	Outcome    string `json:"outcome"`
	Status     int    `json:"status"`
	Error      string `json:"error"`
	Excerpt    string `json:"response_excerpt"`
}

func (a attemptRow) cells() []string {
	reason := a.Error
	if reason == "" {
		reason = clipped(a.Excerpt, maxExcerptChars)
	}
	duration := strconv.FormatInt(a.DurationMS, 10) + " ms"
	return []string{number(a.Number), a.StartedAt, duration, a.Outcome, number(a.Status), text(reason)}
}

// Run prints the delivery and, in a table, its latest attempts.
func (d *deliveriesGet) Run(ctx context.Context, c console) error {
	if !d.Attempts {
		if err := d.ask(ctx, c, call{method: http.MethodGet, path: pathOf("deliveries", d.ID)}); err != nil || d.json() {
			return err
		}
	}
	head := []string{"ATTEMPT", "STARTED", "DURATION", "OUTCOME", "STATUS", "ERROR OR RESPONSE"}
	flags := listFlags{outputFlags: d.outputFlags, Limit: 1000}
	return printList[attemptRow](ctx, c, flags, pathOf("deliveries", d.ID, "attempts"), nil, head)
}

type deliveriesRetry struct {
	outputFlags
	ID string `arg:"" name:"id" help:"The delivery's id (dlv_…)."`
}

// Run asks for one attempt at once.
func (d *deliveriesRetry) Run(ctx context.Context, c console) error {
	return d.post(ctx, c, pathOf("deliveries", d.ID, "retry"), nil)
}
