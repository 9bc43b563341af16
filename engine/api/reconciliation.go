package api

import (
	"context"
	"encoding/json"
	"net/http"

	"pannier/engine"
)

// FeedAnswer is one event that a subscription should have had, and what became of it.
type FeedAnswer struct {
	ID         string          `json:"id"`
	Topic      string          `json:"topic"`
	Timestamp  instant         `json:"timestamp"`
	AcceptedAt instant         `json:"accepted_at"`
	Data       json.RawMessage `json:"data" doc:"As it was posted."`
	Extensions json.RawMessage `json:"extensions,omitempty" doc:"Of events that came as CloudEvents."`
	Delivery   FeedDelivery    `json:"delivery"`
}

// FeedDelivery is the state of a delivery in the reconciliation feed.
type FeedDelivery struct {
	ID          string               `json:"id"`
	State       engine.DeliveryState `json:"state" enum:"waiting,attempting,delivered,dead"`
	Attempts    int                  `json:"attempts"`
	DeliveredAt instant              `json:"delivered_at" nullable:"true"`
}

type feedQuery struct {
	ByID
	Period
	Paging
	State string `query:"state" enum:"undelivered" doc:"undelivered leaves only what never got a success."`
}

func (s *Server) addReconciliation() {
	handle(s, operation(tagReconciliation, http.MethodGet, subscriptionsPath+"/{id}/events", "reconcile-subscription",
		"Page through everything the subscription should have had, in the order of accept"), readers, s.feed)
}

func (s *Server) feed(ctx context.Context, caller engine.Caller, in *feedQuery) (*listAnswer[FeedAnswer], error) {
	filter := engine.FeedFilter{Window: in.window(), UndeliveredOnly: in.State != ""}
	found, err := s.engine.Feed(ctx, caller, engine.SubscriptionID(in.ID), filter, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, func(item engine.FeedItem) FeedAnswer {
		return FeedAnswer{
			ID: item.Event.ID, Topic: item.Event.Topic, Timestamp: instant(item.Event.Timestamp),
			AcceptedAt: instant(item.Event.AcceptedAt), Data: item.Event.Data, Extensions: item.Event.Extensions,
			Delivery: FeedDelivery{
				ID: item.Delivery.ID, State: item.Delivery.State, Attempts: item.Delivery.Attempts,
				DeliveredAt: instant(item.Delivery.DeliveredAt),
			},
		}
	}), nil
}
