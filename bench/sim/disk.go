package main

import (
	"maps"
	"slices"
	"time"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// content is what a disk holds.
type content struct {
	boot     uint64
	salt     uint16
	journals map[engine.JournalID]*journal
	entries  map[int]map[engine.EntryKey]engine.Entry
	versions map[engine.SubscriptionID][]*engine.Subscription
}

func newContent() *content {
	return &content{
		journals: make(map[engine.JournalID]*journal),
		entries:  make(map[int]map[engine.EntryKey]engine.Entry),
		versions: make(map[engine.SubscriptionID][]*engine.Subscription),
	}
}

// journal is a journal, or a copy of one. Records are written once, so journals may share
// them.
type journal struct {
	ref     protocol.JournalRef
	base    uint64
	records []record // the first has sequence base
	release uint64
	state   []byte
}

// record is one accepted event.
type record struct {
	event    uint32 // its number in the world
	revision uint64 // of the table it was matched with
	damaged  bool   // it cannot be read
}

func (j *journal) next() uint64 { return j.base + uint64(len(j.records)) }

func (j *journal) get(sequence uint64) (record, bool) {
	if sequence < j.base || sequence >= j.next() {
		return record{}, false
	}
	r := j.records[sequence-j.base]
	return r, !r.damaged
}

// damage is the last sequence from one on that cannot be read; 0: all can.
func (j *journal) damage(from uint64) uint64 {
	for sequence := j.next() - 1; sequence >= max(from, j.base); sequence-- {
		if _, found := j.get(sequence); !found {
			return sequence
		}
	}
	return 0
}

// behind is the first sequence from one on that can be read, or where the journal ends.
func (j *journal) behind(sequence uint64) uint64 {
	for sequence = max(sequence, j.base); sequence < j.next(); sequence++ {
		if _, found := j.get(sequence); found {
			break
		}
	}
	return sequence
}

// clone is a copy of the disk as a backup would make it.
func (c *content) clone() *content {
	b := newContent()
	b.boot, b.salt = c.boot, c.salt
	for id, j := range c.journals {
		copied := *j
		copied.records = slices.Clip(j.records)
		b.journals[id] = &copied
	}
	for shard, entries := range c.entries {
		b.entries[shard] = maps.Clone(entries)
	}
	for id, versions := range c.versions {
		b.versions[id] = slices.Clone(versions)
	}
	return b
}

// put merges an entry by the rule that every member keeps.
func (c *content) put(shard int, e engine.Entry) {
	if c.entries[shard] == nil {
		c.entries[shard] = make(map[engine.EntryKey]engine.Entry)
	}
	before, known := c.entries[shard][e.EntryKey]
	if !known || e.Wins(&before) {
		c.entries[shard][e.EntryKey] = e
	}
}

// list gives the entries of a shard in one order.
func (c *content) list(shard int) []engine.Entry {
	entries := slices.Collect(maps.Values(c.entries[shard]))
	slices.SortFunc(entries, compareEntries)
	return entries
}

// disk makes writes durable one after the other, some time after they were given. A crash
// loses what was not durable, or tears: some of it may have got there.
type disk struct {
	world   *world
	index   int // of its member
	content *content
	pending []*operation
	running bool
	broken  bool // a life ended: what was pending does not call back
}

type operation struct {
	apply func(*content)
	then  func()
}

// do queues a write, or a read, which sees every write before it.
func (d *disk) do(apply func(*content), then func()) {
	d.pending = append(d.pending, &operation{apply: apply, then: then})
	if !d.running {
		d.running = true
		d.run()
	}
}

// run performs what is pending after the time a sync takes, all of it at once.
func (d *disk) run() {
	d.world.on(track{onDisk, 0, d.index}, d.world.between(200*time.Microsecond, 4*time.Millisecond), func() {
		if d.broken {
			return
		}
		group := d.pending
		d.pending = nil
		for _, op := range group {
			op.apply(d.content)
		}
		for _, op := range group {
			if op.then != nil && !d.broken {
				op.then()
			}
		}
		if d.running = len(d.pending) > 0; d.running && !d.broken {
			d.run()
		}
	})
}

// crash ends the life of the process: so much of what was pending, from its beginning, is there.
func (d *disk) crash(there int) *disk {
	d.broken = true
	for _, op := range d.pending[:there] {
		op.apply(d.content)
	}
	return &disk{world: d.world, index: d.index, content: d.content}
}
