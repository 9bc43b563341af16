package api

import (
	"context"
	"net/http"

	"pannier/engine"
)

// DeliveryAnswer is a delivery as it is answered.
type DeliveryAnswer struct {
	ID             string                `json:"id"`
	EventID        string                `json:"event_id"`
	SubscriptionID engine.SubscriptionID `json:"subscription_id"`
	Topic          string                `json:"topic"`
	State          engine.DeliveryState  `json:"state" enum:"waiting,attempting,delivered,dead"`
	Reason         *engine.Reason        `json:"reason" enum:"exhausted,expired,gone,blocked,quarantined" doc:"Why it is a dead letter."`
	Attempts       int                   `json:"attempts"`
	AcceptedAt     instant               `json:"accepted_at"`
	NextAttemptAt  instant               `json:"next_attempt_at" nullable:"true"`
	DeliveredAt    instant               `json:"delivered_at" nullable:"true"`
	LastOutcome    *engine.Outcome       `json:"last_outcome" doc:"Of the last attempt."`
	LastStatus     *int                  `json:"last_status" doc:"Of the last response; null when there was none."`
}

// AttemptAnswer is one HTTP request of a delivery.
type AttemptAnswer struct {
	Number     int            `json:"number" doc:"As in webhook-attempt."`
	StartedAt  instant        `json:"started_at"`
	DurationMS int64          `json:"duration_ms"`
	Outcome    engine.Outcome `json:"outcome" enum:"success,failure,gone,throttled,blocked,interrupted"`
	Status     *int           `json:"status" doc:"Null when there was no response."`
	Error      *string        `json:"error" doc:"Why there was no response."`
	Excerpt    string         `json:"response_excerpt" doc:"Up to 1 KiB of the response."`
	TraceID    *string        `json:"trace_id"`
}

type deliveriesQuery struct {
	ByID
	Period
	Paging
	State engine.DeliveryState `query:"state" enum:"waiting,attempting,delivered,dead" doc:"Only those in this state."`
}

type pagedByID struct {
	ByID
	Paging
}

const deliveriesPath = "/v1/deliveries"

func (s *Server) addDeliveries() {
	handle(s, operation(tagDeliveries, http.MethodGet, subscriptionsPath+"/{id}/deliveries", "list-subscription-deliveries",
		"List the deliveries of a subscription"), readers, s.listDeliveries)
	handle(s, operation(tagDeliveries, http.MethodGet, deliveriesPath+"/{id}", "get-delivery",
		"Look at a delivery"), readers, s.getDelivery)
	handle(s, operation(tagDeliveries, http.MethodGet, deliveriesPath+"/{id}/attempts", "list-attempts",
		"List the attempts of a delivery by number"), readers, s.listAttempts)
	retry := operation(tagDeliveries, http.MethodPost, deliveriesPath+"/{id}/retry", "retry-delivery",
		"Attempt a dead letter, or a delivered one, once more", http.StatusConflict)
	retry.DefaultStatus = http.StatusAccepted
	handle(s, retry, owners, s.retryDelivery)
}

func (s *Server) listDeliveries(ctx context.Context, caller engine.Caller, in *deliveriesQuery) (*listAnswer[DeliveryAnswer], error) {
	filter := engine.DeliveryFilter{Window: in.window(), State: in.State}
	found, err := s.engine.Deliveries(ctx, caller, engine.SubscriptionID(in.ID), filter, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, encodeDelivery), nil
}

func (s *Server) getDelivery(ctx context.Context, caller engine.Caller, in *ByID) (*struct{ Body DeliveryAnswer }, error) {
	view, err := s.engine.Delivery(ctx, caller, in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{ Body DeliveryAnswer }{encodeDelivery(view)}, nil
}

func (s *Server) listAttempts(ctx context.Context, caller engine.Caller, in *pagedByID) (*listAnswer[AttemptAnswer], error) {
	found, err := s.engine.Attempts(ctx, caller, in.ID, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, func(a engine.Attempt) AttemptAnswer {
		return AttemptAnswer{
			Number: a.Number, StartedAt: instant(a.StartedAt), DurationMS: a.Duration.Milliseconds(),
			Outcome: a.Outcome, Status: orNull(a.Status), Error: orNull(a.Error), Excerpt: a.Excerpt,
			TraceID: orNull(a.TraceID),
		}
	}), nil
}

// RetryAnswer names the delivery that is attempted once more.
type RetryAnswer struct {
	ID string `json:"id"`
}

func (s *Server) retryDelivery(ctx context.Context, caller engine.Caller, in *ByID) (*struct{ Body RetryAnswer }, error) {
	if err := s.engine.RetryDelivery(ctx, caller, in.ID); err != nil {
		return nil, err
	}
	return &struct{ Body RetryAnswer }{RetryAnswer{in.ID}}, nil
}

func encodeDelivery(view engine.DeliveryView) DeliveryAnswer {
	return DeliveryAnswer{
		ID: view.ID, EventID: view.EventID, SubscriptionID: view.SubscriptionID, Topic: view.Topic,
		State: view.State, Reason: orNull(view.Reason), Attempts: view.Attempts,
		AcceptedAt: instant(view.AcceptedAt), NextAttemptAt: instant(view.NextAttemptAt),
		DeliveredAt: instant(view.DeliveredAt), LastOutcome: orNull(view.LastOutcome),
		LastStatus: orNull(view.LastStatus),
	}
}
