package engine

// Shards is the number of shards of a cluster. It never changes: keys in the state begin
// with the shard of their subscription.
const Shards = 1024

// ShardOf is the shard of a subscription, in [0, Shards): FNV-1a over 64 bits, and one
// round of mixing because the low bits of FNV alone depend too much on the last byte.
func ShardOf(id SubscriptionID) int {
	const (
		offset = 14695981039346656037
		prime  = 1099511628211
		mix    = 0xff51afd7ed558ccd // first constant of MurmurHash3's finalizer
	)
	hash := uint64(offset)
	for i := range len(id) {
		hash = (hash ^ uint64(id[i])) * prime
	}
	hash = (hash ^ hash>>33) * mix
	return int((hash ^ hash>>33) % Shards)
}
