package main

import (
	"context"
	"fmt"
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
func measureTrouble(q question) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		t.to.hold = q.hold
		servers, paces := make([]contender, len(q.with)), make(map[string]pace)
		for i, with := range q.with {
			with.engine.binary = t.contenders[0].binary
			servers[i] = contender{name: with.name, start: with.engine.start}
			p := q.pace
			p.length, p.beside = t.length, with.beside
			paces[with.name] = p
		}
		results, err := t.inTurns(servers, func(c contender) (figures, error) {
			return steadily(ctx, c, t.to, paces[c.name])
		})
		if err == nil {
			t.title = fmt.Sprintf("%s, for %v", t.title, t.length)
			report(t.out, t.scenario, servers, results, delays)
		}
		return err
	}
}
