package engine_test

import (
	"testing"

	"pannier/engine"
)

// TestReleaseIsWhereTheFirstLags finds from where on a journal is needed.
func TestReleaseIsWhereTheFirstLags(t *testing.T) {
	t.Parallel()
	lags := func(from ...uint64) engine.Cursor {
		var c engine.Cursor
		for _, f := range from {
			c.Ranges = append(c.Ranges, engine.Range{From: f})
		}
		return c
	}
	for _, c := range []struct {
		name    string
		cursors []engine.Cursor
		want    uint64
	}{
		{"nobody lags", nil, 40},
		{"a cursor without ranges", []engine.Cursor{lags()}, 40},
		{"one lags behind the watermark", []engine.Cursor{lags(50), lags(30)}, 30},
		{"the earliest of several ranges", []engine.Cursor{lags(35, 12), lags(20)}, 12},
		{"a cursor past the watermark", []engine.Cursor{lags(41)}, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mark := engine.Watermark{Sequence: 40}
			if got := mark.Release(c.cursors); got != c.want {
				t.Errorf("the journal is needed from %d on, want %d", got, c.want)
			}
		})
	}
}
