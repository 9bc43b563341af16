package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pannier/bench/load/ride"
)

// Six trips around the end of the rush; the second rides through the zone, one row is
// broken and one names an unknown station. 60 positions.
const (
	someStations = "station_id,latitude,longitude\n1,40.7500,-73.9900\n2,40.7650,-73.9810\n3,40.7300,-73.9900\n"
	someTrips    = `start_ts,duration,start_station,end_station,subscriber
2017-06-05 09:58:00,100,1,3,1
2017-06-05 09:58:30,100,1,2,1
2017-06-05 09:59:00,100,3,1,0
2017-06-05 09:59:10,100,3,9,0
2017-06-05 09:59:59,100,2,2,1
nonsense
2017-06-05 10:00:00,100,1,3,1
2017-06-05 10:58:00,100,2,3,1
`
)

// replayOptions are those of a replay of the trips above to a server.
func replayOptions(t *testing.T, url string, arguments ...string) *options {
	t.Helper()
	folder := t.TempDir()
	stations, trips := filepath.Join(folder, "stations.csv"), filepath.Join(folder, "trips.csv")
	for path, text := range map[string]string{stations: someStations, trips: someTrips} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	arguments = append([]string{"--url", url, "--trips", trips, "--stations", stations, "--from", "09", "--batch", "9"}, arguments...)
	o, err := parseOptions(arguments, noEnvironment, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.patience = patience{wait: 10 * time.Second, lag: time.Millisecond, lost: 500 * time.Millisecond}
	return o
}

func TestReplayAgrees(t *testing.T) {
	t.Parallel()
	for _, speed := range []string{"max", "3600x"} {
		t.Run(speed, func(t *testing.T) {
			t.Parallel()
			twin, url := startTwin(t)
			var out, progress bytes.Buffer
			if err := replayTrips(t.Context(), replayOptions(t, url, "--speed", speed), &out, &progress); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if want := "6 trips from 2017-06-05 09:00, skipped: 1 with an unknown station, 1 bad rows"; !strings.Contains(progress.String(), want) {
				t.Errorf("got %s, want %s", &progress, want)
			}
			if twin.deleted != len(replayTastes) || twin.accepted < 6+60+6+1 {
				t.Errorf("%d events, %d subscriptions deleted", twin.accepted, twin.deleted)
			}
			for _, line := range []string{
				"trips only trip.created 6 6 0 6 0 0", "everything vehicle.position 60 60 0 60 0 0",
				"down in the rush trip.terminated 6 6 0 6 0 0", "posted, arrived and the feed agree",
			} {
				if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), line) {
					t.Errorf("%q is not in\n%s", line, &out)
				}
			}
		})
	}
}

// Requests whose answer is lost are repeated, by the poster or below it, and make no second
// event.
func TestReplayRepeats(t *testing.T) {
	t.Parallel()
	twin, url := startTwin(t)
	lost := 0
	twin.refuse = func(n int) int {
		switch n {
		case 3, 6, 20:
			lost++
			return http.StatusGatewayTimeout
		case 8:
			return http.StatusServiceUnavailable
		}
		return 0
	}
	var out bytes.Buffer
	if err := replayTrips(t.Context(), replayOptions(t, url), &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if repeated := twin.requests - len(twin.answers); lost != 3 || repeated != 4 {
		t.Errorf("%d answers were lost and %d requests repeated, want 3 and 4", lost, repeated)
	}
}

func TestReplayErrRefused(t *testing.T) {
	t.Parallel()
	twin, url := startTwin(t)
	twin.refuse = func(n int) int { return map[bool]int{true: 422}[n == 5] }
	err := replayTrips(t.Context(), replayOptions(t, url), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "422") || twin.deleted != len(replayTastes) {
		t.Errorf("got %v, %d subscriptions deleted", err, twin.deleted)
	}
}

func TestReplayCatches(t *testing.T) {
	t.Parallel()
	// once makes the first position misbehave.
	once := func(times int, listed string) func(string, int) (int, string) {
		done := false
		return func(topic string, _ int) (int, string) {
			if topic != ride.TopicPosition || done {
				return 1, "delivered"
			}
			done = true
			return times, listed
		}
	}
	for _, test := range []struct {
		name, want string
		deliver    func(topic string, n int) (int, string)
	}{
		{"Lost", "everything: vehicle.position: LOST", once(0, "delivered")},
		{"Unlisted", "everything: vehicle.position: answered 202 and not in the feed", once(1, "")},
		{"Waiting", "everything: vehicle.position: not settled in time", once(0, "waiting")},
		{"Dead", "", once(0, "dead")},
		{"Duplicate", "", once(2, "delivered")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			twin, url := startTwin(t)
			twin.deliver = test.deliver
			var out bytes.Buffer
			err := replayTrips(t.Context(), replayOptions(t, url), &out, io.Discard)
			if errors.Is(err, errMismatch) != (test.want != "") || !strings.Contains(out.String(), test.want) {
				t.Errorf("got %v, want %q in\n%s", err, test.want, &out)
			}
		})
	}
}

func TestOpenLoop(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, arguments, want string
		refuse                func(n int) int
		mismatch              bool
	}{
		{name: "OK", arguments: "--rate 200 --duration 500ms --subscriptions 2", want: "accepted 100 events"},
		{name: "Batches", arguments: "--rate 1000 --duration 200ms --batch 50", want: "accepted 200 events"},
		{
			name: "Refused", arguments: "--rate 200 --duration 500ms", want: "refused, unanswered, unsent 1, 0, 0",
			refuse: func(n int) int { return map[bool]int{true: 503}[n == 7] },
		},
		{
			name: "Unanswered", arguments: "--rate 200 --duration 500ms", want: "posted and never answered", mismatch: true,
			refuse: func(n int) int { return map[bool]int{true: 504}[n == 7] },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			twin, url := startTwin(t)
			if test.refuse != nil {
				twin.refuse = test.refuse
			}
			o, err := parseOptions(append(strings.Fields(test.arguments), "--url", url), noEnvironment, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			o.patience = patience{wait: 10 * time.Second, lag: time.Millisecond, lost: 500 * time.Millisecond}
			var out bytes.Buffer
			err = loadOpenLoop(t.Context(), o, &out, io.Discard)
			if errors.Is(err, errMismatch) != test.mismatch || (err != nil && !test.mismatch) {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), test.want) {
				t.Errorf("%q is not in\n%s", test.want, &out)
			}
		})
	}
}
