package members

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pannier/cluster/placement"
)

func testMeta() meta {
	return meta{
		Member: placement.Member{
			ID: "mem_1", Boot: 1 << 60, State: placement.Draining, Salt: placement.Salts, Address: "[2001:db8::1]:7947", API: "api.example:8080",
			StartedAt: time.UnixMilli(1_700_000_000_123).UTC(),
		},
		shards: 1024, format: 3,
	}
}

func TestMeta(t *testing.T) {
	t.Parallel()
	want := testMeta()
	raw := want.encode()
	if got, err := decodeMeta(raw); got != want || err != nil {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
	for n := range raw {
		if _, err := decodeMeta(raw[:n]); !errors.Is(err, errMetaShort) {
			t.Errorf("of %d bytes %d give %v, want %v", len(raw), n, err, errMetaShort)
		}
	}
	if _, err := decodeMeta(append(bytes.Clone(raw), 0)); !errors.Is(err, errMetaTrailing) {
		t.Errorf("a byte more gives %v, want %v", err, errMetaTrailing)
	}
	raw[0]++
	if _, err := decodeMeta(raw); err == nil {
		t.Error("an unknown version is read")
	}
	for _, change := range []func(*meta){
		func(m *meta) { m.State = 0 },
		func(m *meta) { m.State = placement.Draining + 1 },
		func(m *meta) { m.ID = "" },
		func(m *meta) { m.Salt = placement.Salts + 1 },
	} {
		m := testMeta()
		change(&m)
		if _, err := decodeMeta(m.encode()); !errors.Is(err, errMetaContent) {
			t.Errorf("%v gives %v, want %v", m, err, errMetaContent)
		}
	}
}

func FuzzMeta(f *testing.F) {
	f.Add(testMeta().encode())
	f.Add(meta{Member: placement.Member{ID: "a", State: placement.Joining}}.encode())
	f.Add([]byte{})
	f.Add([]byte{metaVersion + 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeMeta(raw)
		if err != nil {
			return
		}
		if got := m.encode(); !bytes.Equal(got, raw) {
			t.Errorf("got %x, want %x", got, raw)
		}
	})
}
