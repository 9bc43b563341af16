package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"pannier/engine"
	"pannier/engine/match"
)

// EventAnswer is a retained event. Lists leave out its data.
type EventAnswer struct {
	ID         string          `json:"id"`
	Topic      string          `json:"topic"`
	Tenant     *string         `json:"tenant" doc:"Null reaches the subscriptions of all tenants."`
	Timestamp  instant         `json:"timestamp" doc:"The producer's time, or the time of accept."`
	AcceptedAt instant         `json:"accepted_at"`
	Data       json.RawMessage `json:"data,omitempty" doc:"As it was posted; absent in lists."`
	Extensions json.RawMessage `json:"extensions,omitempty" doc:"The attributes of a CloudEvent; absent in lists."`
}

type eventsQuery struct {
	Period
	Paging
	Topic string `query:"topic" maxLength:"128" doc:"Only events of this topic."`
}

// EventFields are an event as it is posted.
type EventFields struct {
	ID        string          `json:"id,omitempty" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Given twice within 24 h, the event is accepted once."`
	Topic     string          `json:"topic" maxLength:"128" doc:"Segments of A-Z a-z 0-9 _ - split by single dots." example:"trip.created"`
	Timestamp instant         `json:"timestamp" required:"false" doc:"When it happened; absent: the time of accept."`
	Tenant    string          `json:"tenant,omitempty" maxLength:"64" doc:"Only this tenant's subscriptions; absent: all."`
	Data      json.RawMessage `json:"data" doc:"Any JSON value; it reaches receivers byte for byte."`
}

// CloudEventFields are a CloudEvent 1.0 in the JSON event format; extension attributes may
// stand beside these.
type CloudEventFields struct {
	SpecVersion     string          `json:"specversion" enum:"1.0"`
	ID              string          `json:"id" doc:"The id of the event, where it fits ours."`
	Source          string          `json:"source"`
	Type            string          `json:"type" doc:"The topic."`
	Time            instant         `json:"time" required:"false" doc:"The timestamp."`
	Subject         string          `json:"subject,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	DataSchema      string          `json:"dataschema,omitempty"`
	Data            json.RawMessage `json:"data,omitempty" doc:"Absent is null; data_base64 is refused."`
	_               struct{}        `additionalProperties:"true"`
}

// OneAccepted answers one event.
type OneAccepted struct {
	ID string `json:"id" example:"evt_0f8r2k1t9c5m7v3b6d4n0s1q2w"`
}

// ManyAccepted answers many events.
type ManyAccepted struct {
	Accepted int      `json:"accepted" doc:"How many distinct events."`
	IDs      []string `json:"ids" nullable:"false" doc:"In the order they were posted."`
}

func (s *Server) addEvents() {
	s.documentPostEvents()
	handle(s, operation(tagEvents, http.MethodGet, eventsPath, "list-events",
		"List retained events in the order of accept, without their data"), readers, s.listEvents)
	handle(s, operation(tagEvents, http.MethodGet, eventsPath+"/{id}", "get-event",
		"Look at an event with its data"), readers, s.getEvent)
	handle(s, operation(tagEvents, http.MethodGet, eventsPath+"/{id}/deliveries", "list-event-deliveries",
		"List the deliveries of an event"), readers, s.listEventDeliveries)
}

// documentPostEvents puts POST /v1/events into the document and into the mux, which must
// know its method to answer 405 to others; the handler is postEvents.
func (s *Server) documentPostEvents() {
	document := s.huma.OpenAPI()
	registry := document.Components.Schemas
	one := map[string]any{"topic": "trip.created", "data": map[string]any{"trip_id": "2b0f6e0e", "vehicle_id": "BK-20417"}}
	cloud := map[string]any{
		"specversion": "1.0", "id": "2b0f6e0e", "source": "/fleet/nantes", "type": "trip.created",
		"data": map[string]any{"trip_id": "2b0f6e0e"},
	}
	event := registry.Schema(reflect.TypeFor[EventFields](), true, "")
	cloudEvent := registry.Schema(reflect.TypeFor[CloudEventFields](), true, "")
	many := func(item *huma.Schema) *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, Items: item, MinItems: new(1), MaxItems: new(engine.MaxBatchEvents)}
	}
	op := operation(tagEvents, http.MethodPost, eventsPath, "post-events",
		"Post one event or many; 202 means they are on disk, all or none", http.StatusConflict)
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		jsonType:                             {Schema: &huma.Schema{OneOf: []*huma.Schema{event, many(event)}}, Example: one},
		"application/x-ndjson":               {Schema: &huma.Schema{Type: huma.TypeString, Description: "One event a line."}},
		"application/cloudevents+json":       {Schema: cloudEvent, Example: cloud},
		"application/cloudevents-batch+json": {Schema: many(cloudEvent), Example: []any{cloud}},
	}}
	op.Parameters = []*huma.Param{
		{
			Name: "Idempotency-Key", In: "header", Description: "Repeats the first answer of the same request within 24 h.",
			Schema: &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(maxIdempotencyKey)},
		},
		{
			Name: "traceparent", In: "header", Description: "W3C Trace Context; kept with the events.",
			Schema: &huma.Schema{Type: huma.TypeString},
		},
	}
	describe(&op, publishers)
	op.Responses = map[string]*huma.Response{"202": {
		Description: "Accepted: one event answers its id, many answer their ids.",
		Headers: map[string]*huma.Header{"Idempotency-Replayed": {
			Description: "true when nothing new was accepted.", Schema: &huma.Schema{Type: huma.TypeString},
		}},
		Content: map[string]*huma.MediaType{jsonType: {Schema: &huma.Schema{OneOf: []*huma.Schema{
			registry.Schema(reflect.TypeFor[OneAccepted](), true, ""),
			registry.Schema(reflect.TypeFor[ManyAccepted](), true, ""),
		}}}},
	}}
	documentErrors(registry, &op)
	document.AddOperation(&op)
	s.mux.HandleFunc(http.MethodPost+" "+eventsPath, s.postEvents)
}

func (s *Server) listEvents(ctx context.Context, caller engine.Caller, in *eventsQuery) (*listAnswer[EventAnswer], error) {
	if in.Topic != "" {
		if err := match.ParseTopic(in.Topic); err != nil {
			return nil, engine.Invalid("topic", "%s", err)
		}
	}
	found, err := s.engine.Events(ctx, caller, engine.EventFilter{Window: in.window(), Topic: in.Topic}, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, func(e *engine.Event) EventAnswer {
		answer := encodeEvent(e)
		answer.Data, answer.Extensions = nil, nil // a page of 1000 bodies could be 256 MiB
		return answer
	}), nil
}

func (s *Server) getEvent(ctx context.Context, caller engine.Caller, in *ByID) (*struct{ Body EventAnswer }, error) {
	event, err := s.engine.Event(ctx, caller, in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{ Body EventAnswer }{encodeEvent(event)}, nil
}

func (s *Server) listEventDeliveries(ctx context.Context, caller engine.Caller, in *pagedByID) (*listAnswer[DeliveryAnswer], error) {
	found, err := s.engine.EventDeliveries(ctx, caller, in.ID, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, encodeDelivery), nil
}

func encodeEvent(e *engine.Event) EventAnswer {
	return EventAnswer{
		ID: e.ID, Topic: e.Topic, Tenant: orNull(e.Tenant), Timestamp: instant(e.Timestamp),
		AcceptedAt: instant(e.AcceptedAt), Data: e.Data, Extensions: e.Extensions,
	}
}
