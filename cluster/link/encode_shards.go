package link

import (
	"pannier/cluster/protocol"
	"pannier/engine"
)

// Messages about the retry state of shards.

// leastEntryBytes and leastSumBytes are the least that these take in a list.
const (
	leastEntryBytes = 1 + 1 + 1 + 8 + 1
	leastSumBytes   = 1 + 1 + 8
)

func writeGroup(w *writer, m *protocol.Group) {
	w.uint(m.Token)
	w.natural(m.Shard)
	writeList(w, m.Entries, (*writer).entry)
}

func readGroup(r *reader, m *protocol.Group) {
	m.Token = r.uint()
	m.Shard = r.shard()
	m.Entries = readList(r, leastEntryBytes, (*reader).entry)
}

func writeGroupStored(w *writer, m *protocol.GroupStored) { w.uint(m.Token) }
func readGroupStored(r *reader, m *protocol.GroupStored)  { m.Token = r.uint() }

func writeShardAsk(w *writer, m *protocol.ShardAsk) { writeList(w, m.Shards, (*writer).natural) }
func readShardAsk(r *reader, m *protocol.ShardAsk)  { m.Shards = readList(r, 1, (*reader).shard) }

func writeShardDigest(w *writer, m *protocol.ShardDigest) { writeList(w, m.Sums, (*writer).shardSum) }

func readShardDigest(r *reader, m *protocol.ShardDigest) {
	m.Sums = readList(r, leastSumBytes, (*reader).shardSum)
}

func (w *writer) shardSum(s protocol.ShardSum) {
	w.natural(s.Shard)
	w.natural(s.Sum.Count)
	w.fixed64(s.Sum.Hash)
}

func (r *reader) shardSum() protocol.ShardSum {
	return protocol.ShardSum{Shard: r.shard(), Sum: protocol.Sum{Count: r.natural(), Hash: r.fixed64()}}
}

func writeShardSame(w *writer, m *protocol.ShardSame) {
	writeList(w, m.Shards, (*writer).natural)
	writeList(w, m.Released, (*writer).natural)
}

func readShardSame(r *reader, m *protocol.ShardSame) {
	m.Shards = readList(r, 1, (*reader).shard)
	m.Released = readList(r, 1, (*reader).shard)
}

func writeShardEntries(w *writer, m *protocol.ShardEntries) {
	w.natural(m.Shard)
	writeList(w, m.Entries, (*writer).entry)
	w.bool(m.Last)
}

func readShardEntries(r *reader, m *protocol.ShardEntries) {
	m.Shard = r.shard()
	m.Entries = readList(r, leastEntryBytes, (*reader).entry)
	m.Last = r.bool()
}

// shard refuses numbers that no shard has, so that whatever is kept by shard may be an array.
func (r *reader) shard() int {
	shard := r.natural()
	if shard >= engine.Shards {
		r.fail("no such shard")
		return 0
	}
	return shard
}

// entry keeps apart what an entry's value is: nil, a tombstone, or empty.
func (w *writer) entry(e engine.Entry) {
	w.byte(byte(e.Kind))
	w.subscriptionID(e.Subscription)
	w.string(e.Key)
	w.fixed64(uint64(e.Stamp))
	w.bool(e.Value != nil)
	if e.Value != nil {
		w.bytes(e.Value)
	}
}

func (r *reader) entry() engine.Entry {
	e := engine.Entry{
		EntryKey: engine.EntryKey{Kind: engine.EntryKind(r.byte()), Subscription: r.subscriptionID(), Key: r.string()},
		Stamp:    engine.Stamp(r.fixed64()),
	}
	if r.bool() {
		if e.Value = r.bytes(); e.Value == nil {
			e.Value = []byte{}
		}
	}
	return e
}
