package main

import (
	"testing"

	"pannier/bench/history"
)

func TestAMemberKnowsWhatItMade(t *testing.T) {
	t.Parallel()
	made := born{at: 10, until: 20, member: 1, topics: []string{"trip.*"}}
	after := accepted{topic: "trip.created", member: 1, from: 11, to: 12}
	got := []history.Record{{Type: history.Recv, Attempt: &history.Attempt{Name: "a", Body: `{"data":{"ref":"e"}}`}}}
	tests := []struct {
		name    string
		born    born
		event   accepted
		again   bool
		records []history.Record
		faults  []happened
		want    int
	}{
		{name: "missing", born: made, event: after, want: 1},
		{name: "attempted", born: made, event: after, records: got},
		{name: "asked before the answer", born: made, event: accepted{"trip.created", 1, 9, 12}},
		{name: "by another member", born: made, event: accepted{"trip.created", 2, 11, 12}},
		{name: "of another topic", born: made, event: accepted{"zone.entered", 1, 11, 12}},
		{name: "changed meanwhile", born: made, event: accepted{"trip.created", 1, 11, 20}},
		{name: "never changed", born: born{at: 10, member: 1, topics: []string{"*"}}, event: accepted{"zone.entered", 1, 11, 99}, want: 1},
		{name: "deleted later", born: born{at: 10, until: 20, member: 1, topics: []string{"*"}, removed: true}, event: after},
		{name: "sent twice", born: made, event: after, again: true},
		{name: "cut", born: made, event: after, faults: []happened{{kind: oneWay}}, want: 1},
		{name: "a disk is lost", born: made, event: after, faults: []happened{{kind: diskLost}}},
	}
	for _, test := range tests {
		r := &round{posted: map[string]accepted{"e": test.event}, again: map[string]bool{"e": test.again}}
		r.admin = &admin{known: []*subscription{{name: "a", born: test.born}}}
		if got := r.unread(test.records, test.faults); len(got) != test.want {
			t.Errorf("%s: %q, want %d", test.name, got, test.want)
		}
	}
}
