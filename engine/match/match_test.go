package match_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pannier/engine/match"
)

func TestParseTopic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		topic string
		want  bool
	}{
		{"plain", "trip.created", true},
		{"the platform's spelling", "vehicule.position.forbidden", true},
		{"one segment", "a", true},
		{"128 bytes", strings.Repeat("a", 128), true},
		{"129 bytes", strings.Repeat("a", 129), false},
		{"16 segments", strings.Repeat("a.", 15) + "a", true},
		{"17 segments", strings.Repeat("a.", 16) + "a", false},
		{"empty", "", false},
		{"leading dot", ".a", false},
		{"trailing dot", "a.", false},
		{"double dot", "a..b", false},
		{"space", "a b", false},
		{"star", "a.*", false},
		{"letter outside ASCII", "é", false},
		{"NUL", "a\x00", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := match.ParseTopic(tt.topic) == nil; got != tt.want {
				t.Errorf("ParseTopic(%q) ok = %v, want %v", tt.topic, got, tt.want)
			}
		})
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, topic string
		want           bool
	}{
		{"*", "trip.created", true},
		{"trip.created", "trip.created", true},
		{"trip.created", "trip.createdx", false},
		{"trip.*", "trip.created", true},
		{"trip.*", "trip.created.late", true},
		{"trip.*", "trip", false},
		{"trip.*", "trips.created", false},
	}
	for _, tt := range tests {
		p, err := match.ParsePattern(tt.pattern)
		if err != nil {
			t.Fatalf("ParsePattern(%q): %v", tt.pattern, err)
		}
		if got := p.Matches(tt.topic); got != tt.want {
			t.Errorf("%q matches %q = %v, want %v", tt.pattern, tt.topic, got, tt.want)
		}
	}
	for _, wrong := range []string{"", "**", "*.created", "trip.*.late", "trip*", ".*", "trip.**", "trip..*"} {
		if _, err := match.ParsePattern(wrong); err == nil {
			t.Errorf("ParsePattern(%q) was accepted", wrong)
		}
	}
}

// The index against looking at every pattern.
func TestIndexFindsWhatPatternsMatch(t *testing.T) {
	t.Parallel()
	type entry struct {
		tenant  string
		pattern match.Pattern
		handle  uint32
	}
	rapid.Check(t, func(t *rapid.T) {
		var index match.Index
		entries := map[entry]bool{}
		draw := rapid.Custom(func(t *rapid.T) entry {
			return entry{
				rapid.SampledFrom([]string{"nantes", "lyon"}).Draw(t, "tenant"),
				match.Pattern(rapid.SampledFrom([]string{"*", "a", "a.*", "a.b", "a.b.*", "b.*"}).Draw(t, "pattern")),
				rapid.Uint32Range(0, 8).Draw(t, "handle"),
			}
		})
		for range rapid.IntRange(0, 40).Draw(t, "changes") {
			e := draw.Draw(t, "entry")
			if rapid.Bool().Draw(t, "add") {
				index.Add(e.tenant, e.pattern, e.handle)
				entries[e] = true
			} else {
				index.Remove(e.tenant, e.pattern, e.handle)
				delete(entries, e)
			}
		}
		topic := rapid.SampledFrom([]string{"a", "b", "a.b", "a.c", "a.b.c", "b.b"}).Draw(t, "topic")
		tenant := rapid.SampledFrom([]string{"", "nantes", "lyon"}).Draw(t, "for")
		var want []uint32
		for e := range entries {
			if e.pattern.Matches(topic) && (tenant == "" || tenant == e.tenant) {
				want = append(want, e.handle)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := index.Match(topic, tenant, nil); !slices.Equal(got, want) {
			t.Fatalf("Match(%q, %q) = %v, want %v", topic, tenant, got, want)
		}
	})
}

// isTopic says in another way what a topic is.
func isTopic(s string) bool { return len(s) <= 128 && topicExpression.MatchString(s) }

var topicExpression = regexp.MustCompile(`\A[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,15}\z`)

func FuzzTopic(f *testing.F) {
	for _, seed := range []string{"trip.created", "a..b", ".a", "a.", "", "a b", "é", strings.Repeat("a.", 16) + "a", strings.Repeat("a", 129)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := match.ParseTopic(s) == nil; got != isTopic(s) {
			t.Errorf("ParseTopic(%q) ok = %v, want %v", s, got, isTopic(s))
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"*", "trip.*", "trip.created", "**", "a.*.b", ".*", "a*", "*.a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := match.ParsePattern(s)
		if want := s == "*" || isTopic(strings.TrimSuffix(s, ".*")); (err == nil) != want {
			t.Errorf("ParsePattern(%q): %v, want ok %v", s, err, want)
		}
		if err != nil {
			return
		}
		example := strings.ReplaceAll(string(p), "*", "x")
		if !p.Matches(example) {
			t.Errorf("%q does not match %q", p, example)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, matching := range []int{1, 1000} {
		b.Run(fmt.Sprintf("matching=%d", matching), func(b *testing.B) {
			var index match.Index
			for handle := range uint32(100_000) {
				topic := fmt.Sprintf("city.t%d", int(handle)/matching)
				index.Add("default", match.Pattern(topic), handle)
			}
			var dst []uint32
			b.ReportAllocs()
			for b.Loop() {
				dst = index.Match("city.t7", "", dst[:0])
			}
			if len(dst) != matching {
				b.Fatalf("matched %d, want %d", len(dst), matching)
			}
		})
	}
}
