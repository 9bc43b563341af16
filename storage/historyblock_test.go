package storage

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
)

// Whatever is written in one flush is found again where it is looked for, once.
func TestBlocksHoldWhatWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.SliceOf(rapid.Custom(func(t *rapid.T) engine.Attempt {
			a := drawAttempt(t)
			a.Subscription = engine.SubscriptionID(fmt.Sprint("sub_", rapid.IntRange(0, 40).Draw(t, "subscription")))
			a.Key.Event.Sequence = rapid.Uint64Range(0, 3*blockEvents).Draw(t, "sequence")
			return a
		})).Draw(t, "attempts")
		want := make(map[historyKey][]engine.Attempt)
		for _, a := range attempts {
			key := historyKey{a.Subscription, a.Key}
			want[key] = append(want[key], a)
		}
		blocks := makeBlocks(attempts, time.Now(), 7)
		keys := make(map[string]bool)
		for _, b := range blocks {
			keys[string(b.key)] = true
		}
		if len(keys) != len(blocks) {
			t.Fatalf("%d blocks have %d keys", len(blocks), len(keys))
		}
		for key, want := range want {
			at := placeOf(key.sub, key.key)
			var got []engine.Attempt
			for _, b := range blocks {
				if !bytes.HasPrefix(b.key, at[:]) {
					continue
				}
				found, err := findAttempts(b.value, key.sub, key.key)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, found...)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
	})
}

func TestBlocksAreBounded(t *testing.T) {
	t.Parallel()
	attempts := make([]engine.Attempt, 1000)
	for i := range attempts {
		attempts[i] = engine.Attempt{Subscription: "sub_a", Excerpt: fmt.Sprintf("%0*d", engine.MaxResponseBody, i)}
	}
	blocks := makeBlocks(attempts, time.Now(), 0)
	for _, b := range blocks {
		if most := maxBlockBytes + 2*engine.MaxResponseBody; len(b.value) > most {
			t.Errorf("a block of %d bytes, want at most %d", len(b.value), most)
		}
	}
	if len(blocks) < 15 {
		t.Errorf("%d blocks for a megabyte", len(blocks))
	}
}

func TestFindAttemptsErrCutShort(t *testing.T) {
	t.Parallel()
	b := makeBlocks([]engine.Attempt{{Subscription: "sub_a", Key: testKey}}, time.Now(), 0)[0]
	for n := 1; n < len(b.value); n++ {
		if found, err := findAttempts(b.value[:n], "sub_a", testKey); err == nil {
			t.Errorf("%d of %d bytes give %+v", n, len(b.value), found)
		}
	}
}
