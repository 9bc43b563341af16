package members

import (
	"fmt"
	"slices"
	"testing"

	"pannier/cluster/placement"
)

func TestRoster(t *testing.T) {
	t.Parallel()
	life := func(id placement.MemberID, boot uint64) placement.Member {
		return placement.Member{ID: id, Boot: boot, State: placement.Active}
	}
	self := life("a", 5)
	for _, test := range []struct {
		name string
		do   func(*roster)
		want []string
	}{
		{"Alone", func(*roster) {}, []string{"a5 active"}},
		{"Comes", func(r *roster) { r.put(life("b", 1), "") }, []string{"a5 active", "b1 active"}},
		{"Goes", func(r *roster) { r.put(life("b", 1), ""); r.remove(life("b", 1)) }, []string{"a5 active"}},
		{"NeverCame", func(r *roster) { r.remove(life("b", 1)) }, []string{"a5 active"}},
		{"Newer", func(r *roster) { r.put(life("b", 1), ""); r.put(life("b", 2), "") }, []string{"a5 active", "b2 active"}},
		{"Older", func(r *roster) { r.put(life("b", 2), ""); r.put(life("b", 1), "") }, []string{"a5 active", "b2 active"}},
		{
			"OlderGoes", func(r *roster) { r.put(life("b", 1), ""); r.put(life("b", 2), ""); r.remove(life("b", 1)) },
			[]string{"a5 active", "b2 active"},
		},
		{
			"OlderAfterNewerWent", func(r *roster) { r.put(life("b", 2), ""); r.remove(life("b", 2)); r.put(life("b", 1), "") },
			[]string{"a5 active"},
		},
		{"SelfLeaves", func(r *roster) { r.put(self, ""); r.remove(self) }, []string{"a5 active"}},
		{"SelfSuperseded", func(r *roster) { r.put(self, ""); r.put(life("a", 6), "") }, []string{"a6 active"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRoster(meta{Member: self})
			test.do(r)
			if got := words(r.list()); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSeenAreBounded(t *testing.T) {
	t.Parallel()
	r := newRoster(meta{Member: placement.Member{ID: "self"}})
	r.put(placement.Member{ID: "stays"}, "its address")
	for n := range maxSeen + 1 {
		m := placement.Member{ID: placement.MemberID(fmt.Sprint(n))}
		r.put(m, "")
		r.remove(m)
	}
	got := r.addresses()
	if len(got) != maxSeen || got["stays"] != "its address" {
		t.Errorf("%d addresses, want %d with that of the one that lives (%q)", len(got), maxSeen, got["stays"])
	}
}
