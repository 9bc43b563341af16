package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

// What members ask each other beside the protocol: everything that a list, a feed or a total
// needs of another member's disk and memory. An answer is about this moment; nothing depends on
// it but what is shown.
const (
	callStats      = "stats"
	callLanes      = "lanes"
	callLook       = "look"
	callStandings  = "standings"
	callJournals   = "journals"
	callRead       = "read"
	callSeek       = "seek"
	callIdentities = "identities"
	callPutKeys    = "put-keys"
	callKeys       = "keys"
	callInsert     = "insert"
	callAnswer     = "answer"
	callDeliveries = "deliveries"
	callAttempts   = "attempts"
)

// askTimeout bounds what one member that hangs costs a question to all.
const askTimeout = 2 * time.Second

type (
	// all is the question that needs no words: gob has no encoding of an empty one.
	all bool
	// memberTotals are the totals of one member.
	memberTotals struct {
		Stats           engine.StatsView
		Dead, Discarded int64 // see actors.System.Ended
		UnderReplicated int
		Lag             map[placement.MemberID]uint64
	}
	// journalsHere are the journals that a member keeps, and who wrote those that it has a copy of
	// and nobody keeps yet.
	journalsHere struct {
		Kept    []journalAt
		Orphans []placement.MemberID
	}
	// journalAt is a journal that a member keeps.
	journalAt struct {
		Lane        string
		ID          engine.JournalID
		Frontier    uint64
		First, Next uint64
	}
	readRequest struct {
		Journal engine.JournalID
		From    uint64
		Bytes   int
	}
	readAnswer struct {
		Frames []byte
		First  uint64 // of the frames: what is damaged or gone is passed over
		Next   uint64
	}
	insertRequest struct {
		Record engine.RetryRecord
		Dead   *engine.DropDeadLetter // the dead letter that is delivered once more
	}
	deliveriesRequest struct {
		Event         *engine.Event
		Subscriptions []engine.SubscriptionID
	}
	attemptsRequest struct {
		Subscription engine.SubscriptionID
		Key          engine.DeliveryKey
	}
	seekRequest struct {
		Journal engine.JournalID
		At      time.Time
	}
)

// calls are what this member answers.
func (c *clustered) calls() map[string]func(context.Context, []byte) ([]byte, error) {
	return map[string]func(context.Context, []byte) ([]byte, error){
		callStats: answering(func(ctx context.Context, _ all) (memberTotals, error) {
			dead, discarded := c.member.system.Ended()
			return memberTotals{c.member.system.Stats(ctx), dead, discarded, c.node.UnderReplicated(), c.node.Lag()}, nil
		}),
		callLanes: answering(func(ctx context.Context, _ all) ([]engine.LaneView, error) {
			return c.member.system.Views(ctx), nil
		}),
		callLook: answering(func(ctx context.Context, id engine.SubscriptionID) (engine.SubscriptionWork, error) {
			return c.member.system.Look(ctx, id)
		}),
		callStandings: answering(c.standingsHere),
		callJournals:  answering(func(context.Context, all) (journalsHere, error) { return c.journalsHere(), nil }),
		callRead:      answering(func(_ context.Context, r readRequest) (readAnswer, error) { return c.readFor(r) }),
		callSeek: answering(func(_ context.Context, r seekRequest) (uint64, error) {
			journal, err := c.kept(r.Journal)
			if err != nil {
				return 0, err
			}
			return journal.Seek(r.At)
		}),
		callPutKeys: answering(func(_ context.Context, keys []engine.APIKey) (all, error) {
			return true, c.member.engine.MergeKeys(keys)
		}),
		callKeys: answering(func(_ context.Context, sum [sha256.Size]byte) ([]engine.APIKey, error) {
			if keys := c.member.engine.AllKeys(); sumOfKeys(keys) != sum {
				return keys, nil
			}
			return nil, nil
		}),
		callInsert: answering(c.insertHere),
		callAttempts: answering(func(ctx context.Context, r attemptsRequest) ([]engine.Attempt, error) {
			return c.member.history.Attempts(ctx, r.Subscription, r.Key)
		}),
		callDeliveries: answering(func(ctx context.Context, r deliveriesRequest) ([]engine.DeliveryView, error) {
			return c.member.engine.LocalDeliveries(ctx, r.Event, r.Subscriptions)
		}),
		callIdentities: answering(func(ctx context.Context, ids []string) (identitiesHere, error) {
			later := c.indexesLater() // before it is looked for
			known, err := c.member.engine.LocalIdentities(ctx, ids)
			return identitiesHere{known, later}, err
		}),
		callAnswer: answering(func(ctx context.Context, key string) (answerHere, error) {
			later := c.indexesLater()
			answer, found, err := c.member.engine.LocalAnswer(ctx, key)
			return answerHere{answer, found, later}, err
		}),
	}
}

// identitiesHere and answerHere are what one member knows. It will know more Later, once it has taken
// over what another one had accepted.
type (
	identitiesHere struct {
		Known map[string]engine.Identity
		Later bool
	}
	answerHere struct {
		Answer engine.Answer
		Found  bool
		Later  bool
	}
)

// indexesLater tells that this member is about to index what another one had accepted that is gone:
// one that is there has an index of its own.
func (c *clustered) indexesLater() bool {
	return c.member.system.Indexing() || slices.ContainsFunc(c.node.Orphans(), func(orphan protocol.JournalRef) bool {
		_, seen := c.node.View().Member(orphan.Origin)
		return !seen
	})
}

// answering decodes a question and encodes its answer.
func answering[Q, A any](answer func(context.Context, Q) (A, error)) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, b []byte) ([]byte, error) {
		var question Q
		if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&question); err != nil {
			return nil, engine.Errorf(engine.CodeInvalid, "the question cannot be read")
		}
		a, err := answer(ctx, question)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := gob.NewEncoder(&out).Encode(a); err != nil {
			return nil, fmt.Errorf("encode the answer: %w", err)
		}
		return out.Bytes(), nil
	}
}

// ask asks one member, which may be this one. Errors: those of the answer, unavailable.
func ask[A, Q any](ctx context.Context, c *clustered, to placement.MemberID, method string, question Q) (answer A, err error) {
	return askWithin[A](ctx, c, askTimeout, to, method, question)
}

func askWithin[A, Q any](
	ctx context.Context, c *clustered, timeout time.Duration, to placement.MemberID, method string, question Q,
) (answer A, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(question); err != nil {
		return answer, fmt.Errorf("encode the question: %w", err)
	}
	var b []byte
	if to == placement.MemberID(c.member.folder.Member()) {
		b, err = c.calls()[method](ctx, out.Bytes())
	} else {
		b, err = c.node.Call(ctx, to, method, out.Bytes())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return answer, doesNotAnswer(to)
	}
	if err != nil {
		return answer, err
	}
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("decode the answer: %w", err)
	}
	return answer, nil
}

// askAll asks every member that is seen, this one included, at once. silent are those that did
// not answer.
func askAll[A, Q any](ctx context.Context, c *clustered, method string, question Q) (answers map[placement.MemberID]A, silent []placement.MemberID) {
	answers = make(map[placement.MemberID]A)
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, m := range c.node.View().Members() {
		asking.Go(func() {
			answer, err := ask[A](ctx, c, m.ID, method, question)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				answers[m.ID] = answer
				return
			}
			silent = append(silent, m.ID)
			engine.NoteSilent(ctx, string(m.ID))
			c.logger.Warn("a member does not answer", "member", string(m.ID), "call", method, "error", err)
		})
	}
	asking.Wait()
	return answers, silent
}
