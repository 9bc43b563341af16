package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

func TestConfigFileErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, want string
	}{
		{"unknown key", "data: d\nretentoin: 6h\n", "line 2: unknown key retentoin"},
		{"unknown key of a lane", "lanes:\n  - name: a\n    topcs: [b]\n", "line 3: unknown key topcs"},
		{"the file itself", "config: f\n", "line 1: unknown key config"},
		{"key given twice", "data: a\ndata: b\n", `line 2: mapping key "data" already defined at line 1`},
		{"not YAML", "data: [a\n", "line 1: did not find expected ',' or ']'"},
		{"not keys", "- data\n", "line 1: it is not keys with values"},
		{"two documents", "data: a\n---\ndata: b\n", "more than one YAML document"},
		{"duration without unit", "data: d\n\nretention: 3600\n", "line 3: retention: 3600 is not a duration"},
		{"not a duration", "retention: long\n", "line 1: retention: long is not a duration"},
		{"not true or false", "allow_insecure_endpoints: maybe\n", "line 1: allow_insecure_endpoints: maybe is not true or false"},
		{"not a number", "auto_promote_rate: fast\n", "line 1: auto_promote_rate: fast is not a number"},
		{"not text", "listen: [a, b]\n", "line 1: listen: it is not text"},
		{"not a list", "allow_private: 10.0.0.0/8\n", "line 1: allow_private: 10.0.0.0/8 is not a list of ranges"},
		{"not a range", "data: d\nallow_private:\n  - 10.0.0.1\n", "line 2: allow_private: netip.ParsePrefix"},
		{"not a level", "log_level: loud\n", "line 1: log_level: "},
		{"not a list of lanes", "lanes: positions\n", "line 1: lanes: positions is not a list of lanes"},
		{"not a lane", "lanes:\n- positions\n", "line 2: lanes: positions is not a lane"},
		{"share that is no number", "lanes:\n- name: a\n  topics: [b]\n  window_share: half\n", "line 4: lanes: half is not a number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseConfigFile([]byte(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestConfigFileSizes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing is set\n", "---\n"} {
		if settings, err := parseConfigFile([]byte(text)); err != nil || len(settings.values) > 0 {
			t.Errorf("%q: got %v, %v", text, settings.values, err)
		}
	}
	fits := writeFile(t, "fits.yaml", "#"+strings.Repeat(" ", maxConfigBytes-1))
	if _, err := readConfigFile(fits); err != nil {
		t.Error(err)
	}
	long := writeFile(t, "long.yaml", "#"+strings.Repeat(" ", maxConfigBytes))
	if _, err := readConfigFile(long); err == nil {
		t.Error("a file over the bound is read")
	}
	if _, err := readConfigFile(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	settings, err := parseConfigFile([]byte(`
lanes:
  - name: positions
    topics: ["vehicle.position", "vehicule.*"]
    retention: 6h
    max_in_flight: 4096
    window_share: 1
  - name: a-lane-of-thirty-two-characters1
    topics: ["*"]
`))
	want := []engine.LaneConfig{
		{
			Name: "positions", Topics: []match.Pattern{"vehicle.position", "vehicule.*"}, Retention: 6 * time.Hour,
			MaxInFlight: 4096, WindowShare: 1,
		},
		{
			Name: "a-lane-of-thirty-two-characters1", Topics: []match.Pattern{"*"},
			MaxInFlight: defaultLaneInFlight, WindowShare: defaultWindowShare,
		},
	}
	if err != nil || !reflect.DeepEqual(settings.lanes, want) {
		t.Errorf("got %+v, %v; want %+v", settings.lanes, err, want)
	}
	if got := withRetention(settings.lanes, time.Hour); got[0].Retention != 6*time.Hour || got[1].Retention != time.Hour {
		t.Errorf("retentions: got %v and %v, want 6h and the server's", got[0].Retention, got[1].Retention)
	}
}

func TestBadLanes(t *testing.T) {
	t.Parallel()
	lane := func(rest string) string { return "- {name: a, topics: [b]" + rest + "}\n" }
	topics := strings.Repeat("b, ", maxLaneTopics)
	tests := []struct {
		name, lanes, want string
	}{
		{"no name", "- topics: [b]\n", `lanes[0].name: "" is not 1 to 32`},
		{"capitals", "- {name: Positions, topics: [b]}\n", `lanes[0].name: "Positions"`},
		{"path", "- {name: ../a, topics: [b]}\n", "lanes[0].name: "},
		{"long name", "- {name: " + strings.Repeat("a", engine.MaxLaneName+1) + ", topics: [b]}\n", "lanes[0].name: "},
		{"the lane that is always there", "- {name: shared, topics: [b]}\n", "lanes[0].name: shared is the lane"},
		{"name given twice", lane("") + lane(""), "lanes[1].name: a is configured twice"},
		{"no topics", "- {name: a}\n", "lanes[0].topics: must be 1 to 100, got 0"},
		{"too many topics", "- {name: a, topics: [" + topics + "b]}\n", "lanes[0].topics: must be 1 to 100, got 101"},
		{"pattern in the middle", "- {name: a, topics: [b, c.*.d]}\n", `lanes[0].topics[1]: "c.*.d" `},
		{"half a pattern", "- {name: a, topics: ['b*']}\n", `lanes[0].topics[0]: "b*" `},
		{"empty topic", "- {name: a, topics: ['']}\n", `lanes[0].topics[0]: "" `},
		{"short retention", lane(", retention: 59s"), "lanes[0].retention: must be at least 1m0s, got 59s"},
		{"nothing in flight", lane(", max_in_flight: 0"), "lanes[0].max_in_flight: must be a whole number between 1 and 4096, got 0"},
		{"too much in flight", lane(", max_in_flight: 4097"), "lanes[0].max_in_flight: must be a whole number between 1 and 4096, got 4097"},
		{"half a delivery in flight", lane(", max_in_flight: 1.5"), "lanes[0].max_in_flight: must be a whole number between 1 and 4096, got 1.5"},
		{"no share", lane(", window_share: 0"), "lanes[0].window_share: must be above 0 and at most 1, got 0"},
		{"more than all", lane(", window_share: 1.01"), "lanes[0].window_share: must be above 0 and at most 1, got 1.01"},
		{"share that is none", lane(", window_share: .nan"), "lanes[0].window_share: must be above 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseConfigFile([]byte("lanes:\n" + tt.lanes))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestNumberOfLanes(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("lanes:\n")
	for n := range maxLanes {
		fmt.Fprintf(&text, "- {name: lane-%d, topics: [topic-%d]}\n", n, n)
	}
	if settings, err := parseConfigFile([]byte(text.String())); err != nil || len(settings.lanes) != maxLanes {
		t.Errorf("got %d lanes, %v", len(settings.lanes), err)
	}
	text.WriteString("- {name: one-more, topics: [one-more]}\n")
	if _, err := parseConfigFile([]byte(text.String())); err == nil {
		t.Errorf("%d lanes are not refused", maxLanes+1)
	}
}
