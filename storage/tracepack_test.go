package storage

import (
	"strings"
	"testing"
)

func TestTraceIsPacked(t *testing.T) {
	t.Parallel()
	const text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tests := []struct {
		name, text string
		want       bool
	}{
		{"as it should be", text, true},
		{"not sampled", strings.TrimSuffix(text, "1") + "0", true},
		{"none", "", false},
		{"another version", "01" + text[2:], false},
		{"upper case", strings.ToUpper(text), false},
		{"one upper case letter", strings.Replace(text, "af", "aF", 1), false},
		{"no hexadecimal", strings.Replace(text, "af", "ag", 1), false},
		{"no dash", strings.Replace(text, "-b7", "0b7", 1), false},
		{"longer", text + "-", false},
		{"shorter", text[:54], false},
	}
	for _, test := range tests {
		packed, got := packTrace(test.text)
		if got != test.want || (got && unpackTrace(packed[:]) != test.text) {
			t.Errorf("%s: packed is %v, want %v; unpacked %q", test.name, got, test.want, unpackTrace(packed[:]))
		}
	}
}
