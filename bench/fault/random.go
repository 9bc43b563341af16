package fault

import (
	"hash/fnv"
	"math/rand/v2"
)

// newRandom is a source of its own for each purpose: what one part of the harness draws
// does not depend on how fast the others are.
func newRandom(seed uint64, purpose ...string) *rand.Rand {
	h := fnv.New64a()
	for _, part := range purpose {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(seed, h.Sum64())) //nolint:gosec // a seed must repeat the run
}
