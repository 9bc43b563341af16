package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"pannier/engine"
)

// The bounds of the options.
const (
	maxProducers     = 4096
	maxSubscriptions = 256
	maxHours         = 24 * 31
	maxSpeed         = 1_000_000
	minSize          = 64
)

const (
	listsLag  = 3 * time.Second
	lostAfter = 10 * time.Second
)

// The batches where --batch does not say.
const (
	batchOfLoad   = 1
	batchOfReplay = 500
)

// options are how the program was asked to run.
type options struct {
	url, key string
	pid      int    // of the server at url; 0: unknown
	binary   string // of a server of our own; "": build it

	patience

	batch, producers int

	// The synthetic load.
	duration      time.Duration
	rate          float64 // events/s; 0: as fast as it goes
	subscriptions int
	size          int

	// The replay.
	trips, stations string
	synthetic       int // hours to generate
	seed            uint64
	speed           float64       // 0: never wait
	hours           int           // 0: to the end of the day
	from            time.Duration // after midnight
	fromGiven       bool
}

// replays tells whether trips are replayed.
func (o *options) replays() bool { return o.trips != "" || o.synthetic > 0 }

func parseOptions(arguments []string, environment func(string) string, output io.Writer) (*options, error) {
	o := &options{key: environment("PANNIER_API_KEY"), patience: patience{lag: listsLag, lost: lostAfter}}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&o.url, "url", environment("PANNIER_URL"), "load this running server; none: build and start one on loopback")
	f.IntVar(&o.pid, "pid", 0, "the process of the server at --url, for what it costs")
	f.StringVar(&o.binary, "binary", "", "start this server instead of building one")
	f.DurationVar(&o.wait, "wait", 15*time.Minute, "wait at most so long for what is pending at the end")
	f.IntVar(&o.batch, "batch", 0, "events of one request (1; replay: 500 positions)")
	f.IntVar(&o.producers, "producers", 16, "requests in flight at most")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "synthetic load: how long")
	f.Float64Var(&o.rate, "rate", 1000, "synthetic load: events/s, whatever the server does; 0: as fast as it goes")
	f.IntVar(&o.subscriptions, "subscriptions", 1, "synthetic load: how many take every event")
	f.IntVar(&o.size, "size", 480, "synthetic load: bytes of an event's data")
	f.StringVar(&o.trips, "trips", "", "replay this table of trips (CSV, may be gzip)")
	f.StringVar(&o.stations, "stations", "", "the table of stations for --trips (CSV)")
	f.IntVar(&o.synthetic, "synthetic", 0, "replay so many generated hours of trips")
	f.Uint64Var(&o.seed, "seed", 1, "of the generated trips")
	f.IntVar(&o.hours, "hours", 0, "replay the trips that start in so many hours (to the end of the day)")
	speed := f.String("speed", "max", "replay: so many times the real time (60x), or max")
	from := f.String("from", "", "replay from this hour of the day, HH or HH:MM (--trips: 00, --synthetic: 09:45)")
	if err := f.Parse(arguments); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err error
	if o.speed, err = parseSpeed(*speed); err != nil {
		return nil, err
	}
	if *from != "" {
		if o.from, err = parseHour(*from); err != nil {
			return nil, err
		}
		o.fromGiven = true
	}
	return o, o.check()
}

// check judges the options and completes the batch.
func (o *options) check() error {
	if o.batch == 0 {
		if o.batch = batchOfLoad; o.replays() {
			o.batch = batchOfReplay
		}
	}
	if o.trips != "" && o.synthetic > 0 {
		return fmt.Errorf("--trips and --synthetic: give one of them")
	}
	if (o.trips == "") != (o.stations == "") {
		return fmt.Errorf("--trips and --stations belong together")
	}
	if !(o.rate >= 0 && o.rate <= engine.MaxRate*maxSubscriptions) {
		return fmt.Errorf("--rate: must be 0 or more, got %v", o.rate)
	}
	for _, bounded := range []struct {
		name             string
		value, low, high int
	}{
		{"--batch", o.batch, 1, engine.MaxBatchEvents},
		{"--producers", o.producers, 1, maxProducers},
		{"--subscriptions", o.subscriptions, 1, maxSubscriptions},
		{"--size", o.size, minSize, engine.MaxEventBytes / 2},
		{"--synthetic", o.synthetic, 0, 24},
		{"--hours", o.hours, 0, maxHours},
		{"--batch times --size", o.batch * o.size, 1, engine.MaxRequestBytes * 3 / 4},
	} {
		if bounded.value < bounded.low || bounded.value > bounded.high {
			return fmt.Errorf("%s: must be between %d and %d, got %d", bounded.name, bounded.low, bounded.high, bounded.value)
		}
	}
	if o.duration <= 0 || o.wait <= 0 {
		return fmt.Errorf("--duration and --wait: must be above 0")
	}
	return nil
}

// parseSpeed reads "60x" or "max", which is 0.
func parseSpeed(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	number, found := strings.CutSuffix(text, "x")
	speed, err := strconv.ParseFloat(number, 64)
	if !found || err != nil || !(speed > 0 && speed <= maxSpeed) {
		return 0, fmt.Errorf("--speed: %q is neither max nor a number with an x, like 60x", text)
	}
	return speed, nil
}

// parseHour reads HH or HH:MM.
func parseHour(text string) (time.Duration, error) {
	for _, layout := range []string{"15", "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, nil
		}
	}
	return 0, fmt.Errorf("--from: %q is not an hour of the day, like 08 or 09:45", text)
}
