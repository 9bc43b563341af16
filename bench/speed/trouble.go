package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// trouble is what goes on beside the deliveries that are measured.
type trouble struct {
	name   string
	engine engine
	beside *load
}

const tripTopic = "trip.created"

// flood posts 5,000 positions a second, fifty requests of 100.
var flood = load{ingestProducers, math.MaxInt, 50, "application/x-ndjson", batches(100, "", "\n", "", appendUnmarked)}

// appendUnmarked writes a position that does not say when it was posted.
func appendUnmarked(b []byte, _ time.Duration) []byte {
	from := len(b)
	return appendFiller(append(b, `{"topic":"`+topic+`","data":{`...), from)
}

// A question about trouble: how fast is what without it and with it?
type question struct {
	pace pace
	with []trouble // the first is none
	// hold is how long the endpoint takes for what is not measured: 32 places, the half of a
	// window, take 3,200 positions a second.
	hold time.Duration
}

var (
	beside = question{pace{topic: topic, rate: 5000}, []trouble{
		{"alone", engine{}, nil}, {"beside it", engine{slow: true}, nil},
	}, 0}
	both    = engine{topics: []string{topic, tripTopic}}
	flooded = question{pace{topic: tripTopic, rate: 500}, []trouble{
		{"alone", both, nil}, {"beside them", both, &flood},
	}, 10 * time.Millisecond}
)

// measureTrouble measures the server without trouble and with it, in turns.
func measureTrouble(q question) func(context.Context, scenario, []contender, *options, io.Writer, io.Writer) error {
	return func(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) (err error) {
		to, err := startReceiver(ctx, o.listen)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, to.close()) }()
		to.hold = q.hold
		servers, paces := make([]contender, len(q.with)), make(map[string]pace)
		for i, t := range q.with {
			t.engine.binary = contenders[0].binary
			servers[i] = contender{name: t.name, start: t.engine.start}
			p := q.pace
			p.length, p.beside = o.length, t.beside
			paces[t.name] = p
		}
		results, err := inTurns(s, servers, o, progress, func(c contender) (figures, error) {
			return steadily(ctx, c, to, paces[c.name])
		})
		if err == nil {
			s.title = fmt.Sprintf("%s, for %v", s.title, o.length)
			report(out, s, servers, results, delays)
		}
		return err
	}
}
