package main

import "testing"

// TestMemoryLimit: a small heap has a fixed limit, which a moment's growth does not raise; a large
// one has nearly what the collector gives it; and every heap has room.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		live []int64 // MiB
		want int64
	}{
		{"a small heap", []int64{9}, 128},
		{"one that just fits", []int64{84}, 128},
		{"a table of the history", []int64{50, 60, 100}, 128},
		{"as much for long", []int64{100, 101, 100}, 160},
		{"a large heap", []int64{2048, 2048}, 4056},
		{"sudden growth", []int64{50, 60, 400}, 424},
		{"what was large is small", []int64{400, 50}, 128},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			live := make([]int64, len(tt.live))
			for n, mib := range tt.live {
				live[n] = mib << 20
			}
			if got := memoryLimit(live) >> 20; got != tt.want {
				t.Errorf("memoryLimit(%v) = %d MiB, want %d", tt.live, got, tt.want)
			}
		})
	}
}
