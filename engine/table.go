package engine

import (
	"cmp"
	"slices"
	"sync"

	"pannier/engine/match"
)

// Handle names a subscription on this member: small, never used again.
type Handle uint32

// Table is every subscription of the member in memory: the latest versions, an index by
// topic, and the superseded versions that retained events were matched with. Safe for
// concurrent use.
//
// Each change makes a new revision of the whole table. An event carries the revision it was
// matched with, so that recovery, a cursor and the reconciliation feed match it again with
// the very same versions.
type Table struct {
	mu       sync.RWMutex
	revision uint64
	index    match.Index
	latest   []*Subscription // by handle
	handles  map[SubscriptionID]Handle
	// superseded holds the earlier versions of the few subscriptions that have some, in order
	// of revision.
	superseded map[Handle][]*Subscription
	live       int
}

// NewTable builds the table from stored versions in order of revision.
func NewTable(versions []*Subscription) *Table {
	t := &Table{
		handles:    make(map[SubscriptionID]Handle, len(versions)),
		superseded: make(map[Handle][]*Subscription),
	}
	for _, v := range versions {
		t.Apply(v)
	}
	return t
}

// Apply puts a version in force, unless a later one of its subscription is: then it is kept
// among the superseded ones, for the events that were matched with it.
func (t *Table) Apply(version *Subscription) Handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revision = max(t.revision, version.Revision)
	handle, known := t.handles[version.ID]
	if !known {
		handle = Handle(len(t.latest)) //nolint:gosec // a member holds far fewer than 2^32
		t.handles[version.ID] = handle
		t.latest = append(t.latest, nil)
	}
	before := t.latest[handle]
	if before != nil && before.Revision >= version.Revision {
		t.keepSuperseded(handle, version)
		return handle
	}
	if before != nil {
		t.unindex(before, handle)
		t.superseded[handle] = append(t.superseded[handle], before)
	}
	t.latest[handle] = version
	if version.Enabled && !version.Deleted {
		for _, p := range version.Topics {
			t.index.Add(version.Tenant, p, uint32(handle))
		}
	}
	t.live += liveCount(version) - liveCount(before)
	return handle
}

// keepSuperseded puts a version that came late at its place.
func (t *Table) keepSuperseded(handle Handle, version *Subscription) {
	versions := t.superseded[handle]
	at, known := slices.BinarySearchFunc(versions, version.Revision, func(v *Subscription, revision uint64) int {
		return cmp.Compare(v.Revision, revision)
	})
	if !known && version.Revision != t.latest[handle].Revision {
		t.superseded[handle] = slices.Insert(versions, at, version)
	}
}

// Each calls visit with the latest version of every subscription, deleted ones included. It
// must not call the table.
func (t *Table) Each(visit func(*Subscription)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, version := range t.latest {
		visit(version)
	}
}

func (t *Table) unindex(version *Subscription, handle Handle) {
	if version.Enabled && !version.Deleted {
		for _, p := range version.Topics {
			t.index.Remove(version.Tenant, p, uint32(handle))
		}
	}
}

func liveCount(v *Subscription) int {
	if v == nil || v.Deleted {
		return 0
	}
	return 1
}

// Revision is the revision of the latest change.
func (t *Table) Revision() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.revision
}

// Len counts the subscriptions that are not deleted.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.live
}

// Match appends to dst the handles an event is for now, and says by which revision.
func (t *Table) Match(topic, tenant string, dst []uint32) (handles []uint32, revision uint64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.index.Match(topic, tenant, dst), t.revision
}

// MatchAt appends the handles that event was for at its revision.
func (t *Table) MatchAt(event *Event, dst []uint32) []uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if event.Directed != "" {
		if handle, known := t.handles[event.Directed]; known && !t.latest[handle].Deleted {
			dst = append(dst, uint32(handle))
		}
		return dst
	}
	candidates := t.index.Match(event.Topic, event.Tenant, nil)
	for _, handle := range candidates {
		if _, changed := t.superseded[Handle(handle)]; !changed && t.latest[handle].Revision <= event.Revision {
			dst = append(dst, handle)
		}
	}
	for handle := range t.superseded {
		v := t.versionAt(handle, event.Revision)
		if v != nil && v.Matches(event.Topic, event.Tenant) && !t.latest[handle].Deleted {
			dst = append(dst, uint32(handle))
		}
	}
	return dst
}

// WasFor tells whether event was for a subscription, by the version in force at its
// accept.
func (t *Table) WasFor(event *Event, id SubscriptionID) bool {
	if event.Directed != "" {
		return event.Directed == id
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	handle, known := t.handles[id]
	if !known {
		return false
	}
	v := t.versionAt(handle, event.Revision)
	return v != nil && v.Matches(event.Topic, event.Tenant)
}

func (t *Table) versionAt(handle Handle, revision uint64) *Subscription {
	if v := t.latest[handle]; v.Revision <= revision {
		return v
	}
	for _, v := range slices.Backward(t.superseded[handle]) {
		if v.Revision <= revision {
			return v
		}
	}
	return nil
}

// Handle finds the handle of a subscription that is not deleted.
func (t *Table) Handle(id SubscriptionID) (Handle, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	handle, known := t.handles[id]
	return handle, known && !t.latest[handle].Deleted
}

// Latest is the version in force; deleted ones are returned too.
func (t *Table) Latest(handle Handle) *Subscription {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.latest[handle]
}

// Get finds the version in force of a subscription that is not deleted.
func (t *Table) Get(id SubscriptionID) (*Subscription, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	handle, known := t.handles[id]
	if !known || t.latest[handle].Deleted {
		return nil, false
	}
	return t.latest[handle], true
}

// Known finds a subscription, deleted ones included.
func (t *Table) Known(id SubscriptionID) (Handle, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	handle, known := t.handles[id]
	return handle, known
}

// List gives up to limit subscriptions after one (nil: from the first), in order of creation, that
// keep wants, and tells whether there are more. The order is the same on every member of a
// cluster and in every life of one, which handles are not.
func (t *Table) List(after *Subscription, limit int, keep func(*Subscription) bool) (page []*Subscription, more bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, v := range t.latest {
		if v.Deleted || (after != nil && compareCreation(v, after) <= 0) || !keep(v) {
			continue
		}
		if len(page) > limit && compareCreation(v, page[limit]) > 0 {
			continue // handles are mostly in order: few others come here
		}
		at, _ := slices.BinarySearchFunc(page, v, compareCreation)
		page = slices.Insert(page, at, v)
		page = page[:min(len(page), limit+1)]
	}
	return page[:min(len(page), limit)], len(page) > limit
}

func compareCreation(a, b *Subscription) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// Forget drops the superseded versions that no event of revision `oldest` or later was
// matched with, and returns them for removal from the state.
func (t *Table) Forget(oldest uint64) []*Subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gone []*Subscription
	for handle, versions := range t.superseded {
		keep := 0
		for keep < len(versions) && t.endOf(handle, versions, keep) <= oldest {
			keep++
		}
		gone = append(gone, versions[:keep]...)
		if keep == len(versions) {
			delete(t.superseded, handle)
		} else {
			t.superseded[handle] = slices.Clone(versions[keep:])
		}
	}
	return gone
}

// endOf is the revision that ended version i.
func (t *Table) endOf(handle Handle, versions []*Subscription, i int) uint64 {
	if i+1 < len(versions) {
		return versions[i+1].Revision
	}
	return t.latest[handle].Revision
}
