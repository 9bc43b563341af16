package main

import (
	"context"
	"crypto/sha256"
	"time"

	"pannier/engine"
)

// compareKeysEvery is how often a member asks the others for API keys that it does not know, and
// for those that were revoked while it was away.
const compareKeysEvery = 5 * time.Second

// ShareKey implements engine.Members.
func (c *clustered) ShareKey(ctx context.Context, key engine.APIKey) {
	_, _ = askAll[all](ctx, c, callPutKeys, []engine.APIKey{key}) // who does not answer compares later
}

// compareKeys keeps the API keys of this member like those of the others, until it stops.
func (c *clustered) compareKeys() {
	ticker := time.NewTicker(compareKeysEvery)
	defer ticker.Stop()
	for {
		for _, m := range c.node.View().Members() {
			if string(m.ID) == c.member.folder.Member() {
				continue
			}
			keys, err := ask[[]engine.APIKey](context.Background(), c, m.ID, callKeys, sumOfKeys(c.member.engine.AllKeys()))
			if err == nil {
				err = c.member.engine.MergeKeys(keys)
			}
			if err != nil {
				c.logger.Debug("API keys were not compared", "member", string(m.ID), "error", err)
			}
		}
		select {
		case <-ticker.C:
		case <-c.stopped:
			return
		}
	}
}

// sumOfKeys sums keys up, and which of them are revoked.
func sumOfKeys(keys []engine.APIKey) [sha256.Size]byte {
	h := sha256.New()
	for _, key := range keys {
		h.Write([]byte(key.ID))
		h.Write([]byte{0})
		h.Write([]byte(key.Role))
		h.Write([]byte{0})
	}
	return [sha256.Size]byte(h.Sum(nil))
}
