package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// sendCommand posts one event.
type sendCommand struct {
	outputFlags
	Topic          string `arg:"" help:"The event's topic, as trip.created."`
	Data           string `default:"{}" placeholder:"JSON|@file|-" help:"The event's data: JSON, a file of it, or standard input (${default})."`
	ID             string `name:"id" placeholder:"ID" help:"The event's id; sent twice it counts once."`
	Tenant         string `placeholder:"TENANT" help:"Reach this tenant's subscriptions only."`
	IdempotencyKey string `placeholder:"KEY" help:"Make it safe to send this request again."`
}

// eventBody is an event as the API takes it.
type eventBody struct {
	ID     string `json:"id,omitempty"`
	Topic  string `json:"topic"`
	Tenant string `json:"tenant,omitempty"`
	data   []byte // JSON
}

// encode leaves the data as it is, byte for byte: that is how it reaches receivers.
func (e eventBody) encode() ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	body = append(bytes.TrimSuffix(body, []byte("}")), `,"data":`...)
	return append(append(body, e.data...), '}'), nil
}

// Run posts the event and prints the id it was accepted with.
func (s *sendCommand) Run(ctx context.Context, c console) error {
	data, err := input(c, s.Data)
	if err != nil {
		return err
	}
	body, err := eventBody{ID: s.ID, Topic: s.Topic, Tenant: s.Tenant, data: data}.encode()
	if err != nil {
		return err
	}
	return s.ask(ctx, c, call{method: http.MethodPost, path: pathOf("events"), body: body, key: s.IdempotencyKey})
}
