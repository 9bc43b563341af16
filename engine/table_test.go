package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
	"pannier/engine/match"
)

// TestTableIsTheSameInAnyOrder: versions of several members come in any order, some twice; the
// latest is in force, and an event is matched with those of its revision.
func TestTableIsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		topics := []match.Pattern{"a", "b", "*"}
		var versions []*engine.Subscription
		for revision := range rapid.IntRange(1, 20).Draw(t, "versions") {
			versions = append(versions, &engine.Subscription{
				ID: rapid.SampledFrom([]engine.SubscriptionID{"sub_1", "sub_2", "sub_3"}).Draw(t, "id"), Tenant: "default",
				Revision: uint64(revision + 1), Enabled: rapid.Bool().Draw(t, "enabled"), Deleted: rapid.IntRange(0, 4).Draw(t, "deleted") == 0,
				Topics: []match.Pattern{rapid.SampledFrom(topics).Draw(t, "topic")},
			})
		}
		inOrder := engine.NewTable(versions)
		shuffled := rapid.Permutation(slices.Concat(versions, versions)).Draw(t, "order")
		anyOrder := engine.NewTable(shuffled)
		if inOrder.Len() != anyOrder.Len() || inOrder.Revision() != anyOrder.Revision() {
			t.Fatalf("%d subscriptions at %d, want %d at %d", anyOrder.Len(), anyOrder.Revision(), inOrder.Len(), inOrder.Revision())
		}
		for revision := range inOrder.Revision() + 1 {
			for _, topic := range []string{"a", "b", "c"} {
				event := &engine.Event{Topic: topic, Revision: revision}
				if got, want := ids(anyOrder, event), ids(inOrder, event); !slices.Equal(got, want) {
					t.Fatalf("%s at %d is for %v, want %v", topic, revision, got, want)
				}
			}
		}
		seen := 0
		anyOrder.Each(func(v *engine.Subscription) {
			seen++
			if other, found := inOrder.Get(v.ID); found == v.Deleted || (found && other.Revision != v.Revision) {
				t.Fatalf("%s is at %d, deleted %v, against %+v", v.ID, v.Revision, v.Deleted, other)
			}
		})
		if known := len(slices.Compact(slices.Sorted(idsOf(versions)))); seen != known {
			t.Fatalf("Each visited %d subscriptions, want %d", seen, known)
		}
	})
}

func idsOf(versions []*engine.Subscription) func(func(engine.SubscriptionID) bool) {
	return func(yield func(engine.SubscriptionID) bool) {
		for _, v := range versions {
			if !yield(v.ID) {
				return
			}
		}
	}
}

func ids(table *engine.Table, event *engine.Event) (ids []engine.SubscriptionID) {
	for _, handle := range table.MatchAt(event, nil) {
		ids = append(ids, table.Latest(engine.Handle(handle)).ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestListIsInOrderOfCreation: page after page gives every subscription that is wanted once, in the
// same order whatever the order in which the versions came.
func TestListIsInOrderOfCreation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var versions, want []*engine.Subscription
		at := time.Unix(1_700_000_000, 0)
		for n := range rapid.IntRange(0, 30).Draw(t, "subscriptions") {
			at = at.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "later")) * time.Millisecond)
			v := &engine.Subscription{
				ID: engine.SubscriptionID(fmt.Sprintf("sub_%02d", n)), CreatedAt: at, Revision: uint64(n + 1),
				Deleted: rapid.IntRange(0, 4).Draw(t, "deleted") == 0, Enabled: rapid.Bool().Draw(t, "enabled"),
			}
			versions = append(versions, v)
			if v.Enabled && !v.Deleted {
				want = append(want, v)
			}
		}
		wanted := func(v *engine.Subscription) bool { return v.Enabled }
		limit := rapid.IntRange(1, 9).Draw(t, "limit")
		var got []*engine.Subscription
		var last *engine.Subscription
		for more := true; more; { // every page may come from another member
			var page []*engine.Subscription
			page, more = engine.NewTable(rapid.Permutation(versions).Draw(t, "order")).List(last, limit, wanted)
			if got = append(got, page...); more && len(page) != limit {
				t.Fatalf("a page of %d is followed by more, want %d", len(page), limit)
			}
			if len(page) > 0 {
				last = page[len(page)-1]
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("listed %v, want %v", got, want)
		}
	})
}
