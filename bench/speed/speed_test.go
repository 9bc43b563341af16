package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	for _, posted := range []time.Duration{0, 12345, 9 * time.Hour} {
		event := appendEvent(nil, topic, posted)
		if !json.Valid(event) || len(event) != eventBytes {
			t.Errorf("%d bytes, want %d: %s", len(event), eventBytes, event)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("%v: got %v, want %v", test.values, got, test.want)
		}
	}
}

func TestParseOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ arguments, want, err string }{
		{"", "one fanout100 fanout1000 fanouts ingest registered retained latency loads isolated backlog written replicated lanes", ""},
		{"--runs 1 fanout100 one", "fanout100 one", ""},
		{"--runs 0", "", "--runs"},
		{"--runs 101", "", "--runs"},
		{"--deliveries 0", "", "--deliveries"},
		{"--deliveries 10000001", "", "--deliveries"},
		{"--events 999", "", "--events"},
		{"--rate -1", "", "--rate"},
		{"--rate 100001", "", "--rate"},
		{"--for 999ms", "", "--for"},
		{"--for 1h1s", "", "--for"},
		{"--url http://x one", "", "--pid"},
		{"--url http://x --pid 7", "", "--url"},
		{"--url http://x --pid 7 --template {} one", "", "--template"},
		{"--url http://x --pid 7 --template {EVENT} one", "one", ""},
		{"two", "", `no scenario "two"`},
	} {
		o, err := parseOptions(strings.Fields(test.arguments), io.Discard)
		if (err == nil) != (test.err == "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%q: got %v, want %q", test.arguments, err, test.err)
		}
		if err == nil && strings.Join(names(o.scenarios), " ") != test.want {
			t.Errorf("%q: got %v, want %s", test.arguments, names(o.scenarios), test.want)
		}
	}
}

// The ratios are those of the runs, not of the medians.
func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	contenders := []contender{{name: "engine"}, {name: "bare loop"}}
	report(&out, scenarios[0], contenders, [][]figures{
		{{delivered: 10}, {delivered: 20}, {delivered: 90}},
		{{delivered: 20}, {delivered: 20}, {delivered: 30}},
	}, costs)
	line := ""
	for text := range strings.Lines(out.String()) {
		if strings.HasPrefix(text, "delivered/s") {
			line = strings.Join(strings.Fields(text), " ")
		}
	}
	if want := "delivered/s 20 20 1.00"; line != want {
		t.Errorf("got %q, want %q", line, want)
	}
}
