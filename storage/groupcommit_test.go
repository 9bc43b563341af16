package storage

import (
	"bytes"
	"testing"

	"pannier/engine"
)

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

// A group that was joined from others is the one that would have been encoded.
func TestGroupJoin(t *testing.T) {
	t.Parallel()
	const records = 40
	var want, got, part group
	for n := uint64(1); n <= records; n++ {
		event := &engine.Event{Topic: "a", Data: make([]byte, 10_000), Revision: 100 - n}
		want.add(engine.Record{Event: event}, 7, n, n-1, signed(n))
		part.add(engine.Record{Event: event}, 7, n, n-1, signed(n))
		if n%15 == 0 || n == records { // 150 kB have two marks, the last 100 kB one
			got.join(part)
			got.join(group{})
			part = group{}
		}
	}
	if got.summary != want.summary || got.records != want.records || !bytes.Equal(got.frames, want.frames) {
		t.Errorf("got %+v, %d records, %d bytes, want %+v, %d, %d", got.summary, got.records, len(got.frames), want.summary, want.records, len(want.frames))
	}
	if len(got.marks) != 5 {
		t.Errorf("got %d marks, want 5", len(got.marks))
	}
	for _, m := range got.marks {
		if h := parseFrameHeader(got.frames[m.offset:]); h.sequence != m.sequence || m.at != signed(m.sequence) {
			t.Errorf("mark %+v points to sequence %d", m, h.sequence)
		}
	}
}
