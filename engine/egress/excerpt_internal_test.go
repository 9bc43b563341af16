package egress

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"pannier/engine"
)

func TestExcerpt(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", engine.MaxResponseBody)
	tests := []struct{ name, raw, want string }{
		{"empty", "", ""},
		{"plain", `{"ok":true}`, `{"ok":true}`},
		{"letters beyond ASCII", "vélo 自転車 🚲", "vélo 自転車 🚲"},
		{"white space", "a\r\nb\tc\u2028d", "a  b c d"},
		{"terminal escape", "\x1b[31mred\x1b]0;title\x07", "�[31mred�]0;title�"},
		{"C1 control", "\u009b31m", "�31m"},
		{"zero byte and delete", "a\x00b\x7f", "a�b�"},
		{"direction mark", "a\u202eb", "a�b"},
		{"not UTF-8", "a\xffb\xc3(", "a�b�("},
		{"cut at the end", "a\xc3", "a"},
		{"longest", longest, longest},
		{"one past it", longest + "b", longest},
		{"character across the bound", longest[1:] + "é", longest[1:]},
		{"replacements grow", strings.Repeat("\xff", engine.MaxResponseBody), strings.Repeat("�", engine.MaxResponseBody/3)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := excerpt([]byte(test.raw)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestExcerptIsSafe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 0, drainBytes).Draw(t, "raw")
		got := excerpt(raw)
		if len(got) > engine.MaxResponseBody || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, valid %t", len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("holds %U", r)
			}
		}
	})
}
