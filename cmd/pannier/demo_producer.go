package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"pannier/engine"
)

const (
	// producerTry bounds one request, so that a member that hangs costs seconds.
	producerTry = 5 * time.Second
	// producerRound is the pause after every member has refused.
	producerRound = 100 * time.Millisecond
	// producerPatience bounds how long all of them may.
	producerPatience = time.Minute
)

// demoProducer posts events to the members in turn, and what one does not answer to the next,
// under the same ids. Its count is what the receivers are held against. One goroutine posts,
// any may read the counts.
type demoProducer struct {
	members []*demoMember
	turn    int
	posted  int

	mu       sync.Mutex
	accepted []string // ids that were answered 202
	refused  int      // requests that were not
}

// post has the drafts accepted.
func (p *demoProducer) post(ctx context.Context, drafts []draftEvent) error {
	if len(drafts) == 0 {
		return nil
	}
	var lines bytes.Buffer
	ids := make([]string, len(drafts))
	for n, draft := range drafts {
		p.posted++
		ids[n] = fmt.Sprintf("demo-%07d", p.posted)
		line, err := eventBody{ID: ids[n], Topic: draft.Topic, data: draft.Data}.encode()
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	if err := p.insist(ctx, lines.Bytes()); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted = append(p.accepted, ids...)
	return nil
}

// insist posts one request until a member answers it.
func (p *demoProducer) insist(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, producerPatience)
	defer cancel()
	for try := 1; ; try++ {
		m := p.members[p.turn%len(p.members)]
		p.turn++
		err := p.try(ctx, m, body)
		if err == nil {
			return nil
		}
		if refused, ok := errors.AsType[*problem](err); ok && !mayPass(refused.Code) {
			return fmt.Errorf("post events to %s: %w", m.name, err)
		}
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
		if ctx.Err() != nil || (try%len(p.members) == 0 && !pause(ctx, producerRound)) {
			return fmt.Errorf("no member answers: %w", err)
		}
	}
}

func (p *demoProducer) try(ctx context.Context, m *demoMember, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, producerTry)
	defer cancel()
	_, err := m.api.do(ctx, call{method: http.MethodPost, path: pathOf("events"), body: body, kind: "application/x-ndjson"})
	return err
}

// mayPass tells whether another member, or the same one later, may answer.
func mayPass(code engine.Code) bool {
	return slices.Contains([]engine.Code{
		engine.CodeUnavailable, engine.CodeThrottled, engine.CodeStorageFull, engine.CodeInternal,
	}, code)
}

// counts gives the ids that were accepted, and how many requests were refused.
func (p *demoProducer) counts() (accepted []string, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.accepted), p.refused
}
