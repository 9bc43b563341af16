package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// subscriptionsCommand are the verbs on subscriptions.
type subscriptionsCommand struct {
	List   subscriptionsList   `cmd:"" help:"List subscriptions."`
	Create subscriptionsCreate `cmd:"" help:"Create a subscription; its secret is shown only here."`
	Get    subscriptionsGet    `cmd:"" help:"Show a subscription."`
	Update subscriptionsUpdate `cmd:"" help:"Change a subscription."`
	Delete subscriptionsDelete `cmd:"" help:"Delete a subscription."`
	Rotate subscriptionsRotate `cmd:"" help:"Make a new signing secret."`
	Test   subscriptionsTest   `cmd:"" help:"Send a signed pannier.test event to the endpoint."`
	Replay subscriptionsReplay `cmd:"" help:"Deliver once more."`
}

// subscriptionArgument names a subscription.
type subscriptionArgument struct {
	ID string `arg:"" name:"id" help:"The subscription's id (sub_…)."`
}

func (s subscriptionArgument) path(more ...string) string {
	return pathOf(append([]string{"subscriptions", s.ID}, more...)...)
}

type subscriptionsList struct {
	listFlags
}

type subscriptionRow struct {
	ID      string   `json:"id"`
	State   string   `json:"state"`
	Pending uint64   `json:"pending"`
	Tenant  string   `json:"tenant"`
	Topics  []string `json:"topics"`
	URL     string   `json:"url"`
}

func (s subscriptionRow) cells() []string {
	return []string{s.ID, s.State, strconv.FormatUint(s.Pending, 10), s.Tenant, strings.Join(s.Topics, ","), s.URL}
}

// Run prints the list.
func (s *subscriptionsList) Run(ctx context.Context, c console) error {
	head := []string{"ID", "STATE", "PENDING", "TENANT", "TOPICS", "URL"}
	return printList[subscriptionRow](ctx, c, s.listFlags, pathOf("subscriptions"), nil, head)
}

type subscriptionsGet struct {
	outputFlags
	subscriptionArgument
}

// Run prints the subscription.
func (s *subscriptionsGet) Run(ctx context.Context, c console) error {
	return s.ask(ctx, c, call{method: http.MethodGet, path: s.path()})
}

type subscriptionsDelete struct {
	outputFlags
	subscriptionArgument
}

// Run deletes the subscription and everything that waits for it.
func (s *subscriptionsDelete) Run(ctx context.Context, c console) error {
	return s.ask(ctx, c, call{method: http.MethodDelete, path: s.path()})
}

type subscriptionsRotate struct {
	outputFlags
	subscriptionArgument
	Grace time.Duration `default:"24h" placeholder:"DURATION" help:"The old secret stays valid this long, up to 168h (${default})."`
}

// Run prints the new secret, which is shown only now.
func (s *subscriptionsRotate) Run(ctx context.Context, c console) error {
	return s.post(ctx, c, s.path("secret", "rotate"), map[string]string{"grace": s.Grace.String()})
}

type subscriptionsTest struct {
	outputFlags
	subscriptionArgument
}

// Run prints the id of the test event.
func (s *subscriptionsTest) Run(ctx context.Context, c console) error {
	return s.post(ctx, c, s.path("test"), nil)
}

type subscriptionsReplay struct {
	outputFlags
	subscriptionArgument
	windowFlags
	Topics []string `name:"topic" placeholder:"TOPIC" help:"Only these topics; may be repeated."`
	State  string   `enum:"dead,all" default:"dead" help:"Replay dead letters, or all that was accepted (${default})."`
	Rate   float64  `placeholder:"N" help:"At most this many a second."`
	DryRun bool     `help:"Only count."`
}

type replayBody struct {
	Since  moment   `json:"since,omitempty"`
	Until  moment   `json:"until,omitempty"`
	Topics []string `json:"topics,omitempty"`
	State  string   `json:"state"`
	Rate   float64  `json:"rate_per_second,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"`
}

// Run asks for the replay and prints how many deliveries it makes.
func (s *subscriptionsReplay) Run(ctx context.Context, c console) error {
	return s.post(ctx, c, s.path("replay"), replayBody{
		Since: s.Since, Until: s.Until, Topics: s.Topics, State: s.State, Rate: s.Rate, DryRun: s.DryRun,
	})
}

// encodeChange is the body of a create or update.
func encodeChange(change any) ([]byte, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("encode subscription: %w", err)
	}
	return body, nil
}
