package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func noEnvironment(string) string { return "" }

func TestParseOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, arguments, want string // want is in the error; "": none
	}{
		{"Nothing", "", ""},
		{"Load", "--rate 0 --duration 5s --producers 4 --subscriptions 3 --batch 100 --size 64", ""},
		{"Replay", "--trips a --stations b --speed 60x --hours 1 --from 08", ""},
		{"Synthetic", "--synthetic 1 --speed max", ""},
		{"ErrFlag", "--fast", "not defined"},
		{"ErrArgument", "now", "unexpected argument"},
		{"ErrTripsAlone", "--trips a", "belong together"},
		{"ErrStationsAlone", "--stations a", "belong together"},
		{"ErrBoth", "--trips a --stations b --synthetic 1", "one of them"},
		{"ErrSpeed", "--synthetic 1 --speed 60", "--speed"},
		{"ErrSpeedZero", "--synthetic 1 --speed 0x", "--speed"},
		{"ErrFrom", "--synthetic 1 --from 25", "--from"},
		{"ErrRate", "--rate -1", "--rate"},
		{"ErrRateNaN", "--rate NaN", "--rate"},
		{"ErrBatch", "--batch 10001", "--batch"},
		{"ErrSize", "--size 63", "--size"},
		{"ErrRequest", "--batch 10000 --size 1000", "--batch times --size"},
		{"ErrProducers", "--producers 0", "--producers"},
		{"ErrSubscriptions", "--subscriptions 257", "--subscriptions"},
		{"ErrSynthetic", "--synthetic 25", "--synthetic"},
		{"ErrHours", "--hours -1", "--hours"},
		{"ErrDuration", "--duration 0s", "--duration"},
		{"ErrWait", "--wait 0s", "--wait"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseOptions(strings.Fields(test.arguments), noEnvironment, io.Discard)
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestOptionsValues(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"PANNIER_URL": "http://x", "PANNIER_API_KEY": "secret"}
	o, err := parseOptions(strings.Fields("--synthetic 2 --speed 60x --from 09:30"), func(name string) string { return environment[name] }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.url != "http://x" || o.key != "secret" || o.speed != 60 || o.from != 9*time.Hour+30*time.Minute || o.batch != batchOfReplay || !o.replays() {
		t.Errorf("got %+v", o)
	}
	if o, err = parseOptions([]string{"--speed", "max"}, noEnvironment, io.Discard); err != nil || o.speed != 0 || o.batch != batchOfLoad || o.replays() {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestRunStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		arguments string
		want      int
	}{
		{"--help", 0},
		{"--fast", 2},
		{"--url http://127.0.0.1:1 --trips no-such-file --stations no-such-file", 1},
		{"--url nonsense --duration 1s", 1},
	} {
		if got := run(strings.Fields(test.arguments), io.Discard, io.Discard); got != test.want {
			t.Errorf("%s: status %d, want %d", test.arguments, got, test.want)
		}
	}
}

func TestTaste(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		topics []string
		topic  string
		want   bool
	}{
		{[]string{"*"}, "trip.created", true},
		{[]string{"trip.*"}, "trip.created", true},
		{[]string{"trip.*"}, "trip", false},
		{[]string{"trip.*"}, "trips.created", false},
		{[]string{"trip.created"}, "trip.created", true},
		{[]string{"trip.created"}, "trip.created.late", false},
		{[]string{"a", "trip.*"}, "trip.created", true},
		{nil, "trip.created", false},
	} {
		if got := (taste{"x", test.topics}).wants(test.topic); got != test.want {
			t.Errorf("%v wants %s: %v", test.topics, test.topic, got)
		}
	}
}
