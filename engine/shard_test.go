package engine_test

import (
	"math/bits"
	"strconv"
	"testing"

	"pannier/engine"
)

func TestShardOfIsBalanced(t *testing.T) {
	t.Parallel()
	ids := map[string]func(i int) engine.SubscriptionID{
		"random":     func(int) engine.SubscriptionID { return engine.NewSubscriptionID() },
		"sequential": func(i int) engine.SubscriptionID { return engine.SubscriptionID("sub_" + strconv.Itoa(i)) },
	}
	const perShard = 200
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var counts [engine.Shards]int
			for i := range perShard * engine.Shards {
				counts[engine.ShardOf(id(i))]++
			}
			// Six standard deviations of a fair draw.
			for shard, got := range counts {
				if got < perShard-85 || got > perShard+85 {
					t.Errorf("shard %d holds %d of about %d", shard, got, perShard)
				}
			}
		})
	}
}

func TestShardOfChangesWithEveryBit(t *testing.T) {
	t.Parallel()
	changed, trials := 0, 0
	for i := range 500 {
		id := []byte("sub_0000000000000" + strconv.Itoa(1_000_000+i))
		before := engine.ShardOf(engine.SubscriptionID(id))
		for bit := range len(id) * 8 {
			id[bit/8] ^= 1 << (bit % 8)
			changed += bits.OnesCount(uint(before ^ engine.ShardOf(engine.SubscriptionID(id))))
			id[bit/8] ^= 1 << (bit % 8)
			trials += 10
		}
	}
	if share := float64(changed) / float64(trials); share < 0.45 || share > 0.55 {
		t.Errorf("one flipped bit flips %.3f of the shard's bits, want about half", share)
	}
}

func TestShardOfNeverChanges(t *testing.T) {
	t.Parallel()
	// Keys on disk begin with these: another value would lose what is stored.
	for id, want := range map[engine.SubscriptionID]int{
		"":                         82,
		"sub_00000000000000000000": 404,
		"sub_v0v0v0v0v0v0v0v0v0v0": 473,
	} {
		if got := engine.ShardOf(id); got != want {
			t.Errorf("ShardOf(%q) = %d, want %d", id, got, want)
		}
	}
}
