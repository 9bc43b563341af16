package storage

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
	"pannier/engine/match"
	"pannier/engine/retry"
	"pannier/engine/signature"
)

// codec is one kind of value: an encoding, and a decoding followed by an encoding.
type codec struct {
	name string
	// draw gives a value and its encoding.
	draw func(t *rapid.T) (value any, encoded []byte)
	// decode gives the value and its encoding again.
	decode func(encoded []byte) (value any, again []byte, err error)
}

var testKey = engine.DeliveryKey{AcceptedMilli: 1, Event: engine.EventRef{Journal: 2, Sequence: 3}}

func codecOf[T any](name string, draw func(*rapid.T) T, encode func(T) []byte, decode func([]byte) (T, error)) codec {
	return codec{
		name: name,
		draw: func(t *rapid.T) (any, []byte) {
			value := draw(t)
			return value, encode(value)
		},
		decode: func(encoded []byte) (any, []byte, error) {
			value, err := decode(encoded)
			if err != nil {
				return nil, nil, err
			}
			return value, encode(value), nil
		},
	}
}

func codecs() []codec {
	return []codec{
		codecOf("retry record", drawRetryRecord, encodeRetryRecord, func(b []byte) (engine.RetryRecord, error) {
			return decodeRetryRecord("sub_a", testKey, b)
		}),
		codecOf("event", drawEvent, encodeEventValue, decodeEventValue),
		codecOf("dead letter", drawDeadLetter, encodeDeadLetter, func(b []byte) (engine.DeadLetter, error) {
			d, hasEvent, err := decodeDeadLetter("sub_a", testKey, b)
			if hasEvent {
				d.Event = &engine.Event{}
			}
			return d, err
		}),
		codecOf("queue", drawQueue, encodeQueue, func(b []byte) (engine.Queue, error) { return decodeQueue("sub_a", b) }),
		codecOf("cursor", drawCursor, encodeCursor, func(b []byte) (engine.Cursor, error) { return decodeCursor("sub_a", 7, b) }),
		codecOf("watermark", drawWatermark, encodeWatermark, func(b []byte) (engine.Watermark, error) { return decodeWatermark(7, b) }),
		codecOf("identity", drawIdentity, encodeIdentity, func(b []byte) (engine.Identity, error) { return decodeIdentity("id", b) }),
		codecOf("answer", drawAnswer, encodeAnswer, func(b []byte) (engine.Answer, error) { return decodeAnswer("key", b) }),
		codecOf("version", drawVersion, encodeVersion, func(b []byte) (*engine.Subscription, error) {
			return decodeVersion(9, "sub_a", b, map[string]string{}, new(pieces))
		}),
		codecOf("replay", drawReplay, encodeReplay, func(b []byte) (engine.Replay, error) { return decodeReplay("rpl", b) }),
		codecOf("what expired", drawExpired, encodeExpired, func(b []byte) (engine.Expired, error) {
			return decodeExpired("sub_a", testExpired, b)
		}),
		codecOf("attempt", drawAttempt, encodeAttempt, func(b []byte) (engine.Attempt, error) {
			r := newBlockReader(b)
			if r.count != 1 {
				return engine.Attempt{}, errors.Join(errValue, r.err)
			}
			return r.read(), r.end()
		}),
	}
}

func TestValuesComeBack(t *testing.T) {
	t.Parallel()
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				want, encoded := c.draw(t)
				got, _, err := c.decode(encoded)
				if err != nil {
					t.Fatalf("decode: %v", err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("\n got %+v\nwant %+v", got, want)
				}
			})
		})
	}
}

func TestDamagedValuesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				_, encoded := c.draw(t)
				cut := rapid.IntRange(0, len(encoded)-1).Draw(t, "cut")
				damaged := map[string][]byte{
					"cut short":     encoded[:cut],
					"left over":     append(bytes.Clone(encoded), 0),
					"newer version": append([]byte{valueVersion + 1}, encoded[1:]...),
				}
				for name, value := range damaged {
					if _, _, err := c.decode(value); !errors.Is(err, errValue) {
						t.Fatalf("%s: decode = %v, want %v", name, err, errValue)
					}
				}
			})
		})
	}
}

// FuzzValues: decoding never panics, takes no more memory than the value justifies, and
// accepts only what encoding makes.
func FuzzValues(f *testing.F) {
	all := codecs()
	for i := range all {
		seed := rapid.Custom(func(t *rapid.T) []byte { _, encoded := all[i].draw(t); return encoded })
		for n := range 4 {
			f.Add(i, seed.Example(n))
		}
	}
	f.Fuzz(func(t *testing.T, kind int, value []byte) {
		c := all[uint(kind)%uint(len(all))]
		_, again, err := c.decode(value)
		if err == nil && !bytes.Equal(again, value) {
			t.Errorf("%s: %x was accepted, but is written %x", c.name, value, again)
		}
	})
}

func drawTime(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "zero") {
		return time.Time{}
	}
	return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
}

func drawText(t *rapid.T) string { return rapid.String().Draw(t, "text") }

func drawCount(t *rapid.T) int { return rapid.IntRange(0, math.MaxInt32).Draw(t, "count") }

func drawNumber(t *rapid.T) uint64 { return rapid.Uint64().Draw(t, "number") }

func drawDuration(t *rapid.T) time.Duration {
	return time.Duration(rapid.Int64().Draw(t, "duration"))
}

func drawTruth(t *rapid.T) bool { return rapid.Bool().Draw(t, "truth") }

func drawDigest(t *rapid.T) (digest [32]byte) {
	copy(digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
	return digest
}

// drawList gives nil where it is empty, as decoding does.
func drawList[T any](t *rapid.T, most int, draw func(*rapid.T) T) []T {
	var list []T
	for range rapid.IntRange(0, most).Draw(t, "length") {
		list = append(list, draw(t))
	}
	return list
}

func drawBytes(t *rapid.T) []byte {
	return drawList(t, 40, func(t *rapid.T) byte { return rapid.Byte().Draw(t, "byte") })
}

func drawRef(t *rapid.T) engine.EventRef {
	return engine.EventRef{Journal: engine.JournalID(drawNumber(t)), Sequence: drawNumber(t)}
}

func drawRange(t *rapid.T) engine.Range {
	return engine.Range{From: drawNumber(t), Through: drawNumber(t)}
}

func drawEvent(t *rapid.T) *engine.Event {
	return &engine.Event{
		Ref: drawRef(t), ID: drawText(t), Topic: drawText(t), Tenant: rapid.OneOf(rapid.Just(engine.DefaultTenant), rapid.String()).Draw(t, "tenant"),
		Timestamp: drawTime(t), AcceptedAt: drawTime(t), Data: drawBytes(t), Extensions: drawBytes(t),
		TraceParent: drawText(t), TraceState: drawText(t), Revision: drawNumber(t),
		Directed: engine.SubscriptionID(drawText(t)),
		Batch:    engine.BatchPart{ID: drawNumber(t), Index: rapid.Uint32().Draw(t, "index"), Count: rapid.Uint32().Draw(t, "count")},
		GivenID:  drawTruth(t),
	}
}

func drawRetryRecord(t *rapid.T) engine.RetryRecord {
	r := engine.RetryRecord{
		Subscription: "sub_a", Key: testKey, Attempts: drawCount(t), Used: drawCount(t), Due: drawTime(t),
		LastOutcome: engine.Outcome(drawText(t)), LastStatus: drawCount(t), Once: drawTruth(t), Delivered: drawTruth(t),
	}
	if drawTruth(t) {
		r.Body = drawEvent(t)
	}
	return r
}

func drawDeadLetter(t *rapid.T) engine.DeadLetter {
	d := engine.DeadLetter{
		Subscription: "sub_a", Key: testKey, Reason: engine.Reason(drawText(t)), Attempts: drawCount(t),
		LastOutcome: engine.Outcome(drawText(t)), LastStatus: drawCount(t), DiedAt: drawTime(t),
	}
	if drawTruth(t) {
		d.Event = &engine.Event{}
	}
	return d
}

func drawQueue(t *rapid.T) engine.Queue {
	return engine.Queue{
		Subscription: "sub_a", NextDue: drawTime(t), Records: drawCount(t), OldestMilli: rapid.Int64().Draw(t, "oldest"),
		Circuit: engine.CircuitState{
			Open: drawTruth(t), Failures: drawCount(t), FirstFailure: drawTime(t), OpenedAt: drawTime(t),
			ProbeAt: drawTime(t), ProbeInterval: drawDuration(t), Frozen: drawDuration(t),
		},
	}
}

func drawCursor(t *rapid.T) engine.Cursor {
	return engine.Cursor{
		Subscription: "sub_a", Journal: 7, Waiting: drawNumber(t), OldestMilli: rapid.Int64().Draw(t, "oldest"),
		Ranges: drawList(t, 5, drawRange),
	}
}

func drawWatermark(t *rapid.T) engine.Watermark {
	return engine.Watermark{
		Journal: 7, Sequence: drawNumber(t), Routed: drawNumber(t), Synced: drawNumber(t),
		OpenThrough: drawNumber(t), Open: drawList(t, 3, drawOpenPairs), Released: drawList(t, 5, drawNumber),
		Totals: engine.Totals{
			Accepted: drawNumber(t), Matched: drawNumber(t), Retried: drawNumber(t), Dead: signed(drawNumber(t)), Discarded: signed(drawNumber(t)),
		},
	}
}

func drawOpenPairs(t *rapid.T) engine.OpenPairs {
	return engine.OpenPairs{
		Subscription: engine.SubscriptionID(rapid.String().Draw(t, "subscription")), Sequences: drawList(t, 5, drawNumber),
	}
}

func drawIdentity(t *rapid.T) engine.Identity {
	return engine.Identity{ID: "id", Event: drawRef(t), Digest: drawDigest(t), AcceptedAt: drawTime(t)}
}

func drawAnswer(t *rapid.T) engine.Answer {
	return engine.Answer{
		Key: "key", Digest: drawDigest(t), IDs: drawList(t, 5, drawText), Single: drawTruth(t), AcceptedAt: drawTime(t),
	}
}

func drawPattern(t *rapid.T) match.Pattern { return match.Pattern(drawText(t)) }

func drawVersion(t *rapid.T) *engine.Subscription {
	s := &engine.Subscription{
		ID: "sub_a", Revision: 9, Tenant: drawText(t), URL: drawText(t), Topics: drawList(t, 5, drawPattern),
		Description: drawText(t), Enabled: drawTruth(t),
		Secrets: drawList(t, engine.MaxSecrets, func(t *rapid.T) engine.ValidSecret {
			return engine.ValidSecret{Secret: signature.NewSecret(), Until: drawTime(t)}
		}),
		Retry:   retry.Schedule{MaxRetries: drawCount(t), MinDelay: drawDuration(t), MaxDelay: drawDuration(t)},
		Timeout: drawDuration(t), Success: engine.Success(drawText(t)), MaxInFlight: drawCount(t),
		RatePerSecond: rapid.Float64().Draw(t, "rate"), DisableOnGone: drawTruth(t),
		CreatedAt: drawTime(t), UpdatedAt: drawTime(t), Version: drawCount(t), Deleted: drawTruth(t),
	}
	if headers := rapid.MapOfN(rapid.String(), rapid.String(), 0, 5).Draw(t, "headers"); len(headers) > 0 {
		s.Headers = headers
	}
	return s
}

func drawReplay(t *rapid.T) engine.Replay {
	return engine.Replay{
		ID: "rpl", Subscription: engine.SubscriptionID(drawText(t)), Since: drawTime(t), Until: drawTime(t),
		Topics: drawList(t, 5, drawPattern), DeadOnly: drawTruth(t), Rate: rapid.Float64().Draw(t, "rate"), CreatedAt: drawTime(t),
		After: engine.DeliveryKey{AcceptedMilli: rapid.Int64().Draw(t, "milli"), Event: drawRef(t)}, Count: drawCount(t),
	}
}

// testExpired is the key of what drawExpired draws.
var testExpired = engine.DeliveryKey{AcceptedMilli: 1_800_000_000_000, Event: engine.EventRef{Journal: 7, Sequence: 40}}

func drawExpired(t *rapid.T) engine.Expired {
	x := engine.Expired{Subscription: "sub_a", ExpiredAt: drawTime(t)}
	ref := testExpired.Event
	for range rapid.IntRange(1, 5).Draw(t, "deliveries") {
		event := &engine.Event{
			Ref: ref, ID: engine.EventID(ref), Topic: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "topic"),
			AcceptedAt: time.UnixMilli(testExpired.AcceptedMilli + rapid.Int64Range(0, 999).Draw(t, "milli")),
		}
		if given := drawText(t); given != "" {
			event.ID = given
		}
		x.Add(event)
		ref.Sequence += rapid.Uint64Range(1, 300).Draw(t, "step")
	}
	return x
}

// encodeAttempt is a block of one row.
func encodeAttempt(a engine.Attempt) []byte {
	w := newBlockWriter()
	w.write(&a)
	return w.finish()
}

func drawAttempt(t *rapid.T) engine.Attempt {
	return engine.Attempt{
		Subscription: "sub_a", Key: testKey, Number: 4, StartedAt: drawTime(t), Duration: drawDuration(t),
		Outcome: engine.Outcome(drawText(t)), Status: drawCount(t), Error: drawText(t), Excerpt: drawText(t), TraceID: drawText(t),
	}
}
