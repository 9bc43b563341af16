package main

import (
	"cmp"
	"maps"
	"slices"

	"pannier/cluster/placement"
	"pannier/engine"
)

// Maps are gone through in order wherever the order shows, so that a seed gives one run.

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func sortedInts[V any](m map[int]V) []int { return sortedKeys(m) }

func sortedIDs[V any](m map[placement.MemberID]V) []placement.MemberID { return sortedKeys(m) }

func sortedJournals[V any](m map[engine.JournalID]V) []engine.JournalID { return sortedKeys(m) }

func sortedSubs[V any](m map[engine.SubscriptionID]V) []engine.SubscriptionID { return sortedKeys(m) }

func sortedHandles[V any](m map[uint32]V) []uint32 { return sortedKeys(m) }

func compareEntries(a, b engine.Entry) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Key, b.Key),
	)
}

// allVersions lists every version on the disk in order of revision.
func (c *content) allVersions() (all []*engine.Subscription) {
	for _, id := range sortedSubs(c.versions) {
		all = append(all, c.versions[id]...)
	}
	slices.SortStableFunc(all, func(a, b *engine.Subscription) int { return cmp.Compare(a.Revision, b.Revision) })
	return all
}
