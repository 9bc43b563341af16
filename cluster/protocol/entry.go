package protocol

import (
	"encoding/binary"

	"pannier/engine"

	"github.com/cespare/xxhash/v2"
)

// Sum sums a set of entries up: equal sums, equal sets.
type Sum struct {
	Count int
	Hash  uint64
}

// ShardSum is the sum of a shard.
type ShardSum struct {
	Shard int
	Sum   Sum
}

// SumOf sums entries up, in any order.
func SumOf(entries []engine.Entry) (s Sum) {
	for i := range entries {
		s.Count++
		s.Hash ^= hashOf(&entries[i])
	}
	return s
}

func hashOf(e *engine.Entry) uint64 {
	b := append(make([]byte, 0, 128), byte(e.Kind))
	b = append(append(b, e.Subscription...), 0)
	b = append(append(b, e.Key...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Stamp))
	return xxhash.Sum64(b)
}
