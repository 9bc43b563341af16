package main

import (
	"context"
	"fmt"
)

// The points of the curves.
var (
	loads   = []float64{0.1, 0.25, 0.5, 0.75, 0.9} // of what the server delivers at most
	fanouts = []int{1, 10, 100, 1000}
)

// measureFanouts measures all contenders at every fan-out.
func measureFanouts(ctx context.Context, t *trial) error {
	curve := series{title: t.title, x: "fan-out", y: "delivered/s", logarithmic: true, lines: make([]line, len(t.contenders))}
	for _, fanout := range fanouts {
		results, err := t.inTurns(t.contenders, func(c contender) (figures, error) { return t.deliver(ctx, c, fanout) })
		if err != nil {
			return err
		}
		curve.add(float64(fanout), t.contenders, results, func(f figures) float64 { return f.delivered })
	}
	return curve.show(t.out, t.plots, t.name)
}

// add adds a point to every line: the median of the runs.
func (s *series) add(x float64, contenders []contender, results [][]figures, of func(figures) float64) {
	s.at = append(s.at, x)
	for i, c := range contenders {
		s.lines[i].name = c.name
		s.lines[i].values = append(s.lines[i].values, median(each(results[i], of)))
	}
}

// measureLoads measures the latency of the server and of the straight line at parts of the
// rate that the server reaches.
func measureLoads(ctx context.Context, t *trial) error {
	most, err := t.mostDelivered(ctx)
	if err != nil {
		return err
	}
	list := accepting(t.contenders)
	median := series{lines: make([]line, len(list))}
	tail := series{lines: make([]line, len(list))}
	for _, part := range loads {
		results, err := t.inTurns(list, func(c contender) (figures, error) {
			return steadily(ctx, c, t.to, pace{topic: topic, rate: part * most, length: t.length})
		})
		if err != nil {
			return err
		}
		median.add(part*most, list, results, func(f figures) float64 { return f.latency.p50 })
		tail.add(part*most, list, results, func(f figures) float64 { return f.latency.p99 })
	}
	curve := series{title: t.title, x: "events/s", y: "ms", at: median.at}
	for i := range list {
		curve.lines = append(curve.lines,
			line{list[i].name + ", p50", median.lines[i].values}, line{list[i].name + ", p99", tail.lines[i].values})
	}
	return curve.show(t.out, t.plots, t.name)
}

// mostDelivered is what the first contender delivers with one subscription, or what the operator
// says.
func (t *trial) mostDelivered(ctx context.Context) (float64, error) {
	if t.rate > 0 {
		return 2 * t.rate, nil
	}
	most, err := t.deliver(ctx, t.contenders[0], 1)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", t.contenders[0].name, err)
	}
	return most.delivered, nil
}
