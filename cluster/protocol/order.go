package protocol

import (
	"cmp"
	"maps"
	"slices"
)

// A member must decide the same from the same inputs, or no run of a simulation could be
// repeated: maps are gone through in order of their keys wherever the order shows.

func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, key := range sortedKeys(m) {
		values = append(values, m[key])
	}
	return values
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func sortedPairs[V any](m map[pairs]V) []pairs {
	return slices.SortedFunc(maps.Keys(m), pairs.compare)
}

// of gives the inner map of a key, which it makes when there is none.
func of[K comparable, V any](m map[K]map[uint64]V, key K) map[uint64]V {
	if m[key] == nil {
		m[key] = make(map[uint64]V)
	}
	return m[key]
}

// remove takes one sequence out, and the inner map with the last.
func remove[K comparable, V any](m map[K]map[uint64]V, key K, sequence uint64) {
	delete(m[key], sequence)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}
