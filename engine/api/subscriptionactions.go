package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pannier/engine"
)

// defaultGrace is how long the old secrets stay valid after a rotation that names none.
const defaultGrace = 24 * time.Hour

// RotationFields are the body of a rotation.
type RotationFields struct {
	Grace *duration `json:"grace,omitempty" doc:"How long the old secrets stay valid: 0s to 168h. Default 24h."`
}

// RotationAnswer shows the new secret, this once.
type RotationAnswer struct {
	Secret             string  `json:"secret"`
	PreviousValidUntil instant `json:"previous_valid_until"`
}

// TestAnswer names the event that was sent.
type TestAnswer struct {
	EventID string `json:"event_id"`
}

// ReplayFields are the body of a replay: which deliveries to make once more.
type ReplayFields struct {
	Since         *instant `json:"since,omitempty" doc:"Accepted at or after this time."`
	Until         *instant `json:"until,omitempty" doc:"Accepted before this time."`
	Topics        []string `json:"topics,omitempty" nullable:"false" maxItems:"100" doc:"Topics or patterns; absent or empty: all of the subscription."`
	State         *string  `json:"state,omitempty" nullable:"false" enum:"dead,all" doc:"Dead letters only, or all deliveries. Default dead."`
	RatePerSecond float64  `json:"rate_per_second,omitempty" minimum:"0" maximum:"100000" doc:"At most so many a second; 0 is the subscription's own rate."`
	DryRun        bool     `json:"dry_run,omitempty" doc:"Count only, answer 200."`
}

// ReplayAnswer tells what a replay will deliver.
type ReplayAnswer struct {
	ReplayID string `json:"replay_id,omitempty" doc:"Absent after a dry run."`
	Count    int    `json:"count"`
}

type replayed struct {
	Status int
	Body   ReplayAnswer
}

func (s *Server) addSubscriptionActions() {
	registry := s.huma.OpenAPI().Components.Schemas
	rotate := operation(tagSubscriptions, http.MethodPost, subscriptionsPath+"/{id}/secret/rotate", "rotate-secret",
		"Make a new signing secret; the old ones stay valid for a while")
	rotate.RequestBody = bodyOf[RotationFields](registry, false, map[string]any{"grace": "24h"}, jsonType)
	handleBody(s, rotate, owners, s.rotateSecret)

	test := operation(tagSubscriptions, http.MethodPost, subscriptionsPath+"/{id}/test", "test-subscription",
		"Send a signed pannier.test event to this endpoint only")
	test.DefaultStatus = http.StatusAccepted
	handle(s, test, owners, s.testSubscription)

	replay := operation(tagSubscriptions, http.MethodPost, subscriptionsPath+"/{id}/replay", "replay-subscription",
		"Deliver once more what this subscription should have had", http.StatusConflict)
	replay.DefaultStatus = http.StatusAccepted
	replay.RequestBody = bodyOf[ReplayFields](registry, false, map[string]any{
		"since": "2026-05-12T00:00:00Z", "until": "2026-05-13T00:00:00Z", "topics": []string{"trip.*"},
		"state": "dead", "rate_per_second": 50,
	}, jsonType)
	replay.Responses = map[string]*huma.Response{"200": {
		Description: "Counted, nothing else (dry_run)",
		Content:     map[string]*huma.MediaType{jsonType: {Schema: registry.Schema(reflect.TypeFor[ReplayAnswer](), true, "")}},
	}}
	handleBody(s, replay, owners, s.replay)
}

func (s *Server) rotateSecret(ctx context.Context, caller engine.Caller, in *ByID, body posted[RotationFields]) (*struct{ Body RotationAnswer }, error) {
	grace := defaultGrace
	if body.value.Grace != nil {
		grace = time.Duration(*body.value.Grace)
	}
	if grace < 0 || grace > engine.MaxGrace {
		return nil, engine.Invalid("/grace", "must be 0s to 168h")
	}
	rotation, err := s.engine.RotateSecret(ctx, caller, engine.SubscriptionID(in.ID), grace)
	if err != nil {
		return nil, err
	}
	return &struct{ Body RotationAnswer }{RotationAnswer{rotation.Secret, instant(rotation.PreviousValidUntil)}}, nil
}

func (s *Server) testSubscription(ctx context.Context, caller engine.Caller, in *ByID) (*struct{ Body TestAnswer }, error) {
	id, err := s.engine.TestSubscription(ctx, caller, engine.SubscriptionID(in.ID))
	if err != nil {
		return nil, err
	}
	return &struct{ Body TestAnswer }{TestAnswer{id}}, nil
}

func (s *Server) replay(ctx context.Context, caller engine.Caller, in *ByID, body posted[ReplayFields]) (*replayed, error) {
	order, err := replayOrder(body.value)
	if err != nil {
		return nil, err
	}
	done, err := s.engine.Replay(ctx, caller, engine.SubscriptionID(in.ID), order)
	if err != nil {
		return nil, err
	}
	answer := &replayed{Status: http.StatusAccepted, Body: ReplayAnswer{done.ID, done.Count}}
	if order.DryRun {
		answer.Status = http.StatusOK
	}
	return answer, nil
}

// replayOrder checks the shape of a replay; its topics are the engine's matter.
func replayOrder(fields ReplayFields) (engine.ReplayOrder, error) {
	order := engine.ReplayOrder{Topics: fields.Topics, Rate: fields.RatePerSecond, DryRun: fields.DryRun, DeadOnly: true}
	if state := fields.State; state != nil {
		if *state != "dead" && *state != "all" {
			return order, engine.Invalid("/state", "must be dead or all")
		}
		order.DeadOnly = *state == "dead"
	}
	if fields.Since != nil {
		order.Since = time.Time(*fields.Since)
	}
	if fields.Until != nil {
		order.Until = time.Time(*fields.Until)
	}
	if rate := order.Rate; rate != 0 && (rate < engine.MinRate || rate > engine.MaxRate) {
		return order, engine.Invalid("/rate_per_second", "must be 0 or 0.1 to 100000")
	}
	if len(order.Topics) > engine.MaxTopicsPerSubscription {
		return order, engine.Invalid("/topics", "at most %d topics", engine.MaxTopicsPerSubscription)
	}
	return order, nil
}
