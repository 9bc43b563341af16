package engine

import "testing"

func TestEventSampled(t *testing.T) {
	t.Parallel()
	const ids = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	for _, test := range []struct {
		parent string
		want   bool
	}{
		{"", false},
		{ids + "01", true},
		{ids + "00", false},
		{ids + "03", true},
		{ids + "0f", true},
		{ids + "02", false},
		{ids + "0", false},
		{ids + "0x", false},
		{"01" + ids[2:] + "01-later", true},
	} {
		event := Event{TraceParent: test.parent}
		if got := event.Sampled(); got != test.want {
			t.Errorf("%q: got %v, want %v", test.parent, got, test.want)
		}
	}
}
