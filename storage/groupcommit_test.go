package storage

import "testing"

// A buffer that grew large is kept while groups use it and given back by one that does not.
func TestGroupEmptied(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		length, backed int
		want           int
	}{
		{"small", 100, maxSpareBytes, maxSpareBytes},
		{"large and used", 2 * maxSpareBytes / spareShare, 2 * maxSpareBytes, 2 * maxSpareBytes},
		{"large and hardly used", 2*maxSpareBytes/spareShare - 1, 2 * maxSpareBytes, 0},
	} {
		g := group{frames: make([]byte, test.length, test.backed), dones: []func(){func() {}}}
		next := g.emptied()
		if got := cap(next.frames); got != test.want || len(next.frames) != 0 {
			t.Errorf("%s: got %d bytes of %d, want none of %d", test.name, len(next.frames), got, test.want)
		}
		if test.want > 0 && (len(next.dones) != 0 || g.dones[0] != nil) {
			t.Errorf("%s: what was called is still held", test.name)
		}
	}
}
